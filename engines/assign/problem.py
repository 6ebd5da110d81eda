"""
The generalised assignment problem as arrays, and the one question asked of all of its pairs.

    maximise    Σ value[i, j] x[i, j]
    where       Σ_j x[i, j] = team[i] y[i]          a task has its whole team or nobody
                Σ_i hours[i, j] x[i, j] ≤ capacity[j]
                x, y ∈ {0, 1};  x[i, j] = 0 where value[i, j] is -inf

At prices λ ≥ 0 per hour of each agent the tasks are independent: each takes its best team or
nothing.  What they are worth then, plus Σ λ capacity, is at least the value of any plan (weak
duality; Fisher 1981), whatever the prices.  The bound is over all pairs, never over a shortlist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BLOCK = 1 << 16  # pairs looked at together; what is done to them stays in the processor's cache


class Market(Protocol):
    """What answers to prices."""

    capacity: Floats

    def responses(self, prices: Floats) -> Responses:
        """What each task takes at *prices*."""


class Problem(Market, Protocol):
    """What solvers need to know; rows are tasks and columns agents."""

    team: Ints

    @property
    def shape(self) -> tuple[int, int]: ...

    def rows(self, rows: Ints) -> tuple[Floats, Floats]:
        """Values and hours of all pairs of some tasks, as (len(rows), agents)."""

    def pairs(self, rows: Ints, columns: Ints) -> tuple[Floats, Floats]:
        """Values and hours of single pairs."""

    def near(self, prices: Floats, most: int) -> Candidates:
        """About the *most* best agents of each task at *prices*."""

    def part(self, rows: Ints, columns: Ints) -> Dense:
        """Some tasks and some agents."""


@dataclass(slots=True)
class Responses:
    """
    Tasks' answers to prices.

    Attributes:
        worth: Per task, what its best team is worth at the prices, at least 0; never too small.
        column: Per task of one, the agent it takes; -1 for none and for teams.
        teams: Per task of several that takes one: its agents.
        load: Per agent, the hours asked of it.
    """

    worth: Floats
    column: Ints
    load: Floats
    teams: dict[int, Ints] = field(default_factory=dict)


@dataclass(slots=True)
class Candidates:
    """Pairs, ordered by row: those of row i stand from start[i] to start[i + 1]."""

    start: Ints
    column: Ints
    value: Floats
    hours: Floats

    @property
    def row(self) -> Ints:
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def of(self, row: int) -> slice:
        return slice(int(self.start[row]), int(self.start[row + 1]))


@dataclass(slots=True)
class Dense:
    """
    All pairs in memory.

    Args:
        value: (tasks, agents); -inf where the agent cannot take the task.
        hours: (tasks, agents), above 0.
        capacity: Hours of each agent.
        team: How many agents each task needs.
    """

    value: Floats
    hours: Floats
    capacity: Floats
    team: Ints

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.team), len(self.capacity)

    def rows(self, rows: Ints) -> tuple[Floats, Floats]:
        return self.value[rows], self.hours[rows]

    def pairs(self, rows: Ints, columns: Ints) -> tuple[Floats, Floats]:
        return self.value[rows, columns], self.hours[rows, columns]

    def rough(self) -> Dense:
        """The same in single precision; what it says of prices is off by rounding."""
        value, hours = self.value.astype(np.float32), self.hours
        if not hours.strides[1]:  # as long for every agent
            first = hours[:, :1].astype(np.float32)
            return Dense(value, np.broadcast_to(first, value.shape), self.capacity, self.team)
        return Dense(value, hours.astype(np.float32), self.capacity, self.team)

    def responses(self, prices: Floats) -> Responses:
        tasks, agents = self.shape
        worth = np.zeros(tasks)
        column = np.full(tasks, -1)
        cost = prices.astype(self.value.dtype)
        for rows in blocks(tasks, agents):
            reduced = self.hours[rows] * cost
            np.subtract(self.value[rows], reduced, out=reduced)
            best = reduced.argmax(axis=1)
            found = reduced[np.arange(len(best)), best]
            worth[rows] = np.maximum(found, 0.0)
            column[rows] = np.where(found > 0, best, -1)
        teams = self._teams(prices, worth, column)
        load = np.zeros(agents)
        single = np.flatnonzero(column >= 0)
        load += np.bincount(column[single], self.hours[single, column[single]], agents)
        for row, members in teams.items():
            load[members] += self.hours[row, members]
        return Responses(worth, column, load, teams)

    def _teams(self, prices: Floats, worth: Floats, column: Ints) -> dict[int, Ints]:
        teams: dict[int, Ints] = {}
        for row in np.flatnonzero(self.team > 1):
            reduced = self.value[row] - self.hours[row] * prices
            column[row] = -1
            worth[row], members = best_team(reduced, int(self.team[row]))
            if worth[row] > 0:
                teams[int(row)] = members
        return teams

    def part(self, rows: Ints, columns: Ints) -> Dense:
        at = np.ix_(rows, columns)
        return Dense(self.value[at], self.hours[at], self.capacity[columns], self.team[rows])

    def near(self, prices: Floats, most: int) -> Candidates:
        tasks, agents = self.shape
        kept: list[tuple[Ints, Ints]] = []
        for rows in blocks(tasks, agents):
            reduced = self.value[rows] - self.hours[rows] * prices
            if most < agents:
                best = np.argpartition(-reduced, most - 1, axis=1)[:, :most]
                keep = np.zeros_like(reduced, dtype=bool)
                np.put_along_axis(keep, best, values=True, axis=1)
                keep &= reduced > -np.inf
            else:
                keep = reduced > -np.inf
            row, column = np.nonzero(keep)
            kept.append((row + rows.start, column))
        row = np.concatenate([row for row, _ in kept]) if kept else np.zeros(0, np.int64)
        column = np.concatenate([c for _, c in kept]) if kept else np.zeros(0, np.int64)
        return candidates(tasks, row, column, *self.pairs(row, column))


def candidates(tasks: int, row: Ints, column: Ints, value: Floats, hours: Floats) -> Candidates:
    """Pairs that are ordered by row already."""
    start = np.zeros(tasks + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=tasks), out=start[1:])
    return Candidates(start, column, value, hours)


def blocks(tasks: int, agents: int) -> Iterator[slice]:
    """Rows in blocks of about `BLOCK` pairs."""
    step = max(1, BLOCK // max(agents, 1))
    for first in range(0, tasks, step):
        yield slice(first, min(first + step, tasks))


def dual_bound(problem: Market, prices: Floats) -> tuple[float, Responses]:
    """The value that no plan exceeds, as these prices prove it, and the tasks' answers."""
    answers = problem.responses(prices)
    return float(answers.worth.sum() + (prices * problem.capacity).sum()), answers


def best_team(reduced: Floats, size: int) -> tuple[float, Ints]:
    """What the best team is worth, at least 0, of agents worth *reduced* each; and who is in it."""
    members = np.argsort(-reduced, kind="stable")[:size]
    worth = float(reduced[members].sum()) if len(members) == size else 0.0
    return max(worth, 0.0), np.sort(members)


def merged(one: Candidates, other: Candidates, agents: int) -> Candidates:
    """The pairs of both, each once."""
    key = np.concatenate([one.row * agents + one.column, other.row * agents + other.column])
    key, at = np.unique(key, return_index=True)
    value = np.concatenate([one.value, other.value])[at]
    hours = np.concatenate([one.hours, other.hours])[at]
    return candidates(len(one.start) - 1, key // agents, key % agents, value, hours)
