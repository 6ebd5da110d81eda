"""
Positions on their way into the journal: many in one line, with what they led to.

A line has columns: who was where and when (by time), and the moves that were decided.  Folding it
needs no geometry, so a journal says the same wherever it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines import checks
from engines.errors import InvalidInput
from engines.zone.index import as_points
from engines.zone.stays import ON_THE_WAY, Stays, ZoneMove
from engines.zone.tracking import Fixes, Judge

AT_ONCE = 100_000  # positions in one line
_LATEST = 60e9  # seconds: what the calendar has on either side


@dataclass(frozen=True, slots=True)
class Tracked:
    """
    What became of positions.

    Attributes:
        moves: Entries, exits and dwells, by line and time.
        accepted: How many positions were new.
        duplicates: How many had been there: of the same object and time.
        late: How many came behind a later one of their object that was judged already.
        waiting: How many are still to be judged.
    """

    moves: tuple[ZoneMove, ...]
    accepted: int
    duplicates: int
    late: int
    waiting: int

    @classmethod
    def of(
        cls, lines: Sequence[Mapping[str, Any]], moves: Iterable[ZoneMove], waiting: int
    ) -> Tracked:
        """The sum of *lines* of the journal, with the moves that are on them."""
        return cls(
            tuple(move for move in moves if move.kind not in ON_THE_WAY),
            sum(len(line["at"]) for line in lines),
            sum(line["duplicates"] for line in lines),
            sum(line["late"] for line in lines),
            waiting,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions as they arrived: names, the number of each one's name, seconds, rows."""

    names: list[str]
    who: Any
    at: Any
    points: Any

    @classmethod
    def read(cls, objects: Sequence[str], at: Sequence[float], points: Any) -> Batch:
        """
        Positions from what callers give.

        Raises:
            InvalidInput: They are not equally many, a name is blank, a number not finite.
        """
        rows = as_points(points)
        try:
            times = np.asarray(at, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidInput("times of positions must be seconds since the epoch") from None
        if not len(objects) == times.size == len(rows):
            raise InvalidInput(
                f"as many objects as times and points, found {len(objects)}, "
                f"{times.size} and {len(rows)}"
            )
        wrong = ~(np.abs(times) <= _LATEST)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InvalidInput(f"time {row} is none of a calendar: {times[row]}")
        clean = {name: checks.name(name, "an object's name") for name in dict.fromkeys(objects)}
        names = list(dict.fromkeys(clean.values()))
        numbers = {name: number for number, name in enumerate(names)}
        number_of = {given: numbers[name] for given, name in clean.items()}
        who = np.fromiter(map(number_of.__getitem__, objects), np.int64, len(objects))
        return cls(names, who, times.reshape(-1), rows)

    def pieces(self) -> Iterator[tuple[Batch, bool]]:
        """What fits one line each, and whether it is the last one; one at least."""
        count = len(self.at)
        for start in range(0, max(count, 1), AT_ONCE):
            piece = slice(start, start + AT_ONCE)
            used, who = np.unique(self.who[piece], return_inverse=True)
            names = [self.names[number] for number in used.tolist()]
            last = start + AT_ONCE >= count
            yield Batch(names, who, self.at[piece], self.points[piece]), last


class Intake:
    """
    Makes lines of batches.

    Args:
        state: As it is; what is made of it is folded before the next line is made.
        judge: Decides.
        lateness: Seconds by which a position may be overtaken.

    Attributes:
        moves: What was decided so far.
    """

    def __init__(self, state: Stays, judge: Judge, lateness: float) -> None:
        self._state = state
        self._judge = judge
        self._lateness = lateness
        self.moves: list[ZoneMove] = []

    def line(self, batch: Batch, *, finish: bool) -> dict[str, Any] | None:
        """
        One line of the journal, or None where nothing is new.

        Args:
            batch: Positions, of which there may be none.
            finish: Nothing is to be waited for.
        """
        batch, duplicates, late = self._new(batch)
        state = self._state
        latest = [float(batch.at[-1])] if len(batch.at) else []
        newest = max([*latest, *([] if state.newest is None else [state.newest])], default=None)
        if newest is None:
            return None
        released = newest if finish else newest - self._lateness
        if not (len(batch.at) or duplicates or late or (finish and state.waiting)):
            return None
        names = list(batch.names)
        fixes = self._released(names, batch, released)
        moves = self._judge.moves(names, fixes, state, released)
        self.moves += moves
        places = {name: number for number, name in enumerate(names)}
        for move in moves:  # of one that was silent
            if move.object not in places:
                places[move.object] = len(names)
                names.append(move.object)
        zones: dict[str, int] = {}
        columns = {
            "at": [move.at for move in moves],
            "kind": [move.kind.value for move in moves],
            "object": [places[move.object] for move in moves],
            "zone": [zones.setdefault(move.zone, len(zones)) for move in moves],
        }
        axes = dict(zip("xyz", batch.points.T.tolist(), strict=False))
        return {
            "newest": newest,
            "released": released,
            "objects": names,
            "who": batch.who.tolist(),
            "at": batch.at.tolist(),
            **axes,
            "zones": list(zones),
            "moves": columns,
            "duplicates": duplicates,
            "late": late,
        }

    def _new(self, batch: Batch) -> tuple[Batch, int, int]:
        """The positions that were not there, by time, and how many were or come too late."""
        last = np.array([self._state.last.get(name, -np.inf) for name in batch.names])
        order = np.lexsort((batch.who, batch.at))  # stable: of twins the first one stays
        who, at = batch.who[order], batch.at[order]
        known = last[who] if len(who) else np.zeros(0)
        late = at < known
        twin = at == known
        twin[1:] |= (at[1:] == at[:-1]) & (who[1:] == who[:-1])
        waiting = {
            number: self._state.waiting[name]
            for number, name in enumerate(batch.names)
            if name in self._state.waiting
        }
        if waiting:
            newest = self._state.newest
            until = int(np.searchsorted(at, np.inf if newest is None else newest, side="right"))
            pairs = zip(who[:until].tolist(), at[:until].tolist(), strict=True)
            again = [moment in waiting.get(one, ()) for one, moment in pairs]
            twin[:until] |= np.array(again, bool)
        new = ~late & ~twin
        kept = Batch(batch.names, who[new], at[new], batch.points[order[new]])
        return kept, int((twin & ~late).sum()), int(late.sum())

    def _released(self, names: list[str], batch: Batch, released: float) -> Fixes:
        """Of what is new and what waited: that up to *released*, by object and time."""
        ready = batch.at <= released
        who, at, points = batch.who[ready], batch.at[ready], _with_z(batch.points[ready])
        numbers = {name: number for number, name in enumerate(names)}
        rows = []
        for name, fixes in self._state.waiting.items():
            for moment, where in fixes.items():
                if moment <= released:
                    if name not in numbers:
                        numbers[name] = len(names)
                        names.append(name)
                    rows.append((numbers[name], moment, *where, *([0.0] * (3 - len(where)))))
        if rows:
            waited = np.array(rows)
            who = np.concatenate([who, waited[:, 0].astype(np.int64)])
            at = np.concatenate([at, waited[:, 1]])
            points = np.concatenate([points, waited[:, 2:]])
        order = np.lexsort((at, who))
        return Fixes(who[order], at[order], points[order])


def _with_z(points: Any) -> Any:
    if points.shape[1] == 3:  # noqa: PLR2004
        return points
    return np.column_stack([points, np.zeros(len(points))])
