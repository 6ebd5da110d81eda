"""
What is known: facts, rules and past plans, folded from their journal, and questions about them.

Nothing here records anything; the commands are `engine`'s.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from engines import checks
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.home import own_journal
from engines.journal import Event, Journal
from engines.trajectory import abduction
from engines.trajectory.budget import Budget
from engines.trajectory.derivation import Derivation, Missing, cheapest_supporters, derivation
from engines.trajectory.fairness import fairness, weighted_reach
from engines.trajectory.folding import fold
from engines.trajectory.index import LiveClosure, RuleIndex
from engines.trajectory.model import (
    Closure,
    Fact,
    FactNotFoundError,
    Rule,
    RuleNotFoundError,
    TrajectoryPath,
    facts_by_symbol,
    parties_of,
)
from engines.trajectory.planned import Front
from engines.trajectory.planner import Planner

_REMEMBERED = 100
_CONSTRAINTS = ("fairness_weights", "max_burden")


class TrajectoryKnowledge(Engine):
    """What a `TrajectoryOptimizer` knows, and what it says without planning anything new."""

    def __init__(
        self,
        trajectory_log_path: str | Path | None = None,
        *,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.beam_width = 5
        self.max_depth = 10
        self.efficiency_weight = 0.6
        self.fairness_weight = 0.4
        self._index = RuleIndex()
        self._live = LiveClosure(self._index)
        super().__init__(
            journal or own_journal("trajectory_log", trajectory_log_path, clock=clock), clock=clock
        )

    def reset(self) -> None:
        self._facts: dict[str, Any] = {}
        self._rules: dict[str, Rule] = {}
        self._plans: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._planned = 0
        self._index = RuleIndex()
        self._live = LiveClosure(self._index)

    # --- queries -----------------------------------------------------------------------------

    def facts(self) -> list[Fact]:
        """The facts that are stated, by symbol."""
        return [Fact(symbol, self._facts[symbol]) for symbol in sorted(self._facts)]

    def rules(self) -> list[Rule]:
        """By id."""
        return [self._rules[rule_id] for rule_id in sorted(self._rules)]

    def rule(self, rule_id: str) -> Rule:
        """
        Raises:
            RuleNotFoundError: There is none of that id.
        """
        if rule_id not in self._rules:
            raise RuleNotFoundError(
                f"no rule {rule_id!r}{checks.did_you_mean(rule_id, self._rules)}"
            )
        return self._rules[rule_id]

    def symbols(self) -> list[str]:
        """Everything that a fact or a rule speaks of, by name."""
        in_rules = {s for r in self._rules.values() for s in (r.conclusion, *r.premises)}
        return sorted(in_rules | set(self._facts))

    def holds(self, symbol: str) -> bool:
        """Whether it follows from the stated facts."""
        place = self._index.ids.get(symbol)
        return place is not None and place in self._live.known()

    def forward_chain(self, initial_facts: Collection[Fact], max_depth: int | None = 10) -> Closure:
        """
        What follows from *initial_facts* in at most so many rounds (None: in any number).

        Linear in the size of the rules that are reached.
        """
        if max_depth is not None:
            max_depth = int(checks.at_least(checks.whole(max_depth, "max_depth"), 0, "max_depth"))
        found = facts_by_symbol(initial_facts)
        index, applied, depth = self._index, list[int](), 0
        holding = [index.id_of(symbol) for symbol, fact in found.items() if fact.holds]
        for places in index.rounds(holding, max_depth):
            applied += places
            depth += 1
        derived = list(map(index.conclusions.__getitem__, applied))
        for symbol in map(index.symbols.__getitem__, derived):
            found.pop(symbol, None)  # stated not to hold
        facts = frozenset(chain(found.values(), map(index.facts.__getitem__, derived)))
        return Closure(facts, depth, tuple([index.rules[place].rule_id for place in applied]))

    def score_trajectory(
        self, closure: Closure, constraints: Mapping[str, Any] | None = None
    ) -> tuple[float, float]:
        """
        Score and fairness of a closure, both 0…1.

            efficiency = derived facts / (derived facts + cost of the rules applied)
            score = efficiency_weight · efficiency + fairness_weight · fairness

        Fairness is the share of `constraints["fairness_weights"]` whose symbols hold (Jain's index
        of reached and not reached); without weights Jain's index of what the parties bear.
        """
        limits = constraints_of(constraints)
        known = [self._rules[r] for r in closure.rules_applied if r in self._rules]
        return self._score(known, closure.facts, limits.get("fairness_weights"))

    def front(
        self,
        goal: str | Iterable[str],
        *,
        facts: Iterable[Fact] | None = None,
        time_limit: float | None = None,
        gap: float = 0.0,
        seed: int = 0,
    ) -> Front:
        """
        Plans none of which is worse in both cost and greatest burden; see `plan`.

        Raises:
            FactNotFoundError, Unreachable: As `plan` does.
        """
        start = self._start(facts)
        goals = self._known_goals(goal, start)
        return self._planner(start, goals, time_limit, gap, seed).front()

    def explain(self, symbol: str) -> Derivation | None:
        """
        How a fact follows from those stated, by the cheapest rules; None where it does not.

        Raises:
            FactNotFoundError: No fact and no rule speaks of it.
        """
        (known,) = self._known_goals(symbol, facts_by_symbol(self.facts()))
        if not self.holds(known):
            return None
        given = [self._index.id_of(one.symbol) for one in self.facts() if one.holds]
        supporters = cheapest_supporters(self._index, given)
        return derivation(self._index, self._index.id_of(known), supporters)

    def why_not(self, symbol: str, *, time_limit: float | None = None) -> Missing | None:
        """
        The fewest facts that are missing for it; None where it holds.

        Raises:
            FactNotFoundError: No fact and no rule speaks of it.
        """
        (known,) = self._known_goals(symbol, facts_by_symbol(self.facts()))
        if self.holds(known):
            return None
        return abduction.missing(
            self.rules(), self.facts(), known, width=self.beam_width, budget=Budget(time_limit)
        )

    def fold_to_hash(self, path: TrajectoryPath) -> str:
        """64 hex digits that do not depend on order, time or machine; see `folding`."""
        return fold(path)

    def get_state_occupancy_map(self, path: TrajectoryPath) -> dict[str, list[int]]:
        """Symbol → for each closure of the path 1 where it holds, else 0."""
        holding = [{f.symbol for f in closure.facts if f.holds} for closure in path.closures]
        symbols = sorted({f.symbol for closure in path.closures for f in closure.facts})
        return {symbol: [int(symbol in there) for there in holding] for symbol in symbols}

    def plans(self) -> list[dict[str, Any]]:
        """What was planned, latest last (at most 100; the journal has all)."""
        return [dict(plan) for plan in self._plans]

    def get_status(self) -> dict[str, Any]:
        return {
            "facts": len(self._facts),
            "rules": len(self._rules),
            "symbols": len(self.symbols()),
            "holding": len(self._live.known()),
            "parties": list(parties_of(self._rules.values())),
            "plans": self._planned,
            "last_plan": dict(self._plans[-1]) if self._plans else None,
            "beam_width": self.beam_width,
            "max_depth": self.max_depth,
            "efficiency_weight": self.efficiency_weight,
            "fairness_weight": self.fairness_weight,
        }

    # --- folding -----------------------------------------------------------------------------

    def apply_facts_stated(self, event: Event) -> None:
        for symbol, value in event["facts"]:
            self._facts[symbol] = value
            self._follow_fact(symbol)

    def apply_fact_retracted(self, event: Event) -> None:
        del self._facts[event["symbol"]]
        self._live.retract(self._index.id_of(event["symbol"]))

    def apply_rules_added(self, event: Event) -> None:
        for plain in event["rules"]:
            rule = Rule(**plain)
            if rule.rule_id in self._rules:
                self._index.remove(rule.rule_id)
                self._live.rule_removed()
            self._rules[rule.rule_id] = rule
            self._live.rule_added(self._index.add(rule))

    def apply_rule_removed(self, event: Event) -> None:
        del self._rules[event["rule_id"]]
        self._index.remove(event["rule_id"])
        self._live.rule_removed()

    def apply_trajectory_planned(self, event: Event) -> None:
        self._planned += 1
        named = ("path_id", "goals", "cost", "bound", "gap", "score", "fairness", "steps", "fold")
        self._plans.append({name: event[name] for name in named} | {"at": event["timestamp"]})

    def restored(self) -> None:
        self._index = RuleIndex()
        self._live = LiveClosure(self._index)
        for rule in self._rules.values():
            self._live.rule_added(self._index.add(rule))
        for symbol in self._facts:
            self._follow_fact(symbol)

    # --- below the face ----------------------------------------------------------------------

    def _follow_fact(self, symbol: str) -> None:
        number = self._index.id_of(symbol)
        if Fact(symbol, self._facts[symbol]).holds:
            self._live.state(number)
        else:
            self._live.retract(number)

    def _start(self, facts: Iterable[Fact] | None) -> dict[str, Fact]:
        return facts_by_symbol(self.facts() if facts is None else facts)

    def _known_goals(self, goal: str | Iterable[str], start: Mapping[str, Fact]) -> list[str]:
        goals = symbols_of(goal)
        known = self._index.ids.keys() | start.keys()
        for symbol in goals:
            if symbol not in known:
                raise FactNotFoundError(
                    f"no fact and no rule speaks of {symbol!r}{checks.did_you_mean(symbol, known)}"
                )
        return goals

    def _planner(
        self,
        facts: dict[str, Fact],
        goals: list[str],
        time_limit: float | None,
        gap: float,
        seed: int,
    ) -> Planner:
        return Planner(
            self._index,
            facts,
            goals,
            width=self.beam_width,
            seed=checks.whole(seed, "seed"),
            gap=checks.at_least(gap, 0, "gap"),
            budget=Budget(time_limit),
        )

    def _score(
        self,
        applied: Sequence[Rule],
        facts: Iterable[Fact] = (),
        weights: Mapping[str, float] | None = None,
    ) -> tuple[float, float]:
        """Of rules each of which gave one fact, and all the *facts* there are then."""
        cost = math.fsum(rule.cost for rule in applied)
        efficiency = len(applied) / (len(applied) + cost) if applied else 0.0
        if weights is None:
            fair = fairness(applied, parties_of(self._rules.values())).jain
        else:
            fair = weighted_reach((fact.symbol for fact in facts if fact.holds), weights)
        return self.efficiency_weight * efficiency + self.fairness_weight * fair, fair


def constraints_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    found = checks.mapping(given, "constraints")
    for name in found:
        if name not in _CONSTRAINTS:
            raise InvalidInput(
                f"no constraint {name!r}{checks.did_you_mean(name, _CONSTRAINTS)}",
                hint=f"there are {', '.join(_CONSTRAINTS)}",
            )
    if (weights := found.get("fairness_weights")) is not None:
        found["fairness_weights"] = {
            checks.name(symbol, "fairness_weights: a symbol"): checks.at_least(
                weight, 0, f"fairness_weights: of {symbol!r}"
            )
            for symbol, weight in checks.mapping(weights, "fairness_weights").items()
        }
    if (cap := found.get("max_burden")) is not None:
        found["max_burden"] = checks.at_least(cap, 0, "max_burden")
    return found


def symbols_of(goal: str | Iterable[str]) -> list[str]:
    given = [goal] if isinstance(goal, str) else list(goal)
    if not given:
        raise InvalidInput("a plan needs at least one goal")
    return list(dict.fromkeys(checks.name(symbol, "a goal") for symbol in given))
