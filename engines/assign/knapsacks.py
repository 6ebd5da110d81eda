"""
A tighter bound: a price for each task instead of one for each hour (Ross and Soland 1975).

At prices u ≥ 0 of tasks each agent fills its hours as it likes best, whatever others take: a
knapsack, solved exactly.  Σ u + Σ knapsacks is at least the value of any plan, over all pairs.  It
is never above the bound by prices of hours, and the lower the fewer tasks an agent can hold.

For tasks of whole units of time that are as long for every agent.  Of each length only the best few
fit, so an agent's knapsack is a choice of how many of each length: all agents at once, by arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines.assign.hours import counted_in
from engines.assign.prices import descend_packed
from engines.assign.problem import Dense, Flags, Floats, Ints

_LENGTHS = 12
_UNITS = 96
_NEARBY = 0.9985  # of the first bound: what the descent aims at
_LISTED = 16  # tasks of each length that each agent looks at between passes over all
_SLACK = 1e-7  # what rounding may take off a sum


@dataclass(slots=True)
class _Length:
    """
    Tasks of one length.

    Attributes:
        units: How long they are.
        row: (agents, listed) tasks, and *value* what each is worth.
    """

    units: int
    row: Ints
    value: Floats


@dataclass(slots=True)
class Packed:
    """
    Agents' knapsacks at prices of tasks.

    Attributes:
        bound: Over the pairs looked at.
        taken: How many agents took each task.
        row, column: The pairs they took.
    """

    bound: float
    taken: Ints
    row: Ints
    column: Ints


class Knapsacks:
    """The knapsacks of a problem; `of` says whether it has them."""

    def __init__(self, problem: Dense, units: Ints, room: Ints) -> None:
        self._problem, self._units, self._room = problem, units, room

    @classmethod
    def of(cls, problem: Dense) -> Knapsacks | None:
        """None where tasks are of too many lengths, or not of whole units, or for teams."""
        hours = problem.hours[:, :1]
        if (problem.team > 1).any() or (problem.hours != hours).any():
            return None
        scale = counted_in(hours[:, 0], (1, 2, 4, 10))
        if scale is None:
            return None
        units = np.round(hours[:, 0] * scale).astype(np.int64)
        room = np.floor(problem.capacity * scale + 1e-6).astype(np.int64)
        if len(np.unique(units)) > _LENGTHS or room.max(initial=0) > _UNITS:
            return None
        return cls(problem, units, room)

    def listed(self, prices: Floats, most: int | None) -> list[_Length]:
        """Per length each agent's *most* best tasks at *prices*; of None all that could fit."""
        lengths = []
        for length in np.unique(self._units).tolist():
            rows = np.flatnonzero(self._units == length)
            value = self._problem.value[rows].T
            fit = max(int(self._room.max()) // length, 1)
            listed = min(len(rows), fit if most is None else most)
            cost = prices[rows] - value
            best = np.argpartition(cost, listed - 1, axis=1)[:, :listed]
            best.sort(axis=1)
            lengths.append(_Length(length, rows[best], np.take_along_axis(value, best, axis=1)))
        return lengths

    def pack(self, prices: Floats, lengths: list[_Length]) -> Packed:
        """Fill every agent's hours at *prices*."""
        agents, most = len(self._room), int(self._room.max())
        worth = np.zeros((agents, most + 1))
        chosen: list[tuple[_Length, Ints, list[Flags]]] = []
        for length in lengths:
            profit = length.value - prices[length.row]
            gaining = int((profit > 0).sum(axis=1).max(initial=0))
            fit = min(most // length.units, gaining)
            if not fit:
                continue
            order = np.argsort(-profit, axis=1, kind="stable")[:, :fit]
            gain = np.take_along_axis(profit, order, axis=1)
            from_ = most + 1 - length.units
            taken = []
            for item in range(fit):
                offer = worth[:, :from_] + gain[:, item : item + 1]
                taken.append(offer > worth[:, length.units :])
                np.maximum(worth[:, length.units :], offer, out=worth[:, length.units :])
            chosen.append((length, order, taken))
        every = np.arange(agents)
        room = self._room.copy()
        total = float(worth[every, room].sum())
        rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for length, order, taken in reversed(chosen):
            for item in range(len(taken) - 1, -1, -1):
                rest = room - length.units
                agent = np.flatnonzero((rest >= 0) & taken[item][every, np.maximum(rest, 0)])
                room[agent] = rest[agent]
                rows.append(length.row[agent, order[agent, item]])
                columns.append(agent)
        row, column = np.concatenate(rows), np.concatenate(columns)
        taken_by = np.bincount(row, minlength=len(prices))
        slack = _SLACK * len(prices)
        return Packed(float(prices.sum()) + total + slack, taken_by, row, column)

    def descend(self, prices: Floats, rounds: int, over: Callable[[], bool]) -> Packed:
        """The knapsacks at prices of a lower bound, over all pairs."""
        lengths = self.listed(prices, _LISTED)

        def packed(prices: Floats) -> tuple[float, Floats]:
            found = self.pack(prices, lengths)
            return found.bound, found.taken.astype(float)

        best = descend_packed(packed, prices, rounds, _NEARBY * packed(prices)[0], over).prices
        return self.pack(best, self.listed(best, None))
