"""
A plan for a problem too large to hold: each task proposes to the best of all agents with the hours.

On shortlists made at the same prices most tasks name the same few agents.  So lists are made anew
as agents fill up: of those who still have hours, for tasks that are open, long ones first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from engines.assign.draft import Draft, fill, lengths
from engines.assign.problem import Candidates, Floats, Ints, merged

if TYPE_CHECKING:
    from engines.assign.compile import Compiled

_LISTED = 12  # agents of each task
_TURNS = 3  # lists of tasks of one length
_SHORTEST = 1e-20  # hours; what a price of more would be is no number in singles
_BARRED = 2e4  # what a task costs at least where there are not the hours: more than lists hold


def spread(
    problem: Compiled,
    pairs: Candidates,
    draft: Draft,
    prices: Floats,
    over: Callable[[], bool],
) -> Candidates:
    """Fill *draft*; return *pairs* and all others that were looked at."""
    agents = len(draft.left)
    single = problem.team == 1
    worthy, length = lengths(pairs, prices, single)
    classes = [worthy & (length == each) for each in np.unique(length[worthy])[::-1].tolist()]
    for some in (*classes, single):
        for _ in range(_TURNS):
            rows: Ints = np.flatnonzero(some & (draft.column < 0))
            if not len(rows) or over():
                break
            least = max(float(problem.effort[rows].min()), _SHORTEST)
            there = np.where(draft.left < least, _BARRED / least, prices)
            near = problem.near(there, min(_LISTED, agents), rows)
            fill(near, draft, prices, single)
            pairs = merged(pairs, near, agents)
    return pairs
