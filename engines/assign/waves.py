"""
Local search in waves: all moves that gain are found at once, and the best of those that do not
touch each other are made.

A task goes to an agent with hours left, or takes the place of another (an ejection), which goes to
the best agent with hours left or, where the gain is worth it, to nobody.  The same moves as
`Search` tries one by one, for plans of many tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines.assign.draft import Draft
from engines.assign.problem import Candidates, Flags, Floats, Ints

_WAVES = 12
_EPS = 1e-9
_NOBODY = -1
_MOST = 50_000  # moves of a wave that are looked at
_LITTLE = 1e-4  # of the value


@dataclass(slots=True)
class _Moves:
    """Moves of *task* to *agent*; *other* leaves it for *place*.  Either may be nobody."""

    gain: Floats
    task: Ints
    agent: Ints
    value: Floats
    hours: Floats
    other: Ints


def waves(
    pairs: Candidates, draft: Draft, single: Flags, over: Callable[[], bool] = lambda: False
) -> None:
    """Make *draft* better by moves of tasks of one (where *single*) among *pairs*."""
    search = _Waves(pairs, draft, single)
    for _ in range(_WAVES):
        if over() or not search.wave():
            return


class _Waves:
    def __init__(self, pairs: Candidates, draft: Draft, single: Flags) -> None:
        self._draft = draft
        row = pairs.row
        kept = np.flatnonzero(single[row])
        self._row, self._column = row[kept], pairs.column[kept]
        self._value_of, self._hours_of = pairs.value[kept], pairs.hours[kept]
        self._begin = np.flatnonzero(np.r_[True, self._row[1:] != self._row[:-1]][: len(kept)])
        self._rows = self._row[self._begin]
        tasks = len(draft.column)
        self._value, self._hours = np.zeros(tasks), np.zeros(tasks)  # where each task is
        here = np.flatnonzero(self._column == draft.column[self._row])
        self._value[self._row[here]] = self._value_of[here]
        self._hours[self._row[here]] = self._hours_of[here]
        self._moves = np.zeros(tasks, bool)  # what is where no candidate says stays there
        self._moves[self._rows] = True
        self._moves &= (draft.column < 0) | (self._hours > 0)

    def wave(self) -> bool:
        """Make the moves of one wave, and say whether they gained more than a little."""
        if not len(self._row):
            return False
        at, left = self._draft.column, self._draft.left
        away = (at[self._row] != self._column) & self._moves[self._row]
        fits = away & (self._hours_of <= left[self._column])
        place = self._places(fits)
        best = np.where(place >= 0, self._value_of[place], 0.0)
        shift = np.flatnonzero(best - self._value > _EPS)
        to = place[shift]
        moves = self._ejections(away & ~fits, self._value - best)
        found = _Moves(
            np.concatenate([best[shift] - self._value[shift], moves.gain]),
            np.concatenate([shift, moves.task]),
            np.concatenate([self._column[to], moves.agent]),
            np.concatenate([self._value_of[to], moves.value]),
            np.concatenate([self._hours_of[to], moves.hours]),
            np.concatenate([np.full(len(shift), _NOBODY), moves.other]),
        )
        return self._make(found, place) > _LITTLE * float(self._value.sum())

    def _places(self, fits: Flags) -> Ints:
        """Of each task the dearest pair that *fits*, -1 for none."""
        offer = np.where(fits, self._value_of, -np.inf)
        best = np.maximum.reduceat(offer, self._begin)
        most = np.full(len(self._value), np.inf)
        most[self._rows] = best
        at = np.flatnonzero(fits & (offer == most[self._row]))[::-1]  # the first is to stay
        place = np.full(len(self._value), _NOBODY)
        place[self._row[at]] = at
        return place

    def _ejections(self, tried: Flags, loss: Floats) -> _Moves:
        """
        Pairs, of those *tried*, that gain where another task makes room.

        Args:
            loss: Per task, what is lost where it goes to the best agent with hours left.
        """
        at, left = self._draft.column, self._draft.left
        agents = len(left)
        on = np.flatnonzero((at >= 0) & self._moves)
        least, longest = np.full(agents, np.inf), np.zeros(agents)
        np.minimum.at(least, at[on], loss[on])
        np.maximum.at(longest, at[on], self._hours[on])
        gain = self._value_of - self._value[self._row]
        tried &= gain > least[self._column] + _EPS
        tried &= self._hours_of <= (left + longest)[self._column]
        pair = np.flatnonzero(tried)
        on = on[np.argsort(at[on], kind="stable")]
        count = np.bincount(at[on], minlength=agents)
        first = np.cumsum(count) - count
        many = count[self._column[pair]]
        nth = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        pair = np.repeat(pair, many)
        agent = self._column[pair]
        other = on[first[agent] + nth]
        gain = gain[pair] - loss[other]
        good = (gain > _EPS) & (self._hours_of[pair] <= left[agent] + self._hours[other])
        pair, other = pair[good], other[good]
        return _Moves(
            gain[good],
            self._row[pair],
            agent[good],
            self._value_of[pair],
            self._hours_of[pair],
            other,
        )

    def _make(self, found: _Moves, place: Ints) -> float:
        """
        Make moves, best first, but those whose tasks moved or whose agents got one already, and
        say what is gained.
        """
        draft = self._draft
        order = np.lexsort((found.task, -found.gain))[:_MOST]
        made: list[int] = []
        done, taken = bytearray(len(draft.column)), bytearray(len(draft.left))
        column = np.where(place >= 0, self._column[place], _NOBODY)[found.other]
        for n, task, agent, other, to in zip(
            order.tolist(),
            found.task[order].tolist(),
            found.agent[order].tolist(),
            found.other[order].tolist(),
            column[order].tolist(),
            strict=True,
        ):
            if done[task] or taken[agent]:
                continue
            if other >= 0:
                if done[other] or (to >= 0 and (taken[to] or to == agent)):
                    continue
                done[other] = 1
                if to >= 0:
                    taken[to] = 1
            done[task] = taken[agent] = 1
            made.append(n)
        chosen = np.array(made, np.int64)
        other = found.other[chosen]
        other = other[other >= 0]
        self._leave(np.concatenate([found.task[chosen], other]))
        self._enter(
            found.task[chosen], found.agent[chosen], found.value[chosen], found.hours[chosen]
        )
        other = other[place[other] >= 0]
        to = place[other]
        self._enter(other, self._column[to], self._value_of[to], self._hours_of[to])
        return float(found.gain[chosen].sum())

    def _leave(self, tasks: Ints) -> None:
        draft = self._draft
        tasks = tasks[draft.column[tasks] >= 0]
        np.add.at(draft.left, draft.column[tasks], self._hours[tasks])
        draft.column[tasks] = _NOBODY
        self._value[tasks] = self._hours[tasks] = 0.0

    def _enter(self, tasks: Ints, columns: Ints, value: Floats, hours: Floats) -> None:
        np.subtract.at(self._draft.left, columns, hours)
        self._draft.column[tasks] = columns
        self._value[tasks], self._hours[tasks] = value, hours
