"""
Exact where little is left: an integer program over the pairs that a better plan can use.

At prices a pair costs at least so much; where that is more than the bound is above the plan in
hand, no better plan has the pair.  Prices of tasks say more than those of hours: a pair's cost is
then what its agent's knapsack is worth less with it (Posta, Ferland and Michelon 2012).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.exact import integer_program
from engines.assign.problem import Candidates, Dense, Flags, Floats, candidates
from engines.assign.solution import Solution, drafted, within_hours

_EXACT = 6_000  # pairs of an integer program that has time
_EXACT_UNTIMED = 400  # of one that has none: more take many seconds
_HOPELESS = 100_000  # pairs of which too many are left over for one that has none
_NODES = 200  # of its search tree


def prove(
    problem: Dense,
    found: Solution,
    left: Callable[[], float] | None,
    dear: Flags | None = None,
) -> None:
    """
    Solve what is small exactly.

    Args:
        dear: (tasks, agents), pairs that are known to be in no better plan.
    """
    if left is None and problem.value.size > _HOPELESS:
        return
    core = _core(problem, found, dear)
    if len(core.column) > (_EXACT if left else _EXACT_UNTIMED):
        return
    answer = integer_program(
        core,
        problem.capacity,
        problem.team,
        nodes=None if left else _NODES,
        seconds=left() - 0.1 if left else None,
    )
    found.bound = max(min(found.bound, max(answer.bound, found.value)), found.value)
    draft = found.draft
    if answer.taken is not None:
        draft = drafted(problem, core, answer.taken)
        found.take(problem, draft)
    if answer.proven and within_hours(problem, draft):
        found.bound = found.value


def _core(problem: Dense, found: Solution, dear: Flags | None) -> Candidates:
    worth = problem.responses(found.prices).worth
    cost: Floats = worth[:, None] - (problem.value - problem.hours * found.prices)
    keep = (cost <= found.price_bound - found.value + 1e-9) | (problem.team[:, None] > 1)
    keep &= problem.value > -np.inf
    if dear is not None:
        keep &= ~dear
    row, column = np.nonzero(keep)
    return candidates(
        len(problem.team), row, column, problem.value[row, column], problem.hours[row, column]
    )
