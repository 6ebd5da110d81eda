"""
Local search: tasks move to better agents, each move making room for itself where it must.

A task goes to an agent with hours left, or takes the place of another (an ejection), which goes to
the best agent with hours left or, where the gain is worth it, to nobody.  Only candidates are tried.
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

    def _move(self, row: int) -> list[int] | None:
        """Make the best move of one task; what it displaced, or None where nothing gains."""
        left, own = self._left, self._own
        home = self._at[row]
        if home >= 0 and row not in own:
            return None
        value_now, hours_now = own[row] if home >= 0 else (0.0, 0.0)
        best, choice = _EPS, None
        if home >= 0:
            left[home] += hours_now  # as if it were gone already
        for column, value, hours in self._offered(row):
            if column == home:
                continue
            gain, short = value - value_now, hours - left[column]
            if short <= 0:
                if gain > best:
                    best, choice = gain, (column, value, hours, _NOBODY, None)
                continue
            for other in self._on[column]:
                other_value, other_hours = own[other]
                if other_hours < short or gain - other_value + self._dearest(other) <= best:
                    continue
                place = self._place(other, column)
                found = gain - other_value + (place[1] if place else 0.0)
                if found > best or (
                    choice and found == best and (choice[3], choice[0]) > (other, column)
                ):
                    best, choice = found, (column, value, hours, other, place)
        if home >= 0:
            left[home] -= hours_now
        if choice is None:
            return None
        column, value, hours, other, place = choice
        if home >= 0:
            self._leave(row)
        displaced = []
        if other != _NOBODY:
            self._leave(other)
            if place:
                self._enter(other, *place)
            displaced.append(other)
        self._enter(row, column, value, hours)
        return displaced

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
