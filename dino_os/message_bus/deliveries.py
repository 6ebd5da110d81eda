"""
Durable subscriptions and queue groups: who has which message, and what became of it.

    said ──▶ claimed ──▶ acknowledged
               │  ▲ refused, or its member was lost: again, at a stated time
               ▼  │
           dead letter ──▶ claimed again, by hand (`redeliver`)

Each message of a subscription ends in exactly one record, acknowledged or dead letter; it is
handled at least once.  A claim is void once its member is lost (the kernel tells, by a lock) or
has given no sign of life for so long; what comes in under it later counts no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from dino_os.message_bus.delivery_state import DeadLetter, Subscription, Unsettled
from dino_os.message_bus.failure import writable
from dino_os.message_bus.members import Members, left
from dino_os.message_bus.terms import NOTHING, Claim, Refusal, Upcoming
from engines.liveness import Now

_WORTH_RECORDING = 1000  # lines that a subscription passed by, of which none was for it
_OF_AN_ERROR = 300
_Said = dict[str, Any]


class Deliveries(Members):
    """The durable subscriptions and queue groups of a workspace."""

    # --- commands ----------------------------------------------------------------------------

    def exchange(
        self,
        name: str,
        member: str,
        *,
        acked: Iterable[Claim] = (),
        refused: Iterable[Refusal] = (),
        returned: Iterable[Claim] = (),
        upcoming: Upcoming = NOTHING,
        most: int = 0,
    ) -> list[Claim]:
        """
        Say what became of messages and claim the next, in one durable step.

        Those that are due again come first, then new ones, each in the order in which they were
        said.  What is settled under a claim that is void counts no more.

        Args:
            returned: Claims whose messages no handler has seen.
            most: How many to claim.

        Raises:
            NotFound: The subscription was forgotten, or the member given up.
        """
        now = self._now()
        with self.deciding():
            own = self._member_of(name, member)
            said: _Said = {
                "acked": _held(own, member, acked),
                "returned": _held(own, member, returned),
                **self._judged(own, member, refused, now),
            }
            lost = self._give_up_lost(own, member, now)
            answered = {*_settled(said), *said["returned"], *(one[0] for one in said["refused"])}
            self._expire(own, now, but=answered)
            free = own.max_in_flight - len(own.unsettled) + len(_settled(said))
            claimed, taken_to = _next(own, upcoming, most, free, now.clock)
            if claimed:
                said |= {"claimed": claimed, **lease(own, now)}
            if claimed or taken_to - own.taken_to >= _WORTH_RECORDING:
                said["taken_to"] = taken_to
            if said := {what: found for what, found in said.items() if found != []}:
                facts = {"subscription": name, "member": member, "at": now.clock}
                self.record("messages_exchanged", **facts, **said)
            claims = [_claim(seq, own.unsettled[seq]) for seq in claimed]
        self._drop(lost)
        return claims

    def renew(self, name: str, member: str, claims: Iterable[Claim]) -> None:
        """Give a sign of life for *claims*; those that are void stay so."""
        with self.deciding():
            own = self._member_of(name, member)
            if held := _held(own, member, claims):
                until = lease(own, self._now())
                self.record("claims_renewed", subscription=name, messages=held, **until)

    def redeliver(self, name: str, seq: int) -> bool:
        """
        Hand out a dead letter again, its failures forgotten; False where it is none.

        Raises:
            NotFound: There is no such subscription.
        """
        with self.deciding():
            if seq not in self._find(name).dead:
                return False
            now = self.clock()
            self.record("letter_redelivered", subscription=name, message=seq, at=now)
        return True

    # --- queries -----------------------------------------------------------------------------

    def place(self, name: str) -> int | None:
        """Line up to which it has handed out all, as far as was read; None where it is gone."""
        with self._guard:
            own = self._subscriptions.get(name)
            return own.taken_to if own else None

    def opened(self, name: str) -> float:
        """When it was opened, seconds since the epoch, as far as was read."""
        with self._guard:
            own = self._subscriptions.get(name)
            return own.opened if own else -math.inf

    def is_member(self, name: str, member: str) -> bool:
        """Whether it was not given up, nor the subscription forgotten, as far as was read."""
        with self._guard:
            own = self._subscriptions.get(name)
            return own is not None and member in own.members

    def room(self, name: str) -> int:
        """How many more messages may be in flight, as far as was read."""
        with self._guard:
            own = self._subscriptions.get(name)
            return own.max_in_flight - len(own.unsettled) if own else 0

    def is_shared(self, name: str) -> bool:
        """Whether it has several members, as far as was read."""
        with self._guard:
            own = self._subscriptions.get(name)
            return own is not None and len(own.members) > 1

    def due_in(self, name: str, member: str) -> float | None:
        """
        Seconds until one of its messages may be due again without anybody writing, as far as was
        read; 0 where one is.  Whether others live is to be looked at now and then.
        """
        now = self._now()
        with self._guard:
            own = self._subscriptions.get(name)
            waits = [
                max(one.due_by(now.clock) - now.clock, 0.0)
                if one.member is None
                else left(one, now, mine=one.member == member)
                for one in (own.unsettled.values() if own else ())
            ]
        return min(waits, default=None)

    def subscriptions(self) -> list[Subscription]:
        """All there are, in the order in which they were opened; not to be changed."""
        self.refresh()
        with self._guard:
            return list(self._subscriptions.values())

    def find(self, name: str) -> Subscription:
        """
        The one of that name; not to be changed.

        Raises:
            NotFound: There is none.
        """
        self.refresh()
        return self._find(name)

    def dead_letters(self, name: str | None = None) -> list[tuple[str, DeadLetter]]:
        """Those of that subscription, or of all, each with its name; oldest first."""
        named = [self.find(name)] if name is not None else self.subscriptions()
        with self._guard:
            return [(own.name, letter) for own in named for letter in own.dead.values()]

    # --- below the face ----------------------------------------------------------------------

    def _judged(
        self, own: Subscription, member: str, refused: Iterable[Refusal], now: Now
    ) -> _Said:
        """What is tried again, and what is not."""
        again: list[list[Any]] = []
        dead: list[list[Any]] = []
        for one in refused:
            if _holds(own, member, one.claim):
                seq, error = one.claim.seq, writable(self.clean(one.error)[:_OF_AN_ERROR])
                if one.final or own.unsettled[seq].failures >= own.retries:
                    dead.append([seq, error])
                else:
                    again.append([seq, now.clock + max(one.delay_s, 0.0), error])
        return {"refused": again, "dead": dead}


def lease(own: Subscription, now: Now) -> dict[str, Any]:
    """Until when a member has what it claims now."""
    return {
        "until": now.clock + own.ack_wait_s,
        "until_mono": now.mono + own.ack_wait_s,
        "boot": now.boot,
    }


def _claim(seq: int, one: Unsettled) -> Claim:
    return Claim(seq, one.attempts, one.failures, one.token)


def _held(own: Subscription, member: str, claims: Iterable[Claim]) -> list[int]:
    """What the member still has of that."""
    return [claim.seq for claim in claims if _holds(own, member, claim)]


def _holds(own: Subscription, member: str, claim: Claim) -> bool:
    one = own.unsettled.get(claim.seq)
    return one is not None and one.member == member and one.token == claim.token


def _settled(said: Mapping[str, Any]) -> list[int]:
    """What is not tried again."""
    return [*said["acked"], *(seq for seq, _ in said["dead"])]


def _next(
    own: Subscription, upcoming: Upcoming, most: int, free: int, now: float
) -> tuple[list[int], int]:
    """What is handed out now, and up to which line all has been then."""
    due = sorted(
        seq for seq, one in own.unsettled.items() if one.member is None and one.due_by(now) <= now
    )[: max(most, 0)]
    if due and own.unsettled[due[0]].suspect:
        return due[:1], own.taken_to
    due = [seq for seq in due if not own.unsettled[seq].suspect]
    if upcoming.after > own.taken_to:  # what lies between was not looked at
        return due, own.taken_to
    new = [seq for seq in upcoming.seqs if seq > own.taken_to]
    room = max(min(most - len(due), free), 0)
    if len(new) > room:
        new = new[:room]
        return due + new, max(new, default=own.taken_to)
    return due + new, max(upcoming.upto, own.taken_to)
