"""
Passes over all pairs of a problem too large to hold: one matrix product for each block of tasks.

Value less price is a product of what a task asks for and what an agent offers, but for what is not
allowed; so first the best of all is found, and only where that is not allowed the task's whole row
is looked at exactly.  In single precision; each bound is raised by more than that can be off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from engines.assign.problem import Candidates, Floats, Ints, Responses, best_team, candidates

if TYPE_CHECKING:
    from engines.assign.compile import Compiled

_TASKS = 256  # rows of one product
_SLACK = 4e-5  # of value for each task; single precision is off by less
_SAMPLED = 8  # every so manieth agent says from which price on a task has enough candidates
_NEVER = -1e4


def _factors(problem: Compiled, prices: Floats) -> tuple[Floats, Floats]:
    """Matrices whose product is value less price, of pairs that are allowed."""
    weights, urgency, effort = problem.weights, problem.urgency, problem.effort
    count = problem.needs.sum(axis=1)
    fond, affinity, travel = problem.by_place
    has = np.maximum(problem.hours, 1e-9)
    there = problem.hours > 0
    tasks = [
        problem.needs * (urgency * weights.skill / np.maximum(count, 1))[:, None],
        (urgency * (weights.free + weights.skill * (count == 0)))[:, None],
        urgency[:, None],
        (-urgency * effort)[:, None],
        -effort[:, None],
        np.ones((len(effort), 1)),
    ]
    agents = [
        problem.has,
        np.ones((1, len(prices))),
        (weights.confidence * problem.confidence)[None],
        np.where(there, weights.free / has, 0.0)[None],
        prices[None],
        np.where(there, 0.0, _NEVER)[None],
    ]
    if fond.any() or affinity.any() or travel.any():
        at = np.zeros((len(effort), len(fond)), np.float32)
        at[np.arange(len(effort)), problem.place] = 1
        tasks += [at * urgency[:, None], at]
        score = (weights.focus + 1e-6) * fond + affinity - weights.free * travel / has
        agents += [score, -travel * prices]
    left = np.concatenate(tasks, axis=1).astype(np.float32)
    right = np.concatenate(agents, axis=0).astype(np.float32)
    return left, np.ascontiguousarray(right)


def _products(
    problem: Compiled, prices: Floats, rows: Ints | None = None
) -> Iterator[tuple[Ints, Floats]]:
    left, right = _factors(problem, prices)
    out = np.empty((_TASKS, right.shape[1]), np.float32)
    every = np.arange(len(left)) if rows is None else rows
    for first in range(0, len(every), _TASKS):
        part = every[first : first + _TASKS]
        yield part, np.matmul(left[part], right, out=out[: len(part)])


def responses(problem: Compiled, prices: Floats) -> Responses:
    tasks, agents = problem.shape
    column, worth = np.zeros(tasks, np.int64), np.zeros(tasks)
    for rows, product in _products(problem, prices):
        column[rows] = best = product.argmax(axis=1)
        worth[rows] = product[np.arange(len(rows)), best]
    positive = np.flatnonzero(worth > -_SLACK)
    value, _ = problem.pairs(positive, column[positive])
    again = set(positive[value == -np.inf].tolist())
    again |= {*problem.kept, *np.flatnonzero(problem.team > 1).tolist()}
    column[worth <= 0] = -1
    worth = np.maximum(worth, 0.0)
    teams: dict[int, Ints] = {}
    looked = np.array(sorted(again), np.int64)
    for first in range(0, len(looked), _TASKS):
        rows = looked[first : first + _TASKS]
        value, hours = problem.rows(rows)
        reduced = value - hours * prices
        best = reduced.argmax(axis=1)
        found = reduced[np.arange(len(rows)), best]
        worth[rows] = np.maximum(found, 0.0)
        column[rows] = np.where(found > 0, best, -1)
        for at in np.flatnonzero(problem.team[rows] > 1):
            row = int(rows[at])
            column[row] = -1
            worth[row], members = best_team(reduced[at], int(problem.team[row]))
            if worth[row] > 0:
                teams[row] = members
    load = np.zeros(agents)
    single = np.flatnonzero(column >= 0)
    load += np.bincount(column[single], problem.pairs(single, column[single])[1], agents)
    for row, members in teams.items():
        load[members] += problem.pairs(np.full(len(members), row), members)[1]
    return Responses(worth + _SLACK, column, load, teams)


def near(problem: Compiled, prices: Floats, most: int, rows: Ints | None = None) -> Candidates:
    """About the *most* best agents of each task; of all tasks, or of some *rows*."""
    tasks, agents = problem.shape
    kept: list[tuple[Ints, Ints]] = []
    sampled = max(1, min(_SAMPLED, most // 4))
    nth = min(max(1, most // sampled), -(-agents // sampled))
    for part, product in _products(problem, prices, rows):
        sample = product[:, ::sampled]
        limit = np.partition(sample, sample.shape[1] - nth, axis=1)[:, sample.shape[1] - nth]
        np.maximum(limit, _NEVER / 2, out=limit)
        at, column = np.divmod(np.flatnonzero(product >= limit[:, None]), agents)
        kept.append((part[at], column))
    row = np.concatenate([np.zeros(0, np.int64), *(row for row, _ in kept)])
    column = np.concatenate([np.zeros(0, np.int64), *(column for _, column in kept)])
    value, hours = problem.pairs(row, column)
    able = value > -np.inf
    return candidates(tasks, row[able], column[able], value[able], hours[able])
