"""
Trajectories: what follows from facts by rules with a cost, and the cheapest and fairest ways there.

Its state, the facts and rules and what was planned, is a fold over `trajectory_log.jsonl`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from engines import checks
from engines.trajectory.knowledge import TrajectoryKnowledge, constraints_of, symbols_of
from engines.trajectory.model import (
    Fact,
    FactNotFoundError,
    Parties,
    Rule,
    TrajectoryPath,
    fact,
    facts_by_symbol,
)
from engines.trajectory.planned import Plan
from engines.trajectory.planner import path_of

_IN_ONE_LINE = 1_000
_ID_DIGITS = 12
_STEPS_TOLD = 1_000


class TrajectoryOptimizer(TrajectoryKnowledge):
    """
    Facts, rules, and plans over them.

    Args:
        trajectory_log_path: The journal's file; None is the workspace's own.
        journal: Instead of a file, where one is open already.
        clock: Seconds since the epoch.

    Attributes:
        beam_width: How many states the beam search keeps at first.
        max_depth: How many rounds an exploration without a goal looks ahead.
        efficiency_weight, fairness_weight: What each counts in a score.
    """

    def add_fact(self, symbol: str, value: Any = True) -> Fact:  # noqa: FBT002  a value is any
        """State a fact; of one symbol the latest value counts."""
        new = fact(symbol, value)
        self.add_facts([new])
        return new

    def add_facts(self, facts: Iterable[Fact]) -> None:
        """State several facts, all or none."""
        new = [fact(*one) for one in facts]
        with self.deciding():
            changed = {
                one.symbol: one.value
                for one in new
                if one.symbol not in self._facts or not _same(self._facts[one.symbol], one.value)
            }
            for some in _in_pieces(list(changed.items())):
                self.record("facts_stated", facts=[list(pair) for pair in some])

    def remove_fact(self, symbol: str) -> None:
        """
        State a fact no longer.

        Raises:
            FactNotFoundError: It is not stated.
        """
        with self.deciding():
            if symbol not in self._facts:
                raise FactNotFoundError(
                    f"no fact {symbol!r} is stated{checks.did_you_mean(symbol, self._facts)}"
                )
            self.record("fact_retracted", symbol=symbol)

    def add_rule(
        self,
        rule_id: str,
        premises: Iterable[str],
        conclusion: str,
        cost: float = 1.0,
        *,
        bearers: Parties = (),
        beneficiaries: Parties = (),
    ) -> Rule:
        """Add a rule, or change the one of that id; see `Rule`."""
        given: dict[str, Any] = {"bearers": bearers, "beneficiaries": beneficiaries}
        new = Rule(rule_id, _tuple(premises), conclusion, cost, **given)
        self.add_rules([new])
        return new

    def add_rules(self, rules: Iterable[Rule]) -> None:
        """Add several rules, all or none."""
        new = list(rules)
        with self.deciding():
            changed = {r.rule_id: r for r in new if self._rules.get(r.rule_id) != r}
            for some in _in_pieces(list(changed.values())):
                self.record("rules_added", rules=[rule.as_dict() for rule in some])

    def remove_rule(self, rule_id: str) -> None:
        """
        Forget a rule.

        Raises:
            RuleNotFoundError: There is none of that id.
        """
        with self.deciding():
            self.rule(rule_id)
            self.record("rule_removed", rule_id=rule_id)

    def beam_search_optimal_spine(
        self,
        initial_facts: Collection[Fact],
        constraints: Mapping[str, Any] | None = None,
        *,
        goal: str | Iterable[str] | None = None,
        time_limit: float | None = None,
        gap: float = 0.0,
        seed: int = 0,
    ) -> TrajectoryPath:
        """
        The path of the best score to the goal, or to all that follows within `max_depth` rounds.

        Without parties that is the cheapest; with them one of the front of cost and burden.  Its
        `plan` has the bound that was proven on the cost of every plan.

        Args:
            constraints: `fairness_weights` (symbol → weight), `max_burden`.
            goal: Symbols to reach.
            time_limit: Seconds; None searches as much on every machine.
            gap: What is good enough, as a share of the bound.

        Raises:
            InvalidInput: A constraint is not known.
            Unreachable: No rules lead to the goal.
        """
        limits = constraints_of(constraints)
        facts = facts_by_symbol(initial_facts)
        with self.deciding():
            goals = self._within_depth(facts) if goal is None else symbols_of(goal)
            planner = self._planner(facts, goals, time_limit, gap, seed)
            cap = limits.get("max_burden")
            several = planner.parties and cap is None
            plans = planner.front().plans if several else (planner.plan(cap),)
            paths = [self._scored(facts, plan, constraints) for plan in plans]
            best = max(paths, key=lambda path: (path.score, -path.total_cost))
            assert best.plan is not None  # noqa: S101  it was scored with one
            self._record_plan(best.plan, best.score, best.fairness_score, named=goal is not None)
        return best

    def plan(
        self,
        goal: str | Iterable[str],
        *,
        facts: Iterable[Fact] | None = None,
        max_burden: float | None = None,
        time_limit: float | None = None,
        gap: float = 0.0,
        seed: int = 0,
    ) -> Plan:
        """
        The cheapest plan from the stated facts (or *facts*) to the goal, and how cheap one can be.

        Args:
            max_burden: What no party may bear more of.
            time_limit, gap: As for `beam_search_optimal_spine`.

        Raises:
            FactNotFoundError: A goal is in no fact and in no rule.
            Unreachable: No rules lead there, or none that leave everybody below *max_burden*.
        """
        with self.deciding():
            start = self._start(facts)
            goals = self._known_goals(goal, start)
            found = self._planner(start, goals, time_limit, gap, seed).plan(max_burden)
            self._record_plan(found, *self._score(found.steps), named=True)
        return found

    # --- below the face ----------------------------------------------------------------------

    def _within_depth(self, facts: Mapping[str, Fact]) -> list[str]:
        holding = [self._index.id_of(symbol) for symbol, fact in facts.items() if fact.holds]
        rounds = self._index.rounds(holding, self.max_depth)
        return sorted(self._index.rules[place].conclusion for places in rounds for place in places)

    def _scored(
        self, facts: Mapping[str, Fact], plan: Plan, constraints: Mapping[str, Any] | None
    ) -> TrajectoryPath:
        path = path_of(facts.values(), plan.steps)
        weights = constraints_of(constraints).get("fairness_weights")
        score, fair = self._score(path.rules, path.closures[-1].facts, weights)
        return replace(
            path, path_id=plan.fold[:_ID_DIGITS], score=score, fairness_score=fair, plan=plan
        )

    def _record_plan(self, plan: Plan, score: float, fair: float, *, named: bool) -> None:
        self.record(
            "trajectory_planned",
            path_id=plan.fold[:_ID_DIGITS],
            goals=list(plan.goals) if named else [],
            cost=plan.cost,
            bound=plan.bound,
            gap=plan.gap,
            score=score,
            fairness=fair,
            steps=len(plan.steps),
            fold=plan.fold,
            derivation=[
                [rule.rule_id, list(rule.premises), rule.conclusion, rule.cost]
                for rule in plan.steps[:_STEPS_TOLD]
            ],
        )


def _tuple(premises: Iterable[str]) -> Any:
    return premises if isinstance(premises, str) else tuple(premises)


def _same(one: Any, other: Any) -> bool:
    """As the journal has them: true is not 1."""
    return type(one) is type(other) and bool(one == other)


def _in_pieces(items: list[Any]) -> Iterable[list[Any]]:
    return (items[at : at + _IN_ONE_LINE] for at in range(0, len(items), _IN_ONE_LINE))
