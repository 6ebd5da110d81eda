"""
Prices of the agents' hours that lower the bound: subgradient steps (Held, Wolfe, Crowder 1974).

The direction is the hours asked for beyond those there are, mixed with the last one (Camerini,
Fratta, Maffioli 1975); the step is Polyak's towards a target below the best bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines.assign.problem import Floats, Market, dual_bound

_KEPT = 0.6  # share of the last direction in the next
_AIM = 0.01  # of the bound: how far below it steps aim at first
_NEARER = 1  # rounds without a better bound before they aim half as far
_LOWER = 0.1  # of the way the bound has come, where it is below what it aimed at
_HIGHEST = 1e25  # price of an hour; what the longest task costs then is a number also in singles
_STILL = 1e-200  # of a direction, squared; steps of less would be beyond numbers
_PATIENCE = 4  # rounds without a better bound before steps are halved


@dataclass(slots=True)
class Bound:
    """The best bound found, and the prices that prove it."""

    value: float
    prices: Floats


def descend(
    problem: Market,
    prices: Floats,
    rounds: int,
    over: Callable[[], bool] = lambda: False,
) -> Bound:
    """
    Lower the bound over all pairs, in at most *rounds* passes.

    Args:
        prices: Where to begin.
        over: Whether the time is up; asked between passes.
    """
    value, answers = dual_bound(problem, prices)
    best, there = Bound(value, prices), answers
    aim, worse = _AIM, 0
    direction = np.zeros_like(prices)
    for _ in range(rounds):
        if over():
            break
        excess = answers.load - problem.capacity
        excess[(prices <= 0) & (excess < 0)] = 0.0
        direction = excess + _KEPT * direction
        norm = float(direction @ direction)
        if not _STILL < norm < np.inf:
            break
        step = (value - best.value * (1 - aim)) / norm
        prices = np.clip(prices + direction * step, 0.0, _HIGHEST)
        value, answers = dual_bound(problem, prices)
        if value < best.value - 1e-12:
            best, there, worse = Bound(value, prices), answers, 0
        else:
            worse += 1
            if worse >= _NEARER:
                aim, worse = aim / 2, 0
                prices, value, answers = best.prices, best.value, there
                direction = np.zeros_like(prices)
    return best


def descend_packed(
    packed: Callable[[Floats], tuple[float, Floats]],
    prices: Floats,
    rounds: int,
    lower: float,
    over: Callable[[], bool],
) -> Bound:
    """
    Lower a bound by prices of tasks in the same way.

    Args:
        packed: Says, of prices, the bound and how many agents take each task.
        lower: What the steps aim at; lower still once the bound is there.
    """
    first = None
    best = Bound(np.inf, prices)
    scale, worse = 1.0, 0
    direction = np.zeros_like(prices)
    for _ in range(rounds):
        if over():
            break
        bound, taken = packed(prices)
        first = bound if first is None else first
        if bound < best.value - 1e-9:
            best, worse = Bound(bound, prices), 0
        else:
            worse += 1
        if worse >= _PATIENCE:
            scale, worse = scale / 2, 0
            prices, direction = best.prices, np.zeros_like(prices)
            continue
        direction = surplus(taken, prices) + _KEPT * direction
        norm = float(direction @ direction)
        if norm <= 0:
            break
        if best.value <= lower:
            lower = best.value - _LOWER * (first - best.value)
        prices = np.maximum(prices + direction * (scale * max(bound - lower, 0.0) / norm), 0.0)
    return best


def surplus(taken: Floats, prices: Floats) -> Floats:
    """How many agents more than one take each task; a price of 0 falls no further."""
    more: Floats = taken - 1.0
    more[(prices <= 0) & (more < 0)] = 0.0
    return more
