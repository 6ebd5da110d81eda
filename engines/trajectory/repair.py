"""
Repair: a plan is kept in part, the rest found anew under disturbed costs, again and again.

Many of the operators of the plan at hand are made nearly free and all costs are disturbed; the
plan that h_add then suggests, made minimal, replaces it where it is better, and with a chance
that falls where it is not (simulated annealing).  What is nearly free h_add does not count twice,
which is what it does wrong where sub-goals are shared.
"""

from __future__ import annotations

import math
from random import Random

from engines.trajectory.budget import Budget
from engines.trajectory.incumbents import Incumbents
from engines.trajectory.supporters import suggested
from engines.trajectory.task import Task

_NEARLY_FREE = 0.01
_KEPT = (0.3, 0.95)
_NOISE = 2.0
_WARM, _COLD = 0.03, 0.001  # accepted losses, as shares of the plan's cost


def repair(
    task: Task,
    incumbents: Incumbents,
    *,
    rounds: int,
    random: Random,
    budget: Budget,
    target: float = 0.0,
    prices: tuple[float, ...] = (),
) -> None:
    """
    Improve on the best of *incumbents* for so many rounds.

    Args:
        target: A cost that is good enough.
        prices: Party → what a unit of its burden costs besides, so that fair plans are found too.
    """
    costs = _priced(task, prices)
    best = incumbents.best
    plan = set(best[2]) if best else suggested(task, costs)
    if plan is None:
        return
    incumbents.offer(plan)
    value = lowest = sum(map(costs.__getitem__, sorted(plan)))
    for number in range(rounds):
        if budget.over() or incumbents.cost <= target:
            return
        found = suggested(task, _disturbed(costs, plan, random))
        if found is None:
            return
        # The plan and what was found may help each other: once more with both at hand.
        both = plan | found
        joined = suggested(
            task, [c * (_NEARLY_FREE if op in both else 1) for op, c in enumerate(costs)]
        )
        for candidate in (found, joined):
            if candidate is None:
                continue
            incumbents.offer(candidate)
            reached = sum(map(costs.__getitem__, sorted(candidate)))
            share = number / max(rounds - 1, 1)
            heat = lowest * _WARM * (_COLD / _WARM) ** share
            if reached <= value or (
                heat > 0 and random.random() < math.exp((value - reached) / heat)
            ):
                plan, value = candidate, reached
                lowest = min(lowest, value)


def _priced(task: Task, prices: tuple[float, ...]) -> list[float]:
    if not any(prices):
        return task.costs
    return [
        cost + sum(prices[party] * amount for party, amount in burden)
        for cost, burden in zip(task.costs, task.burdens, strict=True)
    ]


def _disturbed(costs: list[float], plan: set[int], random: Random) -> list[float]:
    draw = random.random
    low, high = _KEPT
    kept = low + (high - low) * draw()
    disturbed = [cost * (1 + _NOISE * draw()) for cost in costs]
    for op in sorted(plan):
        if draw() < kept:
            disturbed[op] *= _NEARLY_FREE
    return disturbed
