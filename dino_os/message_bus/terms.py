"""What is agreed on for a subscription, and what its members and the record tell each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from dino_os.errors import InvalidInput
from engines import checks

_MOST_IN_FLIGHT = 10_000
_LONGEST_NAME = 100
_NOT_IN_A_NAME = frozenset(".*>/\\")  # nor in the name of a JetStream consumer


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What is subscribed to, and how its messages are delivered.

    Attributes:
        subject: Channels, perhaps with wildcards.
        durable: Its name, if it is to outlive its members.
        group: Of members who share the messages.
        retries: How often a message that failed is tried again.
        ack_wait_s: How long one that was handed out may go without a sign of life.
        max_in_flight: How many may be unsettled at a time.

    Raises:
        InvalidInput: One of them is not what it must be.
    """

    subject: str
    durable: str | None = None
    group: str | None = None
    retries: int = 5
    ack_wait_s: float = 30.0
    max_in_flight: int = 256

    LIMITS: ClassVar = ("retries", "ack_wait_s", "max_in_flight")

    def __post_init__(self) -> None:
        for what, name in (("durable", self.durable), ("group", self.group)):
            if name is not None:
                _check_name(name, what)
        checks.whole(checks.at_least(self.retries, 0, "retries"), "retries")
        if checks.finite(self.ack_wait_s, "ack_wait_s") <= 0:
            raise InvalidInput(f"ack_wait_s must be above 0, found {self.ack_wait_s!r}")
        checks.whole(checks.at_least(self.max_in_flight, 1, "max_in_flight"), "max_in_flight")
        if self.max_in_flight > _MOST_IN_FLIGHT:
            raise InvalidInput(f"max_in_flight must be at most {_MOST_IN_FLIGHT:,}")

    @property
    def name(self) -> str:
        """The subscription's; no durable one is called as a group's is, which has a dot."""
        return self.durable or f"{self.group}.{self.subject}"

    @property
    def limits(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.LIMITS}


class Claim(NamedTuple):
    """
    A message that was handed out.

    Attributes:
        attempt: Which one this is, from 1.
        failures: How many of those before count against it.
        token: Under which it is settled.
    """

    seq: int
    attempt: int
    failures: int
    token: int


class Refusal(NamedTuple):
    """What failed: again after so many seconds, or, where it is *final*, never."""

    claim: Claim
    delay_s: float
    error: str
    final: bool = False


class Upcoming(NamedTuple):
    """Which messages of its subject lie behind line *after*, all of them up to line *upto*."""

    after: int
    seqs: Sequence[int]
    upto: int


NOTHING = Upcoming(-1, (), -1)


def _check_name(name: object, what: str) -> None:
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or not 0 < len(name) <= _LONGEST_NAME
        or set(name) & _NOT_IN_A_NAME
        or any(letter.isspace() for letter in name)
    ):
        raise InvalidInput(
            f"{what} must be a name of at most {_LONGEST_NAME} characters, without spaces and "
            f". * > / \\, found {name!r}"[:200]
        )
