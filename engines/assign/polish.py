"""A draft made as good as moves of single tasks make it; nothing that is open fits any more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.draft import Draft, fill, fill_teams
from engines.assign.problem import Candidates, Floats, Ints, Problem, candidates
from engines.assign.search import Search
from engines.assign.waves import waves

_TRIED = 12  # agents of each task
_FEW = 1_000  # tasks up to which each is tried by itself, and with time
_ALL_MOVES = 10_000
_ROOM = 1e-9  # hours; who has less left takes nothing any more


def improved(
    problem: Problem,
    pairs: Candidates,
    draft: Draft,
    prices: Floats,
    over: Callable[[], bool],
    *,
    timed: bool,
) -> Draft:
    """*draft* itself, better."""
    single = problem.team == 1
    tasks = len(single)
    if tasks > _FEW:
        waves(pairs, draft, single, over)
    if tasks <= (_ALL_MOVES if timed else _FEW):
        search = Search(pairs, draft, prices, single, _TRIED)
        waiting = np.flatnonzero((draft.column < 0) & single)
        dear = np.argsort(-_most_worth(pairs, waiting), kind="stable")
        search.run(waiting[dear], 2 * tasks, over)
        search.run(np.arange(tasks), 2 * tasks, over)
    fill_all(problem, draft, prices)
    return draft


def fill_all(problem: Problem, draft: Draft, prices: Floats) -> None:
    """Give what is open to whoever can take it, of all agents: nothing fits any more after."""
    fill_teams(problem, draft, prices)
    single = problem.team == 1
    waiting = np.flatnonzero((draft.column < 0) & single)
    columns = np.flatnonzero(draft.left > _ROOM)
    step = max(1, (1 << 21) // max(len(columns), 1))
    for first in range(0, len(waiting) if len(columns) else 0, step):
        rows = waiting[first : first + step]
        part = problem.part(rows, columns)
        row, column = np.nonzero((part.value > -np.inf) & (part.hours <= draft.left[columns]))
        if len(row):
            value, hours = part.pairs(row, column)
            offers = candidates(len(single), rows[row], columns[column], value, hours)
            fill(offers, draft, prices, single)


def _most_worth(pairs: Candidates, rows: Ints) -> Floats:
    worth = np.zeros(len(pairs.start) - 1)
    np.maximum.at(worth, pairs.row, pairs.value)
    return worth[rows]
