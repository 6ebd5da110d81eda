"""
Even loads as a secondary aim: tasks move to agents who are less busy, at little or no loss.

The aim is the sum of squared shares of hours in use; each move lowers it.  Value that is given up
stays within what the rules allow.
"""

from __future__ import annotations

import numpy as np

from engines.assign.problem import Dense, Problem
from engines.assign.solution import Solution

_MOVES = 2_000
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
    single = np.flatnonzero(draft.column >= 0)
    for _ in range(_MOVES):
        at = draft.column[single]
        busy = used / has
        order = single[np.argsort(-busy[at], kind="stable")]
        for row in order.tolist():
            home = int(draft.column[row])
            own, value = problem.hours[row, home], problem.value[row]
            hours = problem.hours[row]
            loss = value[home] - value
            before = (used / has) ** 2
            change = ((used + hours) / has) ** 2 - before
            change += ((used[home] - own) / has[home]) ** 2 - before[home]
            able = (value > -np.inf) & (hours <= draft.left) & (loss <= budget)
            able[home] = False
            change = np.where(able, change, 0.0)
            best = int(change.argmin())
            if change[best] < -_GAIN:
                draft.column[row] = best
                draft.left[home] += own
                draft.left[best] -= hours[best]
                used[home] -= own
                used[best] += hours[best]
                budget -= max(float(loss[best]), 0.0)
                break
        else:
            break
    solution.value = draft.value(problem)
