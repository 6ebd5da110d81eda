"""Large neighbourhoods: the plan solved anew for a few agents at a time, all else as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.draft import Draft
from engines.assign.exact import integer_program
from engines.assign.model import CLOSE
from engines.assign.problem import Candidates, Ints, Problem, candidates
from engines.assign.solution import Solution

_LEAST = 0.05  # seconds; less is not worth beginning
_PART = 400  # pairs of one part


def mend(
    problem: Problem,
    found: Solution,
    known: Candidates,
    seed: int,
    left: Callable[[], float],
) -> None:
    """
    Solve parts anew while time is left.

    Args:
        known: Pairs that are tried, with those of the plan.
    """
    random = np.random.default_rng(seed)
    row = known.row
    single = problem.team[row] == 1
    while left() > _LEAST:
        draft = found.draft
        open_ = (draft.column[row] < 0) & single
        chosen = _neighbours(known, row, draft, random, len(problem.capacity))
        inside = np.zeros(len(problem.capacity), bool)
        inside[chosen] = True
        free = single & inside[known.column]
        free &= open_ | inside[draft.column[row]]
        at = np.flatnonzero(free)
        if not len(at):
            return
        part = candidates(
            len(problem.team), row[at], known.column[at], known.value[at], known.hours[at]
        )
        mine = (draft.column >= 0) & inside[draft.column]
        own = np.flatnonzero(mine)
        value, hours = problem.pairs(own, draft.column[own])
        capacity = draft.left + np.bincount(draft.column[own], hours, len(draft.left))
        answer = integer_program(part, capacity, problem.team, seconds=min(left(), 1.0))
        if answer.taken is None:
            continue
        gained = float(part.value[answer.taken].sum()) - float(value.sum())
        if gained > CLOSE * max(abs(found.value), 1.0):
            new = draft.copy()
            new.column[own] = -1
            new.left = capacity
            for pair in np.flatnonzero(answer.taken).tolist():
                new.put(int(part.row[pair]), int(part.column[pair]), float(part.hours[pair]))
            found.take(problem, new)


def _neighbours(
    pairs: Candidates, row: Ints, draft: Draft, random: np.random.Generator, agents: int
) -> Ints:
    """Agents whose tasks could change places: grown from one, until the part is large enough."""
    inside = np.zeros(agents, bool)
    first = int(random.integers(agents))
    inside[first] = True
    counts = np.bincount(pairs.column, minlength=agents)
    mean = max(1.0, float(counts.mean()))
    wanted = int(np.clip(np.sqrt(_PART * agents / mean), 2, 24))
    tasks = np.flatnonzero(draft.column == first)
    near = np.unique(pairs.column[np.isin(row, tasks)]) if len(tasks) else np.arange(agents)
    near = near[near != first]
    others = random.permutation(near)[: wanted - 1]
    inside[others] = True
    return np.flatnonzero(inside)
