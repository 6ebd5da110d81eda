"""
What is known of durable subscriptions and queue groups: the fold over `bus_deliveries.jsonl`.

Of the messages themselves it knows numbers only.  A subscription is a line that moves on, below
which all are settled, and the few above it that are not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.engine import Engine
from engines.journal import Event

_DEAD_LETTERS = 10_000  # of a subscription: so many of the last are remembered


@dataclass(slots=True)
class Member:
    """
    One that handles messages of a subscription.

    Attributes:
        boot: Of the machine, in which it joined.
        joined: Seconds since the epoch.
    """

    name: str
    pid: int
    boot: str
    joined: float


@dataclass(slots=True)
class Unsettled:
    """
    A message that was claimed and is neither acknowledged nor given up.

    Attributes:
        attempts: How often it was handed out.
        failures: How many of those count against it.
        member: Who has it; None while nobody has.
        token: Line of the claim under which the member has it.
        alone: Whether it was the only one of that claim.
        suspect: Whoever had it last was lost: it is handed out alone, to see whether it is the one.
        due: While nobody has it: not before; `decided` is when that was said.
        until: While somebody has it: given up then, by the clock.
        until_mono: The same, by the monotonic clock of *boot*.
    """

    attempts: int = 0
    failures: int = 0
    member: str | None = None
    token: int = -1
    alone: bool = False
    suspect: bool = False
    due: float = 0.0
    decided: float = 0.0
    until: float = 0.0
    until_mono: float = 0.0
    boot: str = ""

    def due_by(self, now: float) -> float:
        """When it may be handed out, as a clock sees it that says *now*."""
        # What was decided in the future was before the clock was set back: nobody knows how far.
        return min(self.due, now) if self.decided > now else self.due


@dataclass(slots=True)
class DeadLetter:
    """
    A message that was given up.

    Attributes:
        seq: Its line in the journal of the bus.
        attempts: How often it was handed out.
        error: What was wrong the last time.
        at: When it was given up, seconds since the epoch.
    """

    seq: int
    attempts: int
    error: str
    at: float


@dataclass(slots=True)
class Subscription:
    """
    A durable subscription, or a queue group that lives as long as its members.

    Attributes:
        durable: Whether it outlives its members.
        retries: How often a message that failed is tried again.
        ack_wait_s: How long one that was handed out may go without a sign of life.
        max_in_flight: How many may be unsettled at a time.
        taken_to: Line up to which every message was handed out once, or is settled.
        taken: How many messages that were.
        acked: How many were acknowledged.
    """

    name: str
    subject: str
    group: str | None
    durable: bool
    retries: int
    ack_wait_s: float
    max_in_flight: int
    opened: float
    taken_to: int
    taken: int = 0
    acked: int = 0
    unsettled: dict[int, Unsettled] = field(default_factory=dict)
    dead: dict[int, DeadLetter] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def settled_to(self) -> int:
        """Line up to which every message is settled."""
        return min(self.unsettled, default=self.taken_to + 1) - 1

    def held_by(self, member: str) -> list[int]:
        return [seq for seq, one in self.unsettled.items() if one.member == member]


class DeliveryState(Engine):
    """The fold, and nothing that decides."""

    def reset(self) -> None:
        self._subscriptions: dict[str, Subscription] = {}

    def apply_subscription_opened(self, event: Event) -> None:
        name = event["subscription"]
        self._subscriptions[name] = Subscription(
            name,
            event["subject"],
            event["group"],
            event["durable"],
            event["retries"],
            event["ack_wait_s"],
            event["max_in_flight"],
            event["at"],
            event["after"],
        )

    def apply_subscription_changed(self, event: Event) -> None:
        changed = self._subscriptions[event["subscription"]]
        for term in ("retries", "ack_wait_s", "max_in_flight"):
            setattr(changed, term, event[term])

    def apply_subscription_closed(self, event: Event) -> None:
        del self._subscriptions[event["subscription"]]

    def apply_member_joined(self, event: Event) -> None:
        member = Member(event["member"], event["pid"], event["boot"], event["at"])
        self._subscriptions[event["subscription"]].members[member.name] = member

    def apply_member_left(self, event: Event) -> None:
        del self._subscriptions[event["subscription"]].members[event["member"]]

    def apply_member_lost(self, event: Event) -> None:
        self.apply_member_left(event)

    def apply_messages_exchanged(self, event: Event) -> None:
        """What a member brought and took, whichever of it there was."""
        own = self._subscriptions[event["subscription"]]
        for seq in event.get("acked", ()):
            del own.unsettled[seq]
            own.acked += 1
        for seq, due, _error in event.get("refused", ()):
            one = own.unsettled[seq]
            one.failures += 1
            one.member, one.suspect = None, False
            one.due, one.decided = due, event["at"]
        for seq in event.get("returned", ()):
            self._release(own.unsettled[seq], event["at"])
            own.unsettled[seq].attempts -= 1  # its handler never saw it
        for seq, error in event.get("dead", ()):
            self._bury(own, seq, error, event["at"])
        if claimed := event.get("claimed"):
            self._claim(own, claimed, event)
        own.taken_to = event.get("taken_to", own.taken_to)

    def apply_claims_renewed(self, event: Event) -> None:
        own = self._subscriptions[event["subscription"]]
        for seq in event["messages"]:
            one = own.unsettled[seq]
            one.until, one.until_mono, one.boot = event["until"], event["until_mono"], event["boot"]

    def apply_claims_ended(self, event: Event) -> None:
        """Without an answer: in peace, or with a member that was lost."""
        own = self._subscriptions[event["subscription"]]
        for seq in event["messages"]:
            one = own.unsettled[seq]
            self._release(one, event["at"])
            if event["charged"]:
                one.failures += one.alone
                one.suspect = True
        for seq in event["dead"]:
            self._bury(own, seq, event["why"], event["at"])

    def apply_group_settled(self, event: Event) -> None:
        """What members of a group of nodes did here; how it came to them is on record elsewhere."""
        if own := self._subscriptions.get(event["group"]):
            own.acked += len(event["acked"])
            for _workspace, _seq, error, *here in event["dead"]:
                if here:  # lines of before it was kept where the message lies
                    seq, attempts = here
                    self._keep(own, DeadLetter(seq, attempts, error, event["timestamp"]))

    def apply_letter_redelivered(self, event: Event) -> None:
        own = self._subscriptions[event["subscription"]]
        letter = own.dead.pop(event["message"])
        own.unsettled[letter.seq] = Unsettled(
            attempts=letter.attempts, due=event["at"], decided=event["at"]
        )

    # --- below the face ----------------------------------------------------------------------

    def _claim(self, own: Subscription, claimed: list[int], event: Event) -> None:
        for seq in claimed:
            if seq > own.taken_to:
                own.taken += 1
            one = own.unsettled.setdefault(seq, Unsettled())
            one.attempts += 1
            one.member, one.token = event["member"], event["seq"]
            one.alone = len(claimed) == 1
            one.until, one.until_mono, one.boot = event["until"], event["until_mono"], event["boot"]

    def _release(self, one: Unsettled, now: float) -> None:
        one.member = None
        one.due = one.decided = now

    def _bury(self, own: Subscription, seq: int, error: str, now: float) -> None:
        self._keep(own, DeadLetter(seq, own.unsettled.pop(seq).attempts, error, now))

    def _keep(self, own: Subscription, letter: DeadLetter) -> None:
        own.dead[letter.seq] = letter
        if len(own.dead) > _DEAD_LETTERS:
            del own.dead[next(iter(own.dead))]
