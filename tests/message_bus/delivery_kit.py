"""What the tests of deliveries share: time that they move, and an engine as a process has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.terms import Claim, Refusal, Terms, Upcoming
from engines.journal import Journal
from tests.resource_engine.kit import Time


def deliveries_on(folder: Path, at: Time) -> Deliveries:
    """The engine as another process would open it, with time by hand."""
    journal = Journal(folder / "bus_deliveries.jsonl", clock=at.clock)
    return Deliveries(journal, clock=at.clock, monotonic=at.monotonic, boot=lambda: "boot")


@dataclass
class Hand:
    """A member that handles nothing: the test says what becomes of each message."""

    engine: Deliveries
    terms: Terms
    name: str

    @classmethod
    def of(cls, engine: Deliveries, after: int = -1, **terms: Any) -> Hand:
        agreed = Terms(**{"subject": "a", "durable": "billing", **terms})
        return cls(engine, agreed, engine.join(agreed, lambda: after))

    def claim(self, upto: int, most: int = 100) -> list[Claim]:
        """Claim, where every line up to *upto* is a message for it."""
        return self.say(upcoming=upto, most=most)

    def say(self, upcoming: int = -1, **said: Any) -> list[Claim]:
        place = self.engine.place(self.terms.name)
        assert place is not None
        seqs = range(place + 1, upcoming + 1)
        ahead = Upcoming(place, list(seqs), max(upcoming, place))
        return self.engine.exchange(self.terms.name, self.name, upcoming=ahead, **said)

    def ack(self, *claims: Claim) -> None:
        self.say(acked=claims)

    def refuse(self, claim: Claim, delay_s: float = 0.0, *, final: bool = False) -> None:
        self.say(refused=[Refusal(claim, delay_s, "ValueError: no", final)])

    def dies(self) -> None:
        """As the kernel would have it, where a process is killed."""
        files = self.engine._files
        fd = files._held.pop(self.name)
        import os

        os.close(fd)


def seqs(claims: list[Claim]) -> list[int]:
    return [claim.seq for claim in claims]
