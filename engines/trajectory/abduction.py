"""
What is missing: the fewest facts to state so that a symbol holds.

Planning once more, in which applying rules is free and assuming a fact costs 1.  What some rule
concludes is assumed only where nothing else helps, the symbol itself last of all.
"""

from __future__ import annotations

from collections.abc import Iterable

from engines.trajectory.budget import Budget
from engines.trajectory.derivation import Missing, cheapest_supporters, derivation
from engines.trajectory.index import RuleIndex
from engines.trajectory.model import Fact, Rule
from engines.trajectory.planner import Planner

_ASSUMED = "assume "


def missing(
    rules: Iterable[Rule], facts: Iterable[Fact], symbol: str, *, width: int, budget: Budget
) -> Missing:
    """Of *symbol*, which does not follow from *facts* by *rules*."""
    own, there = list(rules), {fact.symbol: fact for fact in facts}
    conclusions = {rule.conclusion for rule in own}
    heard_of = {s for rule in own for s in rule.premises} | conclusions
    dear = float(len(heard_of) + 1)
    index = RuleIndex()
    for rule in own:
        index.add(Rule(rule.rule_id, rule.premises, rule.conclusion, 0.0))
    taken = {rule.rule_id for rule in own}
    assumed: dict[str, str] = {}
    for name in sorted(heard_of | {symbol}):
        if not _holds(there, name):
            rule_id = _ASSUMED + name
            while rule_id in taken:
                rule_id = f"{rule_id}'"
            assumed[rule_id] = name
            cost = dear if name in conclusions else 1.0
            index.add(Rule(rule_id, (), name, cost * dear if name == symbol else cost))
    plan = Planner(index, there, [symbol], width=width, seed=0, gap=0.0, budget=budget).plan()
    lacking = sorted(assumed[r.rule_id] for r in plan.steps if r.rule_id in assumed)
    return Missing(symbol, tuple(lacking), _then(own, there, lacking, symbol), plan.optimal)


def _then(
    rules: list[Rule], facts: dict[str, Fact], lacking: list[str], symbol: str
) -> tuple[Rule, ...]:
    """The cheapest way to it once what is lacking is stated."""
    index = RuleIndex()
    for rule in rules:
        index.add(rule)
    holding = [*lacking, *(name for name in facts if _holds(facts, name))]
    supporters = cheapest_supporters(index, [index.id_of(name) for name in holding])
    return derivation(index, index.id_of(symbol), supporters).steps


def _holds(facts: dict[str, Fact], symbol: str) -> bool:
    return symbol in facts and facts[symbol].holds
