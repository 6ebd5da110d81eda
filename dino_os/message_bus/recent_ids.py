"""The ids under which something was published of late: what comes again is known."""

from __future__ import annotations

from dino_os.message_bus.following import Follower
from dino_os.message_bus.stored import is_message
from engines.journal import Event, RecordedJournal

_AT_THE_END = 1000  # lines read at first to find where the window begins


class RecentIds(Follower):
    """
    The ids of each channel within the last *window_s* seconds, as the journal has them.

    Asked and caught up under the journal's lock it decides for all processes.
    """

    def __init__(self, journal: RecordedJournal, window_s: float, now: float) -> None:
        super().__init__(journal, journal.begin())
        self._window_s = window_s
        self._ids: dict[tuple[str, str], float] = {}  # oldest first
        self._read_tail(now - window_s)

    def knows(self, channel: str, message_id: str, now: float) -> bool:
        said = self._ids.get((channel, message_id))
        return said is not None and said > now - self._window_s

    def line(self, event: Event) -> None:
        if not is_message(event) or event.get("id") is None:
            return
        key = event["channel"], event["id"]
        self._ids.pop(key, None)  # so that it stands at the end
        self._ids[key] = event["timestamp"]
        oldest = event["timestamp"] - self._window_s
        while (first := next(iter(self._ids))) != key and self._ids[first] <= oldest:
            del self._ids[first]

    def _read_tail(self, since: float) -> None:
        """Take the lines from the moment *since* on, reading the journal from its end."""
        count = _AT_THE_END
        while True:
            blocks = self.journal.tail_blocks(count)
            events = [event for block in blocks for event in block.events]
            if len(events) < count or events[0]["timestamp"] <= since:
                break
            count *= 8
        for event in events:
            self.line(event)
        if blocks:
            self.place = blocks[-1].behind
