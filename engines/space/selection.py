"""
Choosing a few of many where what they gain together is monotone and submodular.

Up to a dozen candidates every choice is tried.  Of more, two greedy ones are made, by gain and by
gain per hour, and the better is taken: at least 1 - 1/e of the best where only the number is
limited (Nemhauser, Wolsey & Fisher 1978), at least half of that where only the hours are (Leskovec
et al. 2007).  The bound needs neither: what any choice gains beyond a set is at most the sum of
what its members gain beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

TRIED_ALL = 12
"""Candidates up to which every choice is tried."""

_ROUNDING = 1e-12

Gain = Callable[[frozenset[int]], float]


@dataclass(frozen=True)
class Selection:
    """
    Members, their gain together, and what no choice within the limits can pass.

    Attributes:
        chosen: In the order of gain per hour beside those before it, ties by number.
    """

    chosen: tuple[int, ...]
    value: float
    bound: float
    optimal: bool


def select(
    gain: Gain, hours: Sequence[float], *, limit: int | None = None, budget: float | None = None
) -> Selection:
    """
    The best choice found of candidates 0…len(hours)-1, at most *limit* and within *budget* hours.

    Args:
        gain: Of a set of candidates; 0 for none, monotone and submodular.
        hours: Of each, more than 0.
    """
    fitting = [n for n in range(len(hours)) if budget is None or hours[n] <= budget]
    most = len(fitting) if limit is None else min(limit, len(fitting))
    useful = [n for n in fitting if gain(frozenset([n])) > _ROUNDING]
    if len(useful) <= TRIED_ALL:
        best = _tried(gain, hours, useful, most, budget)
        value = bound = gain(best)
    else:
        by_gain, first = _greedy(gain, hours, useful, most, budget, per_hour=False)
        by_hour, second = _greedy(gain, hours, useful, most, budget, per_hour=True)
        best = max((by_hour, by_gain), key=gain)
        value, bound = gain(best), max(min(first, second), gain(best))
    return Selection(_order(gain, hours, best), value, bound, bound - value <= _ROUNDING)


def _tried(
    gain: Gain, hours: Sequence[float], useful: Sequence[int], most: int, budget: float | None
) -> frozenset[int]:
    """Of all choices the best; of equals the one of fewest hours, then that of lower numbers."""
    best: tuple[float, float] = (0.0, 0.0)
    found: frozenset[int] = frozenset()
    for size in range(1, min(most, len(useful)) + 1):
        for choice in combinations(useful, size):
            needed = sum(hours[n] for n in choice)
            if budget is not None and needed > budget + _ROUNDING:
                continue
            mine = frozenset(choice)
            value = gain(mine)
            better = value > best[0] + _ROUNDING
            if better or (value > best[0] - _ROUNDING and needed < best[1] - _ROUNDING):
                best, found = (value, needed), mine
    return found


def _greedy(
    gain: Gain,
    hours: Sequence[float],
    useful: Sequence[int],
    most: int,
    budget: float | None,
    *,
    per_hour: bool,
) -> tuple[frozenset[int], float]:
    """The greedy choice, and a bound of every choice."""
    chosen: frozenset[int] = frozenset()
    left = budget
    bound = gain(frozenset(useful))
    while True:
        here = gain(chosen)
        beside = {n: gain(chosen | {n}) - here for n in useful if n not in chosen}
        bound = min(bound, here + _most_of(beside, hours, most, budget))
        fits = [n for n in beside if left is None or hours[n] <= left + _ROUNDING]
        fits = [n for n in fits if beside[n] > _ROUNDING]
        if not fits or len(chosen) >= most:
            return chosen, bound
        weight = {n: beside[n] / hours[n] if per_hour else beside[n] for n in fits}
        taken = min(fits, key=lambda n: (-weight[n], n))
        chosen |= {taken}
        if left is not None:
            left -= hours[taken]


def _most_of(
    beside: dict[int, float], hours: Sequence[float], most: int, budget: float | None
) -> float:
    """The most that *most* members within *budget* could add, were what they add independent."""
    number = sum(sorted(beside.values(), reverse=True)[:most])
    if budget is None:
        return number
    total, left = 0.0, budget
    for n in sorted(beside, key=lambda n: -beside[n] / hours[n]):
        share = min(left / hours[n], 1.0)
        total += share * beside[n]
        left -= share * hours[n]
    return min(number, total)


def _order(gain: Gain, hours: Sequence[float], chosen: frozenset[int]) -> tuple[int, ...]:
    order: list[int] = []
    while len(order) < len(chosen):
        before = frozenset(order)
        here = gain(before)
        more = {n: (gain(before | {n}) - here) / hours[n] for n in chosen - before}
        order.append(min(more, key=lambda n: (-more[n], n)))
    return tuple(order)
