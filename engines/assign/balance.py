"""
Even loads as a secondary aim: tasks move to agents who are less busy, at little or no loss.

The aim is the sum of squared shares of hours in use; each move lowers it.  Value that is given up
stays within what the rules allow.
"""

from __future__ import annotations

import numpy as np

from engines.assign.problem import Dense, Ints, Problem
from engines.assign.solution import Solution

_MOVES = 2_000
_AT_ONCE = 64  # tasks
_EPS = 1e-9
_GAIN = 1e-6  # squared shares; less is not worth a move


def balanced(problem: Problem, solution: Solution, share: float) -> None:
    """Spread the loads, giving up at most *share* of the value."""
    if not isinstance(problem, Dense) or not len(problem.capacity):
        return
    draft = solution.draft
    budget = share * solution.value + _EPS
    has = np.maximum(problem.capacity, _EPS)
    used = problem.capacity - draft.left
    rows = _movable(problem, draft.column, budget)
    for _ in range(_MOVES):
        order = rows[np.argsort(-(used / has)[draft.column[rows]], kind="stable")]
        for first in range(0, len(order), _AT_ONCE):
            some = order[first : first + _AT_ONCE]
            each, home = np.arange(len(some)), draft.column[some]
            value, hours = problem.value[some], problem.hours[some]
            own, loss = hours[each, home], value[each, home][:, None] - value
            before = (used / has) ** 2
            change = ((used + hours) / has) ** 2 - before
            change += (((used[home] - own) / has[home]) ** 2 - before[home])[:, None]
            able = (value > -np.inf) & (hours <= draft.left) & (loss <= budget)
            able[each, home] = False
            change = np.where(able, change, 0.0)
            best = change.argmin(axis=1)
            gains = np.flatnonzero(change[each, best] < -_GAIN)
            if len(gains):
                at = int(gains[0])
                to, off = int(best[at]), int(home[at])
                draft.column[some[at]] = to
                draft.left[off] += own[at]
                draft.left[to] -= hours[at, to]
                used[off] -= own[at]
                used[to] += hours[at, to]
                budget -= max(float(loss[at, to]), 0.0)
                break
        else:
            break
    solution.value = draft.value(problem)


def _movable(problem: Dense, column: Ints, budget: float) -> Ints:
    """Tasks of one that somebody else could take at a loss within *budget*."""
    rows = np.flatnonzero(column >= 0)
    least = problem.value[rows, column[rows]] - budget
    found: Ints = rows[((problem.value[rows] >= least[:, None]).sum(axis=1)) > 1]
    return found
