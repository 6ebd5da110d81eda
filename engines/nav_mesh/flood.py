"""
What keeps a flood of refusals from filling the disk: past the first ones they are counted.

Of one subject and rule the first few within a minute have a line each, and of all subjects of a
domain the first few hundred.  The others are counted here and recorded as a number, when it has
grown as large as what is recorded already, when the minute is over, and when the process ends: so
a flood of n makes about log n lines.  A process that is killed takes along what it had not told,
which is never more than half of what the minute had of that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engines.nav_mesh.state import ANY

_EACH, _ALL = 5, 300
_MOST_KINDS = 1000
_MINUTE_S = 60.0


class Kind(NamedTuple):
    """Refusals that are counted together."""

    domain: str
    subject: str
    rule: str
    proven: bool


@dataclass(slots=True)
class _Tally:
    untold: int = 0
    told: int = 0


class Flood:
    """What this process has not told yet, and what it told within this minute."""

    def __init__(self) -> None:
        self._minute = -1
        self._kinds: dict[Kind, _Tally] = {}
        self._lines: dict[str, int] = {}

        self._untold = 0

    @property
    def has_untold(self) -> bool:
        return self._untold > 0

    def is_over(self, now: float) -> bool:
        """Whether what is not told is of another minute."""
        return int(now // _MINUTE_S) != self._minute

    def count(self, kind: Kind, now: float) -> tuple[Kind, int] | None:
        """Count one; what is to be recorded now, as which kind, if anything is."""
        if self.is_over(now):  # what was not told is, by now
            self._minute = int(now // _MINUTE_S)
            self._kinds.clear()
            self._lines.clear()
            self._untold = 0
        lines = self._lines.get(kind.domain, 0)
        if kind not in self._kinds and (lines >= _ALL or len(self._kinds) >= _MOST_KINDS):
            kind = kind._replace(subject=ANY)
        tally = self._kinds.setdefault(kind, _Tally())
        tally.untold += 1
        self._untold += 1
        if tally.told >= _EACH and tally.untold < tally.told:
            return None
        self._lines[kind.domain] = lines + 1
        return kind, self._tell(tally)

    def untold(self) -> list[tuple[Kind, int]]:
        """What is to be recorded where nothing may stay untold."""
        waiting = [(kind, tally) for kind, tally in self._kinds.items() if tally.untold]
        return [(kind, self._tell(tally)) for kind, tally in waiting]

    def waiting(self, domain: str, rule: str | None = None) -> int:
        """How many of a domain, or of one of its rules, are not told."""
        return sum(
            tally.untold
            for kind, tally in self._kinds.items()
            if kind.domain == domain and rule in {None, kind.rule}
        )

    def _tell(self, tally: _Tally) -> int:
        count, tally.untold = tally.untold, 0
        tally.told += count
        self._untold -= count
        return count
