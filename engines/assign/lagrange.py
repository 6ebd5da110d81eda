"""A lower bound by knapsacks of the agents, and the plans that are drawn from these."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.dive import dive
from engines.assign.draft import Draft
from engines.assign.exact import linear_prices
from engines.assign.knapsacks import Knapsacks
from engines.assign.packing import Packing
from engines.assign.prices import descend_packed
from engines.assign.problem import Dense, Flags, Floats, Problem, dual_bound
from engines.assign.solution import Solution

_PACKINGS = 8  # rounds of prices of tasks
_WITH_TIME = 36  # times as many where there is time
_SMALL = 60  # rounds where the problem is small, and twice as many where there is time
_DIVES = 3  # where there is no time limit
_DESCENT = 0.15  # share of the time until dives begin
_DIVING = 0.6  # and until they end
_STEPS = (0.25, 0.5, 1.0)  # of prices in a dive, as shares of what is not proven


def dived(  # noqa: PLR0917
    problem: Dense,
    packing: Packing,
    found: Solution,
    better: Callable[[Draft], None],
    seed: int,
    left: Callable[[], float] | None,
) -> Flags:
    """Lower the bound, draw plans in dives, and say which pairs are in no better plan."""
    whole = 0.0 if left is None else left()

    def after(share: float) -> Callable[[], bool]:
        return lambda: left is not None and left() <= (1 - share) * whole

    over = after(_DIVING)

    def asked(prices: Floats) -> tuple[float, Floats]:
        bound, taken = packing.pack(prices)
        return bound, taken.sum(axis=1)

    prices = linear_prices(problem.near(found.prices, len(found.prices)), problem.capacity)
    bound, answers = dual_bound(problem, prices)
    if bound < found.price_bound:
        found.prices, found.price_bound = prices, bound
        found.bound = min(found.bound, bound)
    rounds = _SMALL if left is None else 2 * _SMALL
    best = descend_packed(
        asked, answers.worth, rounds, 0.5 * (found.value + found.bound), after(_DESCENT)
    )
    found.bound = min(found.bound, best.value)
    random = np.random.default_rng(seed)
    turn = 0
    while (turn < _DIVES if left is None else not over()) and not found.proven:
        step = _STEPS[turn % len(_STEPS)] * (found.bound - found.value)
        column = dive(packing, best.prices, step, random, over)
        if over():
            break
        draft = Draft.empty(problem)
        on = np.flatnonzero(column >= 0)
        draft.column[on] = column[on]
        draft.left -= np.bincount(column[on], problem.hours[on, column[on]], len(draft.left))
        better(draft)
        turn += 1
    bound, cost = packing.cost(best.prices)
    return cost > bound - found.value + 1e-9


def packed(problem: Problem, found: Solution, left: Callable[[], float] | None) -> Draft | None:
    """Lower the bound by knapsacks, and draw a plan from these; None where they do not apply."""
    knapsacks = Knapsacks.of(problem) if isinstance(problem, Dense) else None
    if knapsacks is None:
        return None
    worth = problem.responses(found.prices).worth
    rounds = _PACKINGS if left is None else _PACKINGS * _WITH_TIME
    end = 0.0 if left is None else left() / 3
    packed = knapsacks.descend(worth, rounds, lambda: left is not None and left() <= end)
    found.bound = min(found.bound, packed.bound)
    draft = Draft.empty(problem)
    value, hours = problem.pairs(packed.row, packed.column)
    dearest = np.lexsort((packed.column, -value, packed.row))
    row = packed.row[dearest]
    kept = dearest[np.r_[True, row[1:] != row[:-1]][: len(row)]]
    draft.column[packed.row[kept]] = packed.column[kept]
    np.subtract.at(draft.left, packed.column[kept], hours[kept])
    return draft
