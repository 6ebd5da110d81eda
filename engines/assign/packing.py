"""
The tightest bound of small problems: a knapsack for each agent, whatever its hours for each task.

At prices u ≥ 0 of tasks each agent fills its hours as it likes best, whatever others take; Σ u + Σ
knapsacks is at least the value of any plan (Ross and Soland 1975).  All knapsacks at once: what the
linear relaxation settles is left out (Dembo and Hammer 1980), the rest is the recursion of Bellman.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.assign.hours import counted_in
from engines.assign.problem import Dense, Flags, Floats, Ints

_PAIRS = 20_000
_CELLS = 100_000  # agents times units of time
_PARTS = (1, 2, 4, 10, 20, 60)  # of an hour
_EPS = 1e-9
_SLACK = 1e-9  # what rounding may take off a sum, as a share of it
_NEVER = -1e18


@dataclass(slots=True)
class Packing:
    """
    A problem in whole units of time; `of` says whether it is one.

    Args:
        value: (tasks, agents); -inf where the agent cannot take the task.
        units: (tasks, agents) units of time.
        room: Units of each agent.
    """

    value: Floats
    units: Ints
    room: Ints

    @classmethod
    def of(cls, problem: Dense) -> Packing | None:
        """None where it is too large, or not of whole units, or for teams."""
        if problem.value.size > _PAIRS or (problem.team > 1).any():
            return None
        able = problem.value > -np.inf
        hours = problem.hours[able]
        scale = counted_in(hours, _PARTS)
        if scale is None or not len(hours):
            return None
        room = np.floor(problem.capacity * scale + 1e-6)
        if (room.max() + 1) * len(room) > _CELLS:
            return None
        units = np.where(able, np.round(problem.hours * scale), 1)
        return cls(problem.value, units.astype(np.int64), room.astype(np.int64))

    def part(self, rows: Ints, room: Ints) -> Packing:
        """Some tasks, where agents have *room* left."""
        return Packing(self.value[rows], self.units[rows], room)

    def pack(self, prices: Floats) -> tuple[float, Flags]:
        """The bound that prices of tasks prove, and what each agent takes, as (tasks, agents)."""
        profit = self.value.T - prices
        profit = np.where((profit > 0) & (self.room[:, None] >= self.units.T), profit, 0.0)
        taken = np.zeros(profit.shape, bool)
        worth = float(prices.sum())
        most = int((profit > 0).sum(axis=1).max(initial=0))
        if most:
            item, gain, units = self._by_density(profit, most)
            sure, open_ = _settled(gain, units, self.room)
            every = np.arange(len(self.room))[:, None]
            room = self.room - (units * sure).sum(axis=1)
            core = np.argsort(~open_, axis=1, kind="stable")[:, : int(open_.sum(axis=1).max())]
            gain_ = np.where(open_, gain, 0.0)[every, core]
            sure[every, core] |= _filled(gain_, units[every, core], room)
            taken[every, item] = sure
            worth += float(profit[taken].sum())
        return worth + _SLACK * abs(worth), taken.T

    def _by_density(self, profit: Floats, most: int) -> tuple[Ints, Floats, Ints]:
        """Per agent its tasks that gain, most per unit first, with their gains and units."""
        density = profit / self.units.T
        item = np.argsort(-density, axis=1, kind="stable")[:, :most]
        gain = np.take_along_axis(profit, item, axis=1)
        return item, gain, np.take_along_axis(self.units.T, item, axis=1)

    def cost(self, prices: Floats) -> tuple[float, Floats]:
        """The bound at *prices*, and by how much at least any plan with a pair stays below it."""
        profit = self.value.T - prices
        gain = np.where((profit > 0) & (self.room[:, None] >= self.units.T), profit, 0.0)
        table = _tables(gain, self.units.T, self.room)[0]
        every = np.arange(len(self.room))[:, None]
        best = table[every[:, 0], self.room]
        rest = self.room[:, None] - self.units.T
        with_it = profit + table[every, np.maximum(rest, 0)]
        cost = np.where(rest >= 0, best[:, None] - with_it, np.inf)
        bound = float(prices.sum() + best.sum())
        return bound + _SLACK * abs(bound), np.maximum(cost.T, 0.0)


def _settled(gain: Floats, units: Ints, room: Ints) -> tuple[Flags, Flags]:
    """What is surely taken, and what is open: all else is surely not."""
    agents, most = gain.shape
    each = np.arange(agents)
    total = np.cumsum(units * (gain > 0), axis=1)
    prefix = (total <= room[:, None]) & (gain > 0)
    first = np.minimum(prefix.sum(axis=1), most - 1)  # the one that breaks the room
    used = np.where(prefix, units, 0).sum(axis=1)
    worth = np.where(prefix, gain, 0.0).sum(axis=1)
    whole = (prefix | (gain <= 0)).all(axis=1)  # all fit
    density = np.where(whole, 0.0, gain[each, first] / units[each, first])
    left = room - used
    also = np.where(~prefix & (units <= left[:, None]), gain, 0.0).max(axis=1)
    slack = density * left - also + _EPS * np.maximum(worth, 1.0)
    reduced = gain - density[:, None] * units
    sure = (reduced > slack[:, None]) & (gain > 0)
    open_ = (np.abs(reduced) <= slack[:, None]) & (gain > 0)
    return sure, open_


def _tables(gain: Floats, units: Ints, room: Ints) -> tuple[Floats, list[Flags], Ints]:
    """
    Per agent what its best tasks are worth within each room; who was taken on the way, by agents
    in an order in which those with few tasks come last; and this order.
    """
    agents, most = gain.shape
    count = np.where(gain > 0, np.arange(1, most + 1), 0).max(axis=1, initial=0)
    order = np.argsort(-count, kind="stable")
    gain, count = gain[order], count[order]
    high = int(room.max(initial=0))
    wide = np.where(gain > 0, np.minimum(units[order], high + 1), 0)
    pad = int(wide.max(initial=0))
    buffer = np.full((agents, pad + high + 1), _NEVER)
    worth = buffer[:, pad:]
    worth[:] = 0.0
    flat = buffer.ravel()
    here = (np.arange(agents) * (pad + high + 1))[:, None] + pad + np.arange(high + 1)
    taken: list[Flags] = []
    for item in range(int(count.max(initial=0))):
        busy = int(np.searchsorted(-count, -item))
        offer = flat[here[:busy] - wide[:busy, item, None]] + gain[:busy, item, None]
        taken.append(offer > worth[:busy])
        np.maximum(worth[:busy], offer, out=worth[:busy])
    back = np.empty_like(worth)
    back[order] = worth
    return back, taken, order


def _filled(gain: Floats, units: Ints, room: Ints) -> Flags:
    """The best tasks of each agent for its room."""
    _, taken, order = _tables(gain, units, room)
    chosen = np.zeros(gain.shape, bool)
    left, units = room[order], units[order]
    for item in range(len(taken) - 1, -1, -1):
        busy = len(taken[item])
        mine = taken[item][np.arange(busy), left[:busy]]
        chosen[order[:busy], item] = mine
        left[:busy] -= units[:busy, item] * mine
    return chosen
