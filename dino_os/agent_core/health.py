"""
Which servers did not answer a moment ago, in a file that outlives the process.

One that refused, or did not answer in time, is left out for 5 s, then for twice as long each time,
up to 5 min; its first answer makes it well.  The file is no record: losing it costs one more knock,
so it is replaced without waiting for the disk, and what cannot be read in it is not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

FIRST_S, LONGEST_S = 5.0, 300.0
_DOUBLINGS = 16
_REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Ill:
    """
    A server that is left out.

    Attributes:
        failures: One behind the other, without an answer in between.
        until: Until when, in seconds since the epoch.
        since: When the first of them was.
        kind: Of the last of them, one word; "refused" costs nothing to try again.
        why: The last of them, in words.
    """

    failures: int
    until: float
    since: float
    kind: str
    why: str

    @property
    def is_cheap(self) -> bool:
        return self.kind == _REFUSED


class Health:
    """
    What the file at *path* remembers of servers, by their addresses.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def ill(self, url: str) -> Ill | None:
        """Why the server at *url* is left out now; None where it is not."""
        found = self.all().get(url)
        now = self._clock()
        # Longer than the longest pause is a clock that was set back: nobody knows how far.
        return found if found and now < found.until <= now + LONGEST_S else None

    def failed(self, url: str, kind: str, why: str, *, for_s: float | None = None) -> Ill:
        """It did not answer; *for_s* is what it asked for itself."""
        known, now = self.all(), self._clock()
        before = known.get(url)
        failures = before.failures + 1 if before else 1
        pause = FIRST_S * 2 ** min(failures - 1, _DOUBLINGS) if for_s is None else for_s
        since = before.since if before else now
        ill = Ill(failures, now + min(pause, LONGEST_S), since, kind, why)
        self._keep({**known, url: ill})
        return ill

    def answered(self, url: str) -> None:
        known = self.all()
        if known.pop(url, None):
            self._keep(known)

    def all(self) -> dict[str, Ill]:
        """All that failed last, also those that may be asked again."""
        try:
            found = json.loads(self._path.read_bytes())
            return {url: Ill(**facts) for url, facts in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _keep(self, known: dict[str, Ill]) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # then it is asked once more
            self._path.parent.mkdir(exist_ok=True)
            draft.write_text(json.dumps({url: asdict(ill) for url, ill in known.items()}))
            draft.replace(self._path)
