"""
Who gets which message of a subscription: asked of the workspace's own record, or of another judge.

A consumer knows `Claims` alone.  `LocalClaims` decides in the journal of deliveries, for the
processes of one machine; a cluster's members agree elsewhere, and the rest is the same.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from dino_os.errors import NotFound
from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.members import LOOK_AROUND_S, MemberLost
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.terms import NOTHING, Claim, Refusal, Terms, Upcoming


class Claimed(NamedTuple):
    """A message that was handed out."""

    stored: Stored
    claim: Claim


@dataclass(slots=True)
class Settled:
    """What became of messages since it was said the last time."""

    acked: list[Claim] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    returned: list[Claim] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.acked or self.refused or self.returned)

    def add(self, other: Settled) -> None:
        self.acked += other.acked
        self.refused += other.refused
        self.returned += other.returned


class Claims(Protocol):
    """
    The messages of one subscription, for one member of it.  Threads may share it.

    A message that is settled is settled durably when `exchange` returns, and comes again otherwise.
    """

    def join(self) -> None:
        """Become a member; again, where the one before was given up."""

    def exchange(self, settled: Settled, most: int) -> list[Claimed]:
        """
        Say what became of messages, and get at most so many of the next, oldest first.

        Raises:
            MemberLost: This member was given up, and what it has is with others.
            NotFound: The subscription was forgotten.
        """

    def renew(self, claims: Sequence[Claim]) -> None:
        """Give a sign of life for *claims*.  Raises as `exchange`."""

    def pause_s(self) -> float:
        """How long nothing falls due of itself; at most a second."""

    def is_shared(self) -> bool:
        """Whether somebody else could handle what this member has."""

    def leave(self) -> None:
        """End the membership; what it still has goes back."""


def anything(_: Stored) -> bool:
    return True


class LocalClaims:
    """
    Claims that the processes of one machine agree upon, in the journal of deliveries.

    Args:
        after: Behind which line the subscription begins if it is a new one.
        is_for_us: Whether a message is for this subscription at all.
        upto: Messages behind that line are left where they are.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        messages: Messages,
        terms: Terms,
        after: Callable[[], int],
        is_for_us: Callable[[Stored], bool] = anything,
        *,
        upto: float = math.inf,
    ) -> None:
        self._upto = upto
        self._deliveries = deliveries
        self._messages = messages
        self._terms = terms
        self._after = after
        self._is_for_us = is_for_us
        self._member = ""
        self._looked_to = -1  # up to there nothing is left to be claimed for the first time
        self._guard = threading.Lock()

    def join(self) -> None:
        self._member = self._deliveries.join(self._terms, self._after)
        self._looked_to = -1  # it may be another subscription of that name

    def leave(self) -> None:
        self._deliveries.leave(self._terms.name, self._member)

    def exchange(self, settled: Settled, most: int) -> list[Claimed]:
        self._deliveries.refresh()
        room = self._deliveries.room(self._terms.name)
        room += len(settled.acked) + len(settled.refused)
        found, upcoming = self._next(min(most, room)) if room > 0 else ([], NOTHING)
        # Whoever has nothing to say and nothing to get does not keep others waiting.
        if not (settled or found or self._must_look()):
            return []
        claims = self._exchange(settled, upcoming, most)
        known = {stored.seq: stored for stored in found}
        claimed, gone = [], []
        for claim in claims:
            if stored := known.get(claim.seq) or self._messages.at(claim.seq):
                claimed.append(Claimed(stored, claim))
            else:
                gone.append(Refusal(claim, 0.0, "it is not on record any more", final=True))
        if gone:
            self._exchange(Settled(refused=gone), NOTHING, 0)
        return claimed

    def renew(self, claims: Sequence[Claim]) -> None:
        try:
            self._deliveries.renew(self._terms.name, self._member, claims)
        except NotFound as error:
            raise self._as_lost(error) from None

    def pause_s(self) -> float:
        due = self._due_in()
        return LOOK_AROUND_S if due is None else min(due, LOOK_AROUND_S)

    def is_shared(self) -> bool:
        return self._deliveries.is_shared(self._terms.name)

    # --- below the face ----------------------------------------------------------------------

    def _must_look(self) -> bool:
        """Whether something falls due without anybody having said anything."""
        mine = self._terms.name, self._member
        return (
            self._due_in() == 0
            or not self._deliveries.is_member(*mine)
            or self._deliveries.somebody_lost(*mine)
        )

    def _due_in(self) -> float | None:
        return self._deliveries.due_in(self._terms.name, self._member)

    def _exchange(self, settled: Settled, upcoming: Upcoming, most: int) -> list[Claim]:
        try:
            return self._deliveries.exchange(
                self._terms.name,
                self._member,
                acked=settled.acked,
                refused=settled.refused,
                returned=settled.returned,
                upcoming=upcoming,
                most=most,
            )
        except NotFound as error:
            raise self._as_lost(error) from None

    def _as_lost(self, error: NotFound) -> NotFound:
        """A group that lives as long as its members is not forgotten, but begun anew."""
        if self._terms.durable or isinstance(error, MemberLost):
            return error
        return MemberLost(error.message)

    def _next(self, most: int) -> tuple[list[Stored], Upcoming]:
        """Messages that nobody had yet, as far as is known; read before anybody has to wait."""
        place = self._deliveries.place(self._terms.name)
        if place is None or most <= 0:
            return [], NOTHING
        with self._guard:
            after = max(place, self._looked_to)
            end = int(min(self._messages.end(), self._upto))
            if end <= after:
                return [], Upcoming(place, (), after)
            opened = self._deliveries.opened(self._terms.name)
            found = self._messages.after(after, self._terms.subject, most, opened=opened)
            found = [stored for stored in found if stored.seq <= self._upto]
            upto = found[-1].seq if len(found) == most else max(end, *(s.seq for s in found), -1)
            found = [stored for stored in found if self._is_for_us(stored)]
            if not found:
                self._looked_to = upto
        return found, Upcoming(place, [stored.seq for stored in found], upto)
