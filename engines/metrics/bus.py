"""The journal `bus`, counted: messages.  Channels are no label: their names may say anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, counter
from engines.metrics.fold import JournalFold


class BusFold(JournalFold):
    """How many messages were published."""

    journal_name = "bus"
    told: ClassVar = ("published",)

    def apply_message_published(self, event: Event) -> None:
        self.tally(event, "published")

    def families(self, now: float) -> Iterable[Family]:
        del now
        yield counter("dino_messages_total", "Messages published.", self.totals["published"])
