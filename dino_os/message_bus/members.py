"""
Who handles the messages of a subscription: members join and leave, and what the lost had goes back.

A member that dies takes its whole batch with it, and one message may be to blame.  So those are
handed out one at a time afterwards, and only what was alone when its member was lost has failed.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Collection, Iterable
from uuid import uuid4

from dino_os.errors import InvalidInput, NotFound
from dino_os.message_bus.delivery_state import DeliveryState, Member, Subscription, Unsettled
from dino_os.message_bus.terms import Terms
from engines import checks
from engines.journal import Journal
from engines.liveness import LockFiles, Now, this_boot

LOOK_AROUND_S = 1.0
"""So often it is looked whether others live."""


class MemberLost(NotFound):
    """A member was given up; what it had is handed to others."""


class Members(DeliveryState):
    """
    Subscriptions and their members.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch; `monotonic`: of a clock that is not set.
        boot: What tells this boot of the machine from every other.
        clean: What may be kept of a text that others made.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        boot: Callable[[], str] = this_boot,
        clean: Callable[[str], str] = str,
    ) -> None:
        self.clean = clean
        self._monotonic = monotonic
        self._boot = boot
        self._looked_at: dict[str, float] = {}
        super().__init__(journal, clock=clock)
        path = getattr(self.journal, "path", None)
        self._files = LockFiles(path.with_suffix(".sessions") if path else None)
        _files.add(self._files)

    # --- commands ----------------------------------------------------------------------------

    def join(self, terms: Terms, after: Callable[[], int]) -> str:
        """
        Become a member of the subscription, which is opened where there is none.

        Args:
            after: Behind which line a new one begins; asked while nobody else decides.

        Returns:
            The member's name, with which it claims.

        Raises:
            InvalidInput: There is one of that name for another subject or group.
        """
        member = uuid4().hex
        self._files.sweep()
        self._files.hold(member)
        try:
            with self.deciding():
                now = self._now()
                lost = [
                    name
                    for known in [*self._subscriptions.values()]
                    for name in self._give_up_lost(known, member, now, patient=False)
                ]
                self._open(terms, after, now)
                self.record(
                    "member_joined",
                    subscription=terms.name,
                    member=member,
                    pid=os.getpid(),
                    boot=now.boot,
                    at=now.clock,
                )
        except BaseException:
            self._files.drop(member)
            raise
        self._drop(lost)
        return member

    def leave(self, name: str, member: str) -> None:
        """End a membership; what it still has goes back."""
        with self.deciding():
            own = self._subscriptions.get(name)
            if own and member in own.members:
                self._end_claims(own, own.held_by(member), "its member left", charged=False)
                self.record("member_left", subscription=name, member=member)
                self._close_if_empty(own)
        self._files.drop(member)

    def forget(self, name: str) -> bool:
        """End a subscription; False where there is none."""
        with self.deciding():
            if name not in self._subscriptions:
                return False
            self.record("subscription_closed", subscription=name)
        return True

    # --- queries -----------------------------------------------------------------------------

    def is_alive(self, member: Member) -> bool:
        return not self._is_lost(member, self._now())

    def somebody_lost(self, name: str, member: str) -> bool:
        """Whether a member, other than *member*, has messages and lives no more."""
        with self._guard:
            own = self._subscriptions.get(name)
            held = {one.member for one in own.unsettled.values()} if own else set()
            others = [m for m in own.members.values() if m.name in held] if own else []
        return not all(self.is_alive(other) for other in others if other.name != member)

    # --- below the face ----------------------------------------------------------------------

    def _now(self) -> Now:
        return Now(self.clock(), self._monotonic(), self._boot())

    def _find(self, name: str) -> Subscription:
        if own := self._subscriptions.get(name):
            return own
        raise NotFound(
            f"no subscription {name!r}{checks.did_you_mean(name, self._subscriptions)}",
            hint=f"there are {', '.join(self._subscriptions) or 'none'}",
        )

    def _member_of(self, name: str, member: str) -> Subscription:
        own = self._find(name)
        if member not in own.members:
            raise MemberLost(f"the member {member} of {name!r} was given up")
        return own

    def _open(self, terms: Terms, after: Callable[[], int], now: Now) -> None:
        known = self._subscriptions.get(terms.name)
        limits = {"subscription": terms.name, **terms.limits}
        if known is None:
            self.record(
                "subscription_opened",
                subject=terms.subject,
                group=terms.group,
                durable=terms.durable is not None,
                after=after(),
                at=now.clock,
                **limits,
            )
        elif (known.subject, known.group) != (terms.subject, terms.group):
            what = f"{known.subject!r}" + (f" in group {known.group!r}" if known.group else "")
            raise InvalidInput(
                f"the durable subscription {terms.name!r} is to {what}",
                hint=f"take another name, or end that one: MessageBus().forget({terms.name!r})",
            )
        elif any(getattr(known, name) != value for name, value in terms.limits.items()):
            self.record("subscription_changed", **limits)

    def _close_if_empty(self, own: Subscription) -> None:
        if not own.members and not own.durable:
            self.record("subscription_closed", subscription=own.name)

    # --- what was lost -----------------------------------------------------------------------

    def _give_up_lost(
        self, own: Subscription, member: str, now: Now, *, patient: bool = True
    ) -> list[str]:
        """Take what lost members have; which they were.  Each is looked at once a second."""
        lost = []
        for other in [*own.members.values()]:
            looked = self._looked_at.get(other.name, -LOOK_AROUND_S)
            if other.name == member or (patient and now.mono - looked < LOOK_AROUND_S):
                continue
            self._looked_at[other.name] = now.mono
            if self._is_lost(other, now):
                why = "whoever handled it has ended"
                self._end_claims(own, own.held_by(other.name), why, charged=True)
                self.record("member_lost", subscription=own.name, member=other.name)
                self._looked_at.pop(other.name)
                lost.append(other.name)
        self._close_if_empty(own)
        return lost

    def _is_lost(self, member: Member, now: Now) -> bool:
        gone = member.boot == now.boot and self._files.is_gone(member.name, member.pid)
        return gone or self._files.is_free(member.name)

    def _drop(self, lost: Iterable[str]) -> None:
        """Not before that is durable: the file is what tells."""
        for name in lost:
            self._files.drop(name)

    def _expire(self, own: Subscription, now: Now, *, but: Collection[int]) -> None:
        over = [
            seq
            for seq, one in own.unsettled.items()
            if one.member is not None and seq not in but and left(one, now, mine=True) <= 0
        ]
        why = f"neither acknowledged nor refused within {own.ack_wait_s:g} s"
        self._end_claims(own, over, why, charged=True)

    def _end_claims(
        self, own: Subscription, held: Collection[int], why: str, *, charged: bool
    ) -> None:
        if not held:
            return
        dead = [
            seq
            for seq in held
            if charged and (one := own.unsettled[seq]).alone and one.failures >= own.retries
        ]
        self.record(
            "claims_ended",
            subscription=own.name,
            messages=[seq for seq in held if seq not in dead],
            dead=dead,
            why=why,
            charged=charged,
            at=self.clock(),
        )


# A fork holds the locks of its parent's open files, and would seem to be the member.
_files: weakref.WeakSet[LockFiles] = weakref.WeakSet()


def _let_go() -> None:
    for files in _files:
        files.let_go()


os.register_at_fork(after_in_child=_let_go)


def left(one: Unsettled, now: Now, *, mine: bool) -> float:
    """Seconds until who has it must have given a sign of life, or is to be looked at."""
    until = one.until_mono - now.mono if one.boot == now.boot else one.until - now.clock
    return max(until, 0.0) if mine else min(max(until, 0.0), LOOK_AROUND_S)
