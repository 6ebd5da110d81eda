"""
The way to a plan: prices and a bound, a plan filled by them, made better, and proven where small.

    1  every agent at most one task                matching: exact
    2  prices over all pairs                       a bound
    3  fill by prices, matching, local search      a plan
    4  knapsacks of all agents                     a lower bound, what is filled up; dives
    5  few pairs left that a better plan could use   integer program: exact
    6  with time left, parts of it                 integer programs over a few agents

Without a time limit the work done is fixed, and so is the plan.  With one, work stops between
passes, moves and programs; the plan says that it did.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.compile import Compiled
from engines.assign.draft import Draft, fill, fill_by_length, fill_teams
from engines.assign.lagrange import dived, packed
from engines.assign.market import priced
from engines.assign.matching import matched, rematch
from engines.assign.mend import mend
from engines.assign.packing import Packing
from engines.assign.polish import improved
from engines.assign.problem import Candidates, Dense, Floats, Problem, candidates, merged
from engines.assign.proof import prove
from engines.assign.solution import Solution
from engines.assign.spread import spread
from engines.assign.threads import one_thread

_SMALL = 6_000  # pairs among which something may be proven


def solve(
    problem: Problem,
    start: Draft | None = None,
    *,
    seed: int = 0,
    left: Callable[[], float] | None = None,
) -> Solution:
    """
    A plan and its bound.

    Args:
        start: A plan to begin with; it is not made worse.
        left: Seconds that are left; None for no limit.
    """
    tasks, agents = problem.shape
    if not tasks or not agents:
        return Solution(Draft.empty(problem), 0.0, 0.0, 0.0, np.zeros(agents))
    with one_thread(problem):
        return _solved(problem, start, seed, left)


def _solved(
    problem: Problem, start: Draft | None, seed: int, left: Callable[[], float] | None
) -> Solution:
    over = _over(left)
    pairs, prices, bound = priced(problem, over)
    if isinstance(problem, Dense) and (exact := matched(problem)):
        value = exact.value(problem)
        return Solution(exact, value, value, max(bound, value), prices)
    best = Draft.empty(problem) if start is None else start.copy()
    found = Solution(best, best.value(problem), bound, bound, prices)

    def better(draft: Draft) -> None:
        known = pairs if draft is first and not drawn else _with(problem, pairs, draft)
        found.take(problem, improved(problem, known, draft, prices, over, timed=left is not None))

    packing = Packing.of(problem) if isinstance(problem, Dense) else None
    drawn = None if over() or packing else packed(problem, found, left)
    first = drawn or Draft.empty(problem)
    pairs = _filled(problem, pairs, first, prices, over, small=packing is not None)
    better(first)
    if left is not None and drawn:
        better(_rematched(problem, found.draft.copy(), over))
    if start is not None:
        better(start.copy())
    dear = None
    if isinstance(problem, Dense) and packing and not found.proven and not over():
        dear = dived(problem, packing, found, better, seed, left)
    elif left is not None and not found.proven:
        _mended(problem, found, pairs, seed, left)
    if isinstance(problem, Dense) and not found.proven and not over():
        prove(problem, found, left, dear)
    found.bound = max(found.bound, found.value)
    found.finished = not over() or found.proven
    return found


def _filled(
    problem: Problem,
    pairs: Candidates,
    draft: Draft,
    prices: Floats,
    over: Callable[[], bool],
    *,
    small: bool,
) -> Candidates:
    """Fill *draft* by prices; return the pairs among which it may become better."""
    single = problem.team == 1
    fill_teams(problem, draft, prices)
    if isinstance(problem, Compiled):
        return spread(problem, pairs, draft, prices, over)
    (fill if small else fill_by_length)(pairs, draft, prices, single)
    return pairs


def _over(left: Callable[[], float] | None) -> Callable[[], bool]:
    return lambda: left is not None and left() <= 0


def _rematched(problem: Problem, draft: Draft, over: Callable[[], bool]) -> Draft:
    if isinstance(problem, Dense):
        rematch(problem, draft, over)
    return draft


def _mended(
    problem: Problem,
    found: Solution,
    pairs: Candidates,
    seed: int,
    left: Callable[[], float],
) -> None:
    """Mend the plan for all the time there is, or half of it where something may be proven."""
    small = isinstance(problem, Dense) and problem.value.size <= _SMALL
    kept = 0.5 * left() if small else 0.0
    mend(problem, found, _with(problem, pairs, found.draft), seed, lambda: left() - kept)


def bounded(problem: Problem, draft: Draft) -> Solution:
    """What *draft* is worth beside a bound, without changing it."""
    if not all(problem.shape):
        return Solution(draft, 0.0, 0.0, 0.0, np.zeros(problem.shape[1]))
    value = draft.value(problem)
    with one_thread(problem):
        _, prices, bound = priced(problem, lambda: False)
    return Solution(draft, value, max(bound, value), max(bound, value), prices)


def _with(problem: Problem, pairs: Candidates, draft: Draft) -> Candidates:
    row, column = draft.pairs()
    value, hours = problem.pairs(row, column)
    own = candidates(len(problem.team), row, column, value, hours)
    return merged(pairs, own, len(problem.capacity))
