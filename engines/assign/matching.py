"""
Matchings of tasks and agents: exact where each agent takes one task at most, and a move elsewhere.

`scipy.optimize.linear_sum_assignment` is the shortest-augmenting-path algorithm of Crouse (2016).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.draft import Draft
from engines.assign.problem import Dense, Flags, Ints

_PASSES = 4
_FIRST = 8  # agents that are looked at first


def matched(problem: Dense) -> Draft | None:
    """The best plan, where no agent has the hours for two tasks; else None."""
    tasks, agents = problem.shape
    if not tasks or not agents or (problem.team > 1).any():
        return None
    if tasks > 1 and _two_fit(problem, slice(0, _FIRST)):
        return None
    if tasks > 1 and _two_fit(problem, slice(None)):
        return None
    draft = Draft.empty(problem)
    _match(problem, draft, np.arange(tasks), problem.hours <= problem.capacity)
    return draft


def _two_fit(problem: Dense, agents: slice) -> bool:
    """Whether any of some agents has the hours for two tasks."""
    hours = np.where(problem.value[:, agents] > -np.inf, problem.hours[:, agents], np.inf)
    two = np.partition(hours, 1, axis=0)[:2].sum(axis=0)
    return bool((two <= problem.capacity[agents]).any())


def rematch(problem: Dense, draft: Draft, over: Callable[[], bool]) -> None:
    """
    Take one task from each agent and match these, and those that are open, with the room there is.

    It never makes a plan worse: what was taken away could all go back.
    """
    for turn in range(_PASSES):
        if over():
            return
        on = np.flatnonzero(draft.column >= 0)
        if not len(on):
            return
        order = on[np.lexsort(((on * 7919 + turn * 104729) % 1009, draft.column[on]))]
        column = draft.column[order]
        taken = order[np.r_[True, column[1:] != column[:-1]]]
        draft.left += np.bincount(
            draft.column[taken], problem.hours[taken, draft.column[taken]], len(draft.left)
        )
        draft.column[taken] = -1
        waiting = np.flatnonzero((draft.column < 0) & (problem.team == 1))
        fits = problem.hours[waiting] <= draft.left
        _match(problem, draft, waiting, fits)


def _match(problem: Dense, draft: Draft, rows: Ints, fits: Flags) -> None:
    """Give each agent at most one of *rows*, where it *fits* and is worth something."""
    from scipy.optimize import (  # noqa: PLC0415  slow to import
        linear_sum_assignment,
    )

    worth = np.where(fits, np.maximum(problem.value[rows], 0.0), 0.0)
    at, column = linear_sum_assignment(worth, maximize=True)
    able = worth[at, column] > 0
    row, column = rows[at[able]], column[able]
    draft.column[row] = column
    np.subtract.at(draft.left, column, problem.hours[row, column])
