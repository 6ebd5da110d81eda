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

from engines.trajectory.model import Closure, Fact, Rule, TrajectoryPath


def fold(path: TrajectoryPath) -> str:
    """64 hex digits, of the facts of the path and how they came to be."""
    first = path.closures[0].facts if path.closures else frozenset()
    if not path.rules:
        return _of_closures(path.closures)
    hashes = derivation_hashes(first, path.rules)
    return _digest("path", *sorted(hashes.values()))


def derivation_hashes(facts: Iterable[Fact], rules: Iterable[Rule]) -> dict[str, str]:
    """
    Symbol → hash of how it is derived, of all that *rules* derive from *facts*.

    Round by round; of several rules that give a fact in one round the first by id.
    """
    hashes = {fact.symbol: _digest("given", fact.symbol, canonical(fact.value)) for fact in facts}
    holding = {fact.symbol for fact in facts if fact.holds}
    left = sorted(rules, key=lambda rule: rule.rule_id)
    while True:
        new: dict[str, str] = {}
        for rule in left:
            if rule.conclusion not in holding and holding.issuperset(rule.premises):
                new.setdefault(rule.conclusion, _of_rule(rule, hashes))
        if not new:
            return hashes
        hashes.update(new)
        holding.update(new)
        left = [rule for rule in left if rule.conclusion not in holding]


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
