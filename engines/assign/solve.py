"""
The way to a plan: prices and a bound, a plan filled by them, made better, and proven where small.

    1  every agent at most one task                matching: exact
    2  prices on a shortlist that grows            a bound over all pairs
    3  fill by prices, matching, local search      a plan
    4  few pairs left that a better plan could use   integer program: exact
    5  with time left, parts of it                 integer programs over a few agents

Without a time limit the work done is fixed, and so is the plan.  With one, work stops between
passes, moves and programs; the plan says that it did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines.assign.draft import Draft, fill, fill_teams
from engines.assign.exact import integer_program, linear_prices
from engines.assign.knapsacks import Knapsacks
from engines.assign.matching import matched, rematch
from engines.assign.parts import prices_of_parts
from engines.assign.prices import descend
from engines.assign.problem import (
    Candidates,
    Dense,
    Flags,
    Floats,
    Ints,
    Problem,
    Shortlist,
    candidates,
    dual_bound,
    merged,
    sampled,
)
from engines.assign.search import Search

_CLOSE = 1e-9  # relative; a plan that is nearer to its bound is the best
_ROUNDS = 60  # of prices, on each shortlist
_LISTS = 2  # shortlists after the first, each beside a pass over all pairs
_PACKINGS = 60  # rounds of prices of tasks
_WITH_TIME = 5  # times as many where there is time
_NEAR = 16  # agents on the shortlist of each task
_NEAR_LARGE = 48  # the same where not all pairs are held
_LISTS_LARGE = 3
_TRIED = 12  # of them in local search
_MOVES = 30_000  # of tasks that are open
_FEW = 2_500  # tasks up to which each is tried, and with time
_ALL_MOVES = 10_000
_EXACT = 6_000  # pairs of an integer program that has time
_EXACT_UNTIMED = 1_500  # of one that has none
_HOPELESS = 100_000  # pairs of which too many are left over for one that has none
_NODES = 200  # of its search tree
_NEARBY = 0.985  # of the bound: what its descent aims at
_CORE = 3.5  # pairs for each task, those of least reduced cost, to look for a good plan first
_LEAST = 0.05  # seconds; less is not worth beginning
_OVER = 1e-9  # hours
_PART = 400  # pairs of one that mends a part


@dataclass(slots=True)
class Solution:
    """
    Attributes:
        price_bound: What *prices* prove; *bound* may be lower, where a search proved more.
        finished: False where the time limit cut work off.
    """

    draft: Draft
    value: float
    bound: float
    price_bound: float
    prices: Floats
    finished: bool = True

    @property
    def proven(self) -> bool:
        return self.bound <= self.value + _CLOSE * max(abs(self.value), 1.0)


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

    def over() -> bool:
        return left is not None and left() <= 0

    tasks, agents = problem.shape
    if not tasks or not agents:
        return Solution(Draft.empty(problem), 0.0, 0.0, 0.0, np.zeros(agents))
    single = problem.team == 1
    if isinstance(problem, Dense) and (exact := matched(problem)):
        _, prices, bound = _market(problem, seed, over)
        value = exact.value(problem)
        return Solution(exact, value, value, max(bound, value), prices)
    market = _market if isinstance(problem, Dense) else _large
    pairs, prices, bound = market(problem, seed, over)
    best = Draft.empty(problem) if start is None else start.copy()
    value = best.value(problem)
    found = Solution(best, value, bound, bound, prices)
    draft = Draft.empty(problem)
    fill_teams(problem, draft, prices)
    packed = None if over() else _packed(problem, found, left)
    draft = packed or draft
    fill(pairs, draft, prices, single)
    _take(problem, found, _improved(problem, pairs, draft, prices, over, timed=left is not None))
    if left is not None and packed is not None and isinstance(problem, Dense) and not found.proven:
        again = found.draft.copy()
        rematch(problem, again, over)
        _take(
            problem, found, _improved(problem, pairs, again, prices, over, timed=left is not None)
        )
    if start is not None and not found.proven:
        known = _with(problem, pairs, start)
        _take(
            problem,
            found,
            _improved(problem, known, start.copy(), prices, over, timed=left is not None),
        )
    if left is not None and not found.proven and isinstance(problem, Dense):
        _search_core(problem, found, 0.55 * left())
    if left is not None and not found.proven:
        whole = left()
        _mend(problem, found, pairs, seed, lambda: left() - 0.5 * whole * small(problem))
    if not found.proven and not over():
        _prove(problem, found, left)
    if found.proven:
        found.bound = found.value
    found.finished = not over() or found.proven
    return found


def bounded(problem: Problem, draft: Draft, seed: int = 0) -> Solution:
    """What *draft* is worth beside a bound, without changing it."""
    if not all(problem.shape):
        return Solution(draft, 0.0, 0.0, 0.0, np.zeros(problem.shape[1]))
    value = draft.value(problem)
    _, prices, bound = _market(problem, seed, lambda: False)
    return Solution(draft, value, max(bound, value), max(bound, value), prices)


def _market(
    problem: Problem, seed: int, over: Callable[[], bool]
) -> tuple[Candidates, Floats, float]:
    """A shortlist, prices, and the bound they prove over all pairs."""
    agents = len(problem.capacity)
    single = problem.team == 1
    pairs = sampled(problem, min(4 * _NEAR, 2 * agents), seed)
    prices: Floats = np.zeros(agents)
    best, bound, low = prices, np.inf, 0.0
    for round_ in range(_LISTS + 1):
        draft = Draft.empty(problem)
        fill(pairs, draft, prices, single)
        low = max(low, draft.value(problem))
        market = Shortlist(pairs, problem.capacity, problem.team)
        prices = descend(market, prices, _ROUNDS, low, over).prices
        found, _ = dual_bound(problem, prices)
        if found < bound:
            best, bound = prices, found
        if round_ == _LISTS or over():
            break
        near = problem.near(prices, min(_NEAR, agents))
        pairs = merged(pairs, near, agents) if round_ else near
    zero, _ = dual_bound(problem, np.zeros(agents))
    if zero < bound:
        best, bound = np.zeros(agents), zero
    return pairs, best, bound


def _large(
    problem: Problem, seed: int, over: Callable[[], bool]
) -> tuple[Candidates, Floats, float]:
    """As `_market`, with few passes over all pairs."""

    def priced(part: Dense) -> Floats:
        return np.zeros(len(part.capacity)) if over() else _market(part, seed, over)[1]

    agents = len(problem.capacity)
    prices = prices_of_parts(problem, seed, priced)
    best, bound = prices, dual_bound(problem, prices)[0]
    pairs = problem.near(prices, min(_NEAR_LARGE, agents))
    for round_ in range(_LISTS_LARGE):
        if over():
            break
        draft = Draft.empty(problem)
        fill(pairs, draft, best, problem.team == 1)
        market = Shortlist(pairs, problem.capacity, problem.team)
        prices = descend(market, best, _ROUNDS, draft.value(problem), over).prices
        # Whoever is on few lists came out too cheap; nearer to the last prices is safer.
        prices = 0.5 * (prices + best) if not round_ else prices
        found, _ = dual_bound(problem, prices)
        if found < bound:
            best, bound = prices, found
        if round_ + 1 < _LISTS_LARGE:
            pairs = merged(pairs, problem.near(prices, min(_NEAR_LARGE, agents)), agents)
    return pairs, best, bound


def _packed(problem: Problem, found: Solution, left: Callable[[], float] | None) -> Draft | None:
    """Lower the bound by knapsacks, and draw a plan from these; None where they do not apply."""
    knapsacks = Knapsacks.of(problem) if isinstance(problem, Dense) else None
    if knapsacks is None:
        return None
    worth = problem.responses(found.prices).worth
    rounds = _PACKINGS if left is None else _PACKINGS * _WITH_TIME
    end = 0.0 if left is None else left() / 3
    prices, bound = knapsacks.descend(
        worth,
        rounds,
        _NEARBY * found.price_bound,
        lambda: left is not None and left() <= end,
    )
    found.bound = min(found.bound, bound)
    packed = knapsacks.pack(prices, knapsacks.listed(prices, None))
    draft = Draft.empty(problem)
    value, hours = problem.pairs(packed.row, packed.column)
    dearest = np.lexsort((packed.column, -value, packed.row))
    row = packed.row[dearest]
    kept = dearest[np.r_[True, row[1:] != row[:-1]][: len(row)]]
    draft.column[packed.row[kept]] = packed.column[kept]
    np.subtract.at(draft.left, packed.column[kept], hours[kept])
    return draft


def _improved(
    problem: Problem,
    pairs: Candidates,
    draft: Draft,
    prices: Floats,
    over: Callable[[], bool],
    *,
    timed: bool,
) -> Draft:
    single = problem.team == 1
    tasks = len(single)
    search = Search(pairs, draft, prices, single, _TRIED)
    waiting = np.flatnonzero((draft.column < 0) & single)
    dear = np.argsort(-_most_worth(pairs, waiting), kind="stable")[:_MOVES]
    search.run(waiting[dear], 2 * _MOVES, over)
    if tasks <= (_ALL_MOVES if timed else _FEW):
        search.run(np.arange(tasks), 2 * tasks, over)
    fill_all(problem, draft, prices)
    return draft


def fill_all(problem: Problem, draft: Draft, prices: Floats) -> None:
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


def _with(problem: Problem, pairs: Candidates, draft: Draft) -> Candidates:
    row, column = draft.pairs()
    value, hours = problem.pairs(row, column)
    own = candidates(len(problem.team), row, column, value, hours)
    return merged(pairs, own, len(problem.capacity))


def _take(problem: Problem, found: Solution, draft: Draft) -> None:
    """Keep *draft* where it is better."""
    if draft.left.min(initial=0.0) < -_OVER:  # the solver is exact to a millionth only
        return
    value = draft.value(problem)
    if value > found.value + _CLOSE * max(abs(found.value), 1.0):
        found.draft, found.value = draft, value


def _prove(problem: Problem, found: Solution, left: Callable[[], float] | None) -> None:
    """Solve what is small exactly."""
    if not isinstance(problem, Dense) or (left is None and problem.value.size > _HOPELESS):
        return
    core = _core(problem, found)
    if len(core.column) > (_EXACT if left else _EXACT_UNTIMED):
        return
    answer = integer_program(
        core,
        problem.capacity,
        problem.team,
        nodes=None if left else _NODES,
        seconds=left() - 0.1 if left else None,
    )
    found.bound = max(min(found.bound, max(answer.bound, found.value)), found.value)
    draft = found.draft
    if answer.taken is not None:
        draft = _drafted(problem, core, answer.taken)
        _take(problem, found, draft)
    if answer.proven and draft.left.min() >= -_OVER:
        found.bound = found.value


def small(problem: Problem) -> bool:
    """Whether an integer program over all pairs may prove something."""
    return len(problem.team) * len(problem.capacity) <= _EXACT


def _search_core(problem: Dense, found: Solution, seconds: float) -> None:
    """Look for a plan among the pairs that prices speak for."""
    if seconds <= 0 or not small(problem) or (problem.team > 1).any():
        return
    prices = linear_prices(problem.near(found.prices, len(found.prices)), problem.capacity)
    bound, _ = dual_bound(problem, prices)
    if bound < found.price_bound:
        found.prices, found.price_bound = prices, bound
        found.bound = min(found.bound, bound)
    cost = np.sort(_cost(problem, found)[problem.value > -np.inf])
    count = int(_CORE * len(problem.team))
    if not len(cost):
        return
    core = _core(problem, found, float(cost[min(count, len(cost) - 1)]))
    answer = integer_program(core, problem.capacity, problem.team, seconds=seconds)
    if answer.taken is not None:
        draft = _drafted(problem, core, answer.taken)
        fill_all(problem, draft, found.prices)
        _take(problem, found, draft)


def _cost(problem: Dense, found: Solution) -> Floats:
    """By how much at least a plan with the pair stays below the bound."""
    worth = problem.responses(found.prices).worth
    return worth[:, None] - (problem.value - problem.hours * found.prices)


def _core(problem: Dense, found: Solution, most: float | None = None) -> Candidates:
    """The pairs that a plan better than the one in hand may use, or that cost at most so much."""
    slack = found.price_bound - found.value if most is None else most
    keep = (_cost(problem, found) <= slack + 1e-9) | (problem.team[:, None] > 1)
    keep &= problem.value > -np.inf
    row, column = np.nonzero(keep)
    return candidates(
        len(problem.team), row, column, problem.value[row, column], problem.hours[row, column]
    )


def _drafted(problem: Problem, pairs: Candidates, taken: Flags) -> Draft:
    draft = Draft.empty(problem)
    row, column, hours = pairs.row[taken], pairs.column[taken], pairs.hours[taken]
    several = problem.team[row] > 1
    for at in np.flatnonzero(~several).tolist():
        draft.put(int(row[at]), int(column[at]), float(hours[at]))
    for task in np.unique(row[several]).tolist():
        members = np.flatnonzero(row == task)
        if len(members) == problem.team[task]:
            draft.put_team(task, column[members], hours[members])
    return draft


def _mend(
    problem: Problem,
    found: Solution,
    pairs: Candidates,
    seed: int,
    left: Callable[[], float],
) -> None:
    """Solve the plan anew for a few agents at a time, all else as it is, while time is left."""
    random = np.random.default_rng(seed)
    known = _with(problem, pairs, found.draft)
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
        if gained > _CLOSE * max(abs(found.value), 1.0):
            new = draft.copy()
            new.column[own] = -1
            new.left = capacity
            for pair in np.flatnonzero(answer.taken).tolist():
                new.put(int(part.row[pair]), int(part.column[pair]), float(part.hours[pair]))
            _take(problem, found, new)


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
