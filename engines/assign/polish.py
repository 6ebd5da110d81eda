"""A draft made as good as moves of single tasks make it; nothing that is open fits any more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.draft import Draft, fill, fill_teams
from engines.assign.problem import Candidates, Floats, Ints, Problem, candidates
from engines.assign.search import Search

_TRIED = 12  # agents of each task
_MOVES = 30_000  # of tasks that are open
_FEW = 1_000  # tasks up to which each is tried, and with time
_ALL_MOVES = 10_000


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
    search = Search(pairs, draft, prices, single, _TRIED)
    waiting = np.flatnonzero((draft.column < 0) & single)
    dear = np.argsort(-_most_worth(pairs, waiting), kind="stable")[:_MOVES]
    search.run(waiting[dear], 2 * _MOVES, over)
    if tasks <= (_ALL_MOVES if timed else _FEW):
        search.run(np.arange(tasks), 2 * tasks, over)
    _fill_all(problem, draft, prices)
    return draft


def _fill_all(problem: Problem, draft: Draft, prices: Floats) -> None:
    """Give what is open to whoever can take it, of all agents: nothing fits any more after."""
    fill_teams(problem, draft, prices)
    single = problem.team == 1
    most = float(draft.left.max(initial=0.0))
    waiting = np.flatnonzero((draft.column < 0) & single)
    step = max(1, (1 << 21) // max(len(draft.left), 1))
    for first in range(0, len(waiting), step):
        rows = waiting[first : first + step]
        value, hours = problem.rows(rows)
        able = (value > -np.inf) & (hours <= min(most, np.inf)) & (hours <= draft.left)
        row, column = np.nonzero(able)
        if len(row):
            offers = candidates(
                len(problem.team), rows[row], column, value[row, column], hours[row, column]
            )
            fill(offers, draft, prices, single)


def _most_worth(pairs: Candidates, rows: Ints) -> Floats:
    worth = np.zeros(len(pairs.start) - 1)
    np.maximum.at(worth, pairs.row, pairs.value)
    return worth[rows]
