"""Prices of hours, a shortlist of agents for each task at these, and the bound they prove."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.draft import Draft, fill
from engines.assign.parts import prices_of_parts
from engines.assign.prices import descend
from engines.assign.problem import (
    Candidates,
    Dense,
    Floats,
    Problem,
    Shortlist,
    dual_bound,
    merged,
    sampled,
)

_ROUNDS = 40  # of prices, on each shortlist
_LISTS = 2  # shortlists after the first, each beside a pass over all pairs
_NEAR = 16  # agents on the shortlist of each task
_NEAR_LARGE = 48  # the same where not all pairs are held
_LISTS_LARGE = 3
_SAMPLED = 24  # agents of each task that are looked at first


def priced(
    problem: Problem, seed: int, over: Callable[[], bool]
) -> tuple[Candidates, Floats, float]:
    """A shortlist, prices, and the bound they prove over all pairs."""
    market = _market if isinstance(problem, Dense) else _large
    return market(problem, seed, over)


def _market(
    problem: Problem, seed: int, over: Callable[[], bool]
) -> tuple[Candidates, Floats, float]:
    """A shortlist, prices, and the bound they prove over all pairs."""
    agents = len(problem.capacity)
    single = problem.team == 1
    pairs = sampled(problem, min(_SAMPLED, 2 * agents), seed)
    prices: Floats = np.zeros(agents)
    best, bound, low = prices, np.inf, 0.0
    for round_ in range(_LISTS + 1):
        draft = Draft.empty(problem)
        fill(pairs, draft, prices, single)
        low = max(low, draft.value(problem))
        market = Shortlist(pairs, problem.capacity, problem.team)
        prices = descend(market, prices, _ROUNDS, low, over).prices
        found, _ = dual_bound(problem, prices)
        if found < bound:
            best, bound = prices, found
        if round_ == _LISTS or over():
            break
        near = problem.near(prices, min(_NEAR, agents))
        pairs = merged(pairs, near, agents) if round_ else near
    zero, _ = dual_bound(problem, np.zeros(agents))
    if zero < bound:
        best, bound = np.zeros(agents), zero
    return pairs, best, bound


def _large(
    problem: Problem, seed: int, over: Callable[[], bool]
) -> tuple[Candidates, Floats, float]:
    """As `_market`, with few passes over all pairs."""

    def of_part(part: Dense) -> Floats:
        return np.zeros(len(part.capacity)) if over() else _market(part, seed, over)[1]

    agents = len(problem.capacity)
    prices = prices_of_parts(problem, seed, of_part)
    best, bound = prices, dual_bound(problem, prices)[0]
    pairs = problem.near(prices, min(_NEAR_LARGE, agents))
    for round_ in range(_LISTS_LARGE):
        if over():
            break
        draft = Draft.empty(problem)
        fill(pairs, draft, best, problem.team == 1)
        market = Shortlist(pairs, problem.capacity, problem.team)
        prices = descend(market, best, _ROUNDS, draft.value(problem), over).prices
        # Whoever is on few lists came out too cheap; nearer to the last prices is safer.
        prices = 0.5 * (prices + best) if not round_ else prices
        found, _ = dual_bound(problem, prices)
        if found < bound:
            best, bound = prices, found
        if round_ + 1 < _LISTS_LARGE:
            pairs = merged(pairs, problem.near(prices, min(_NEAR_LARGE, agents)), agents)
    return pairs, best, bound
