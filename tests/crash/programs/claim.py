"""
Claim items until none is left: `claim.py JOURNAL WHO ITEMS`.

After a claim was decided and recorded, and only then, the item goes to standard output.
"""

import os
import sys

from engines.engine import Engine
from engines.journal import Event, Journal


class Desk(Engine):
    """Gives each item to whoever asks first."""

    items = int(sys.argv[3])

    def reset(self) -> None:
        self.owner: dict[int, str] = {}

    def claim(self, who: str) -> int | None:
        with self.deciding():
            item = len(self.owner)
            if item == self.items:
                return None
            self.record("claimed", item=item, who=who)
            return item

    def apply_claimed(self, event: Event) -> None:
        if event["item"] in self.owner:
            raise AssertionError(f"{event['item']} was claimed twice")
        self.owner[event["item"]] = event["who"]


desk = Desk(Journal(sys.argv[1]))
while (item := desk.claim(sys.argv[2])) is not None:
    os.write(1, b"%d\n" % item)
