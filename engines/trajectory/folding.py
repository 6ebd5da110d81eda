"""
The canonical fold of a path: one hash, whatever the order, process or machine that found it.

Each fact has a hash of its own: that of its symbol and value where it was given, else that of the
rule that gave it and of the hashes of its premises.  So two derivations of a fact are the same if
and only if their hashes are, and so are two paths if and only if the sorted hashes in them are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from engines.trajectory.index import RuleIndex
from engines.trajectory.model import Closure, Fact, Rule, TrajectoryPath


def fold(path: TrajectoryPath) -> str:
    """64 hex digits, of the facts of the path and how they came to be."""
    if not path.rules and any(closure.rules_applied for closure in path.closures):
        return _of_closures(path.closures)
    return fold_of(path.closures[0].facts if path.closures else (), path.rules)


def fold_of(facts: Iterable[Fact], rules: Iterable[Rule]) -> str:
    """Of the path that *rules* make from *facts*."""
    return _digest("path", *sorted(derivation_hashes(facts, rules).values()))


def derivation_hashes(facts: Iterable[Fact], rules: Iterable[Rule]) -> dict[str, str]:
    """
    Symbol → hash of how it is derived, of all that *rules* derive from *facts*.

    Of several rules that give a fact the one that `RuleIndex.rounds` takes.
    """
    index = RuleIndex()
    for rule in rules:
        index.add(rule)
    given = {fact.symbol: fact for fact in facts}
    hashes = {
        symbol: _digest("given", symbol, canonical(fact.value)) for symbol, fact in given.items()
    }
    for places in index.rounds(index.id_of(symbol) for symbol in given if given[symbol].holds):
        for place in places:
            rule = index.rules[place]
            hashes[rule.conclusion] = _of_rule(rule, hashes)
    return hashes


def canonical(value: Any) -> str:
    """JSON with sorted keys; numbers that are equal are written alike, as facts with them are."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _of_rule(rule: Rule, hashes: dict[str, str]) -> str:
    shares = [f"{party}\0{share.hex()}" for party, share in rule.bearers]
    gains = [f"{party}\0{amount.hex()}" for party, amount in rule.beneficiaries]
    premises = sorted(hashes[premise] for premise in rule.premises)
    counts = [str(len(part)) for part in (shares, gains, premises)]
    named = (rule.rule_id, rule.conclusion, rule.cost.hex())
    return _digest("rule", *named, *counts, *shares, *gains, *premises)


def _of_closures(closures: Iterable[Closure]) -> str:
    """Of a path that does not say what its rules are: by their ids."""
    found = list(closures)
    facts = {_digest(f.symbol, canonical(f.value)) for closure in found for f in closure.facts}
    rules = {rule_id for closure in found for rule_id in closure.rules_applied}
    return _digest("closures", str(len(facts)), *sorted(facts), *sorted(rules))


def _digest(*parts: str) -> str:
    """SHA-256 of the parts, each behind its length, so that none can pass for two."""
    hasher = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        hasher.update(len(content).to_bytes(8, "big"))
        hasher.update(content)
    return hasher.hexdigest()
