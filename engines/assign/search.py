"""
Local search: tasks move to better agents, each move making room for itself where it must.

A task goes to an agent with hours left, or takes the place of another (an ejection), which goes
to the best agent with hours left or, where the gain is worth it, to nobody.  Only candidates are
tried.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from engines.assign.draft import Draft
from engines.assign.problem import Candidates, Floats, Ints

_EPS = 1e-9
_NOBODY = -1

Offer = tuple[int, float, float]  # column, value, hours


class Search:
    """
    Moves over a draft's tasks of one.

    Args:
        most: Candidates of each task that are tried, best at the *prices* first.
    """

    def __init__(
        self, pairs: Candidates, draft: Draft, prices: Floats, single: Ints, most: int
    ) -> None:
        self._draft = draft
        self._left: list[float] = draft.left.tolist()
        self._at: list[int] = draft.column.tolist()
        self._pairs, self._prices, self._most = pairs, prices, most
        self._single = single
        self._offers: dict[int, list[Offer]] = {}
        self._most_worth: dict[int, float] = {}
        self._own: dict[int, tuple[float, float]] = {}  # value and hours where it is
        self._on: list[set[int]] = [set() for _ in self._left]
        row = pairs.row
        here = np.flatnonzero(pairs.column == draft.column[row])
        for at in here.tolist():
            self._own[int(row[at])] = float(pairs.value[at]), float(pairs.hours[at])
        for task, column in enumerate(self._at):
            if column >= 0 and task in self._own:  # others stay where they are
                self._on[column].add(task)

    def run(self, rows: Ints, moves: int, over: Callable[[], bool] = lambda: False) -> int:
        """
        Try the tasks *rows*, those displaced after them, until none gains or *moves* are tried.

        Return how many moved.
        """
        waiting = deque(int(row) for row in rows if self._single[row])
        queued = set(waiting)
        moved = tried = 0
        while waiting and tried < moves:
            if not tried % 64 and over():
                break
            tried += 1
            row = waiting.popleft()
            queued.discard(row)
            displaced = self._move(row)
            if displaced is None:
                continue
            moved += 1
            for other in displaced:
                if other not in queued:
                    waiting.append(other)
                    queued.add(other)
        self._draft.column[:] = self._at
        self._draft.left[:] = self._left
        return moved

    def _offered(self, row: int) -> list[Offer]:
        offers = self._offers.get(row)
        if offers is None:
            part = self._pairs.of(row)
            column = self._pairs.column[part]
            value, hours = self._pairs.value[part], self._pairs.hours[part]
            order = np.argsort(-(value - hours * self._prices[column]), kind="stable")
            order = order[: self._most]
            offers = list(
                zip(
                    column[order].tolist(),
                    value[order].tolist(),
                    hours[order].tolist(),
                    strict=True,
                )
            )
            self._offers[row] = offers
        return offers

    def _move(self, row: int) -> list[int] | None:  # noqa: C901  one move, its parts in order
        """Make the best move of one task; what it displaced, or None where nothing gains."""
        home = self._at[row]
        if home >= 0 and row not in self._own:
            return None
        value_now, hours_now = self._own[row] if home >= 0 else (0.0, 0.0)
        if home >= 0:
            self._left[home] += hours_now  # as if it were gone already
        best, move = _EPS, None
        for offer in self._offered(row):
            column, value, hours = offer
            if column == home:
                continue
            gain, short = value - value_now, hours - self._left[column]
            if short > 0:
                found = self._ejection(column, short, gain, best)
            else:
                found = (gain, _NOBODY, None) if gain > best else None
            if found is not None:
                best, move = found[0], (offer, found[1], found[2])
        if home >= 0:
            self._left[home] -= hours_now
        if move is None:
            return None
        if home >= 0:
            self._leave(row)
        offer, other, place = move
        if other != _NOBODY:
            self._leave(other)
            if place is not None:
                self._enter(other, *place)
        self._enter(row, *offer)
        return [other] if other != _NOBODY else []

    def _ejection(
        self, column: int, short: float, gain: float, best: float
    ) -> tuple[float, int, Offer | None] | None:
        """Who is to leave *column* so that *short* hours more are free, and where it goes."""
        found = None
        for other in sorted(self._on[column]):
            value, hours = self._own[other]
            if hours < short or gain - value + self._dearest(other) <= best:
                continue
            place = self._place(other, column)
            total = gain - value + (place[1] if place is not None else 0.0)
            if total > best:
                best, found = total, (total, other, place)
        return found

    def _dearest(self, row: int) -> float:
        """No candidate of it is worth more."""
        found = self._most_worth.get(row)
        if found is None:
            found = max((value for _, value, _ in self._offered(row)), default=0.0)
            self._most_worth[row] = found
        return found

    def _place(self, row: int, but: int) -> Offer | None:
        """The dearest candidate with hours left."""
        found: Offer | None = None
        for offer in self._offered(row):
            if (
                offer[0] != but
                and offer[2] <= self._left[offer[0]]
                and (found is None or offer[1] > found[1])
            ):
                found = offer
        return found

    def _leave(self, row: int) -> None:
        column = self._at[row]
        self._on[column].discard(row)
        self._left[column] += self._own.pop(row)[1]
        self._at[row] = _NOBODY

    def _enter(self, row: int, column: int, value: float, hours: float) -> None:
        self._at[row] = column
        self._own[row] = value, hours
        self._on[column].add(row)
        self._left[column] -= hours
