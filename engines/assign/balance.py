"""
Even loads as a secondary aim: tasks move to agents who are less busy, at little or no loss.

The aim is the sum of squared shares of hours in use; each move lowers it.  Value that is given up
stays within what the rules allow.  What is open is given to whoever has room for it after that.
"""

from __future__ import annotations

import numpy as np

from engines.assign.polish import fill_all
from engines.assign.problem import Dense, Ints, Problem, blocks
from engines.assign.solution import Solution

_MOVES = 2_000
_AT_ONCE = 64  # tasks
_EPS = 1e-9
_GAIN = 1e-6  # squared shares; less is not worth a move


def balanced(problem: Problem, solution: Solution, share: float) -> None:
    """Spread the loads, giving up at most *share* of the value, and fill what room there is."""
    if not isinstance(problem, Dense) or not len(problem.capacity):
        return
    if share or not solution.draft.teams:
        _spread(problem, solution, share)
    fill_all(problem, solution.draft, solution.prices)
    solution.value = solution.draft.value(problem)
    solution.bound = max(solution.bound, solution.value)  # a search is exact to a millionth only


def _spread(problem: Dense, solution: Solution, share: float) -> None:
    draft = solution.draft
    budget = share * solution.value + _EPS
    has = np.maximum(problem.capacity, _EPS)
    used = problem.capacity - draft.left
    rows = _movable(problem, draft.column, budget)
    for _ in range(_MOVES):
        busiest = rows[np.argsort(-(used / has)[draft.column[rows]], kind="stable")]
        for first in range(0, len(busiest), _AT_ONCE):
            some = busiest[first : first + _AT_ONCE]
            each, home = np.arange(len(some)), draft.column[some]
            value, hours = problem.value[some], problem.hours[some]
            here = value[each, home]
            able = (value >= (here - budget)[:, None]) & (hours <= draft.left)
            able[each, home] = False
            row, to = np.nonzero(able)
            off, own, more = home[row], hours[each, home][row], hours[row, to]
            change = ((used[to] + more) / has[to]) ** 2 - (used[to] / has[to]) ** 2
            change += ((used[off] - own) / has[off]) ** 2 - (used[off] / has[off]) ** 2
            gains = np.flatnonzero(change < -_GAIN)
            if not len(gains):
                continue
            of_first = gains[row[gains] == row[gains[0]]]
            at = int(of_first[change[of_first].argmin()])
            old, new = int(off[at]), int(to[at])
            draft.column[some[row[at]]] = new
            draft.left[old] += own[at]
            draft.left[new] -= more[at]
            used[old] -= own[at]
            used[new] += more[at]
            budget -= max(float(here[row[at]] - value[row[at], new]), 0.0)
            break
        else:
            break


def _movable(problem: Dense, column: Ints, budget: float) -> Ints:
    """Tasks of one that somebody else could take at a loss within *budget*."""
    least = np.full(len(column), np.inf)
    on = np.flatnonzero(column >= 0)
    least[on] = problem.value[on, column[on]] - budget
    able = np.zeros(len(column), np.int64)
    for part in blocks(*problem.shape):
        able[part] = np.count_nonzero(problem.value[part] >= least[part, None], axis=1)
    return np.flatnonzero(able > 1)
