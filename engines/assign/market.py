"""Prices of hours, a shortlist of agents for each task at these, and the bound they prove."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.opening import first_prices
from engines.assign.prices import descend
from engines.assign.problem import Candidates, Dense, Floats, Problem, dual_bound

_ROUNDS = 18  # of prices
_ROUNDS_SMALL = 40  # the same in double precision
_ROUNDS_LARGE = 10  # and where not all pairs are held
_EXACT = 100_000  # pairs up to which each round is in double precision
_NEAR = 16  # agents on the shortlist of each task
_NEAR_SMALL = 32  # the same in double precision


def priced(problem: Problem, over: Callable[[], bool]) -> tuple[Candidates, Floats, float]:
    """A shortlist, prices, and the bound they prove over all pairs."""
    agents = len(problem.capacity)
    first = first_prices(problem)
    if not isinstance(problem, Dense):
        best = descend(problem, first, _ROUNDS_LARGE, over)
        return problem.near(best.prices, min(_NEAR, agents)), best.prices, best.value
    small = problem.value.size <= _EXACT
    market = problem if small else problem.rough()
    prices = descend(market, first, _ROUNDS_SMALL if small else _ROUNDS, over).prices
    bound, _ = dual_bound(problem, prices)
    zero, _ = dual_bound(problem, np.zeros(agents))
    if zero < bound:
        prices, bound = np.zeros(agents), zero
    near = market.near(prices, min(_NEAR_SMALL if small else _NEAR, agents))
    near.value, near.hours = problem.pairs(near.row, near.column)
    return near, prices, bound
