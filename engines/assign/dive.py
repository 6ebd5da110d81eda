"""
Plans drawn from the knapsacks of all agents: dives.

Prices of tasks that lower the bound leave few tasks taken twice or by nobody.  In a dive prices go
on moving; each few rounds the pairs that are in most of the knapsacks are fixed, and what is left
is a smaller problem.
(Lagrangian heuristics: Fisher 1981; diving: Wedelin 1995, Joncour et al. 2010.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.packing import Packing
from engines.assign.prices import surplus
from engines.assign.problem import Floats, Ints

_ROUNDS = 12  # of prices between two fixings
_SURE = 0.9  # share of the knapsacks with a pair, from which on it is fixed
_SHARE = 0.08  # of the open tasks that are fixed at least
_MOST = 0.35  # of them at most
_NOISE = 0.05
_KEPT = 0.5  # share of the last direction in the next


def dive(
    packing: Packing,
    prices: Floats,
    step: float,
    random: np.random.Generator,
    over: Callable[[], bool],
) -> Ints:
    """
    A plan: for each task its agent, -1 for nobody.

    Args:
        step: By how much prices move in a round: about what the plan may be below the bound.
    """
    tasks = len(prices)
    column, prices, room = np.full(tasks, -1), prices.copy(), packing.room.copy()
    open_ = np.arange(tasks)
    while len(open_) and not over():
        part = packing.part(open_, room)
        share, prices[open_] = _share(part, prices[open_], step)
        best = share.argmax(axis=1)
        often = share[np.arange(len(open_)), best]
        rank = often / np.maximum(share.sum(axis=1), 1.0) + _NOISE * random.random(len(open_))
        least, most = max(1, int(_SHARE * len(open_))), max(1, int(_MOST * len(open_)))
        count = min(max(int((rank >= _SURE).sum()), least), most)
        fixed = 0
        for at in np.argsort(-rank, kind="stable")[:count].tolist():
            agent, units = int(best[at]), int(part.units[at, best[at]])
            if often[at] > 0 and units <= room[agent]:
                column[open_[at]] = agent
                room[agent] -= units
                fixed += 1
        if not fixed and not _placed_one(part, room, open_, column):
            break
        open_ = open_[column[open_] < 0]
    return column


def _share(part: Packing, prices: Floats, step: float) -> tuple[Floats, Floats]:
    """In what share of the knapsacks each pair is, and the prices after these rounds."""
    count: Floats = np.zeros(part.value.shape)
    direction = np.zeros(len(prices))
    for _ in range(_ROUNDS):
        _, taken = part.pack(prices)
        count += taken
        direction = surplus(taken.sum(axis=1), prices) + _KEPT * direction
        norm = float(direction @ direction)
        if norm <= 0:
            return taken.astype(float), prices  # a plan already
        prices = np.maximum(prices + direction * (step / norm), 0.0)
    return count / _ROUNDS, prices


def _placed_one(part: Packing, room: Ints, open_: Ints, column: Ints) -> bool:
    """Give the task that has the fewest agents left to the best of them; False where none has."""
    value = np.where(part.units <= room, part.value, -np.inf)
    able = (value > -np.inf).sum(axis=1)
    if not able.any():
        return False
    at = int(np.where(able > 0, able, len(room) + 1).argmin())
    agent = int(value[at].argmax())
    column[open_[at]] = agent
    room[agent] -= part.units[at, agent]
    return True
