"""Small worlds, and what exhaustive search finds in them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from engines.journal import VolatileJournal
from engines.trajectory import Fact, Rule, TrajectoryOptimizer

SYMBOLS = "abcdefg"
PARTIES = "XYZ"


def optimizer(rules: Iterable[Rule] = (), facts: Iterable[str] = ()) -> TrajectoryOptimizer:
    """In memory."""
    made = TrajectoryOptimizer(journal=VolatileJournal())  # type: ignore[arg-type]
    made.add_rules(rules)
    made.add_facts(Fact(symbol) for symbol in facts)
    return made


@st.composite
def worlds(draw: st.DrawFn, *, most: int = 9, parties: bool = False) -> list[Rule]:
    """Rules with cycles, free ones, twins, ones without premises and ones that support themselves."""
    rules = []
    for number in range(draw(st.integers(1, most))):
        premises = draw(st.lists(st.sampled_from(SYMBOLS), max_size=3, unique=True))
        bearers = {}
        if parties:
            bearers = draw(
                st.dictionaries(st.sampled_from(PARTIES), st.sampled_from([1, 3]), max_size=2)
            )
        cost = draw(st.sampled_from([0, 0, 1, 1, 2, 3, 5, 0.5]))
        conclusion = draw(st.sampled_from(SYMBOLS))
        rules.append(Rule(f"r{number}", tuple(premises), conclusion, cost, bearers))  # type: ignore[arg-type]
    return rules


def follows(rules: Iterable[Rule], given: Iterable[str]) -> set[str]:
    """The naive fixpoint."""
    known, left = set(given), list(rules)
    while True:
        new = {rule.conclusion for rule in left if known.issuperset(rule.premises)} - known
        if not new:
            return known
        known |= new


def subsets(rules: Sequence[Rule]) -> Iterable[tuple[Rule, ...]]:
    return itertools.chain.from_iterable(
        itertools.combinations(rules, size) for size in range(len(rules) + 1)
    )


def least_cost(rules: Sequence[Rule], given: Iterable[str], goals: Iterable[str]) -> float | None:
    """Over all subsets; None where no subset will do."""
    start, wanted = set(given), set(goals)
    best = None
    for chosen in subsets(rules):
        cost = math.fsum(rule.cost for rule in chosen)
        if (best is None or cost < best) and follows(chosen, start) >= wanted:
            best = cost
    return best


def burden(rules: Iterable[Rule]) -> float:
    borne: dict[str, float] = {}
    for rule in rules:
        for party, share in rule.bearers:
            borne[party] = borne.get(party, 0) + rule.cost * share
    return max(borne.values(), default=0.0)


def front(
    rules: Sequence[Rule], given: Iterable[str], goals: Iterable[str]
) -> list[tuple[float, float]]:
    """Cost and burden of all that no subset beats, rounded."""
    start, wanted = set(given), set(goals)
    points = {
        (round(math.fsum(rule.cost for rule in chosen), 6), round(burden(chosen), 6))
        for chosen in subsets(rules)
        if follows(chosen, start) >= wanted
    }
    return sorted(
        point
        for point in points
        if not any(
            other != point and other[0] <= point[0] and other[1] <= point[1] for other in points
        )
    )
