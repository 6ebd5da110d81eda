"""What users' code relies on in `engines.trajectory`: names, defaults and behaviour."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.trajectory import (
    Closure,
    Fact,
    FactNotFoundError,
    Rule,
    RuleNotFoundError,
    TrajectoryOptimizer,
    TrajectoryPath,
    Unreachable,
)
from tests.trajectory.kit import optimizer

A = {Fact("A", True)}


@pytest.fixture
def known() -> TrajectoryOptimizer:
    made = optimizer()
    made.add_fact("A", True)
    made.add_rule("one", ["A"], "B", cost=1.0)
    made.add_rule("two", ["B"], "C", 2.0)
    made.add_rule("dear", ["A"], "C", 9.0)
    return made


def test_facts_are_equal_and_hashed_by_symbol_and_value() -> None:
    assert Fact("A", True) == Fact("A", True) == Fact("A")
    assert len({Fact("A", 1.5), Fact("A", 1.5), Fact("A", 2), Fact("B", 2)}) == 3


def test_names_and_defaults(known: TrajectoryOptimizer) -> None:
    found = (known.beam_width, known.max_depth, known.efficiency_weight, known.fairness_weight)
    assert found == (5, 10, 0.6, 0.4)
    rule = Rule("r", ("A",), "B")
    assert (rule.rule_id, rule.premises, rule.conclusion, rule.cost) == ("r", ("A",), "B", 1.0)
    path = TrajectoryPath("id", (), 0.5, 1.0, 3.0)
    assert (path.path_id, path.closures, path.score) == ("id", (), 0.5)
    assert (path.fairness_score, path.total_cost) == (1.0, 3.0)


def test_chaining_forward_says_what_follows_how_deep_and_by_what(
    known: TrajectoryOptimizer,
) -> None:
    """Of two rules for one fact in one round the cheaper; never more rounds than told."""
    closure = known.forward_chain(A)
    assert closure == Closure(frozenset({Fact("A"), Fact("B"), Fact("C")}), 1, ("dear", "one"))
    known.remove_rule("dear")
    assert known.forward_chain(A).rules_applied == ("one", "two")
    assert known.forward_chain(A).derivation_depth == 2
    assert known.forward_chain(A, max_depth=1).facts == {Fact("A"), Fact("B")}
    assert known.forward_chain(A, max_depth=0).facts == A
    assert known.forward_chain(set()).facts == frozenset()


def test_a_fact_that_is_false_does_not_hold(known: TrajectoryOptimizer) -> None:
    """Nor one that is null; any other value does, and a derived fact takes its place."""
    for value in (False, None):
        assert known.forward_chain({Fact("A", value)}).rules_applied == ()
        known.add_fact("A", value)
        assert not known.holds("B")
    for value in (0, "", 2.5, "no", True):
        known.add_fact("A", value)
        assert known.holds("C")
    assert known.forward_chain({*A, Fact("B", False)}).facts == {Fact("A"), Fact("B"), Fact("C")}


def test_a_score_weighs_efficiency_and_fairness(known: TrajectoryOptimizer) -> None:
    """Two facts for 10: 2/12; without parties nobody is treated unfairly."""
    closure = known.forward_chain(A)
    score, fair = known.score_trajectory(closure)
    assert fair == 1
    assert score == pytest.approx(0.6 * 2 / 12 + 0.4)
    weights = {"fairness_weights": {"B": 1, "D": 3}}
    score, fair = known.score_trajectory(closure, weights)
    assert fair == 0.25
    assert score == pytest.approx(0.6 * 2 / 12 + 0.4 * 0.25)


def test_the_spine_is_the_cheapest_way_to_all_there_is(known: TrajectoryOptimizer) -> None:
    """Its closures grow; its plan carries the proof; its id begins its fold."""
    path = known.beam_search_optimal_spine(A)
    assert [rule.rule_id for rule in path.rules] == ["one", "two"]
    assert path.total_cost == 3
    assert [closure.derivation_depth for closure in path.closures] == [0, 1, 2]
    assert path.plan is not None
    assert (path.plan.cost, path.plan.bound, path.plan.gap) == (3, 3, 0)
    assert (path.score, path.fairness_score) == known.score_trajectory(path.closures[-1])
    assert known.fold_to_hash(path) == path.plan.fold
    assert path.plan.fold.startswith(path.path_id)
    assert known.get_state_occupancy_map(path) == {"A": [1, 1, 1], "B": [0, 1, 1], "C": [0, 0, 1]}


def test_a_spine_to_a_goal_leaves_out_what_it_does_not_need(known: TrajectoryOptimizer) -> None:
    path = known.beam_search_optimal_spine(A, goal="B")
    assert [rule.rule_id for rule in path.rules] == ["one"]
    nothing = known.beam_search_optimal_spine(A, goal="A")
    assert (nothing.rules, nothing.total_cost, len(nothing.closures)) == ((), 0, 1)


def test_exploring_looks_no_farther_than_max_depth() -> None:
    """Facts that only more rounds reach are no goals."""
    rules = [Rule(f"r{n:02}", (f"s{n}",), f"s{n + 1}") for n in range(20)]
    known = optimizer(rules)
    assert known.beam_search_optimal_spine({Fact("s0")}).total_cost == 10
    known.max_depth = 3
    assert known.beam_search_optimal_spine({Fact("s0")}).total_cost == 3
    assert known.beam_search_optimal_spine({Fact("s20")}).total_cost == 0


def test_with_parties_the_spine_is_the_best_score_of_the_front() -> None:
    """Here a dearer way is worth it, because two share it."""
    known = optimizer()
    known.add_rule("alone", [], "G", 4, bearers=["Ada"])
    known.add_rule("both", [], "G", 5, bearers=["Ada", "Ben"])
    path = known.beam_search_optimal_spine(set(), goal="G")
    assert [rule.rule_id for rule in path.rules] == ["both"]
    assert path.plan is not None
    assert (path.plan.bound, path.plan.gap) == (4, 0.25)
    known.fairness_weight = 0.0
    path = known.beam_search_optimal_spine(set(), goal="G")
    assert path.total_cost == 4
    capped = known.beam_search_optimal_spine(set(), {"max_burden": 2.5}, goal="G")
    assert capped.total_cost == 5


def test_fairness_is_reported_both_ways() -> None:
    known = optimizer()
    parties: dict[str, Any] = {"bearers": {"Ada": 3, "Ben": 1}, "beneficiaries": {"Cy": 2}}
    known.add_rule("r", [], "G", 8, **parties)
    fair = known.plan("G").fairness
    assert fair.burdens == {"Ada": 6, "Ben": 2, "Cy": 0}
    assert fair.gains == {"Ada": 0, "Ben": 0, "Cy": 2}
    assert (fair.max_burden, fair.min_gain) == (6, 0)
    assert fair.jain == pytest.approx(64 / (3 * 40))
    assert fair.jain_gains == pytest.approx(1 / 3)


def test_why_and_why_not(known: TrajectoryOptimizer) -> None:
    known.add_rule("far", ["C", "key", "map"], "D")
    why = known.explain("C")
    assert why is not None
    assert why.lines() == ["C  by two, cost 2", "└─ B  by one, cost 1", "   └─ A  stated"]
    assert known.explain("D") is None
    missing = known.why_not("D")
    assert missing is not None
    assert (missing.facts, missing.fewest) == (("key", "map"), True)
    assert [rule.rule_id for rule in missing.steps] == ["one", "two", "far"]
    assert known.why_not("C") is None
    for ask in (known.explain, known.why_not, known.plan):
        with pytest.raises(FactNotFoundError, match=r"no fact and no rule speaks of 'keys'.*'key'"):
            ask("keys")


def test_what_is_shared_is_drawn_once() -> None:
    known = optimizer(
        [Rule("b", ("a",), "b"), Rule("c", ("b", "b"), "c"), Rule("d", ("b", "c"), "d")], ["a"]
    )
    why = known.explain("d")
    assert why is not None
    assert why.lines() == [
        *("d  by d, cost 1", "├─ b  by b, cost 1", "│  └─ a  stated"),
        *("└─ c  by c, cost 1", "   └─ b  by b, cost 1 (above)"),
    ]
    assert [rule.rule_id for rule in why.steps] == ["b", "c", "d"]


def test_a_long_chain_is_no_deep_recursion() -> None:
    rules = [Rule(f"r{n}", (f"s{n}",), f"s{n + 1}") for n in range(3000)]
    known = optimizer(rules, ["s0"])
    why = known.explain("s3000")
    assert why is not None
    assert len(why.steps) == 3000
    assert len(why.lines()) == 3001
    assert known.plan("s3000").cost == 3000


def test_the_status_counts(known: TrajectoryOptimizer) -> None:
    known.plan("C")
    status = known.get_status()
    assert (status["facts"], status["rules"], status["plans"]) == (1, 3, 1)
    assert (status["symbols"], status["holding"]) == (3, 3)
    assert status["last_plan"]["cost"] == 3
    assert known.verify_hash_chain()


def test_a_rule_of_the_same_id_takes_the_place_of_the_old(known: TrajectoryOptimizer) -> None:
    known.add_rule("two", ["Z"], "C", 1)
    assert known.plan("C").cost == 9
    assert known.rule("two").premises == ("Z",)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda e: e.add_fact(" "), "symbol"),
        (lambda e: e.add_fact("x", math.nan), "finite"),
        (lambda e: e.add_fact("x", [1]), "must be text, a number"),
        (lambda e: e.add_rule("", [], "x"), "id"),
        (lambda e: e.add_rule("r", "AB", "x"), "list of symbols"),
        (lambda e: e.add_rule("r", [""], "x"), "a premise"),
        (lambda e: e.add_rule("r", [], "x", -1), "at least 0"),
        (lambda e: e.add_rule("r", [], "x", math.inf), "finite"),
        (lambda e: e.add_rule("r", [], "x", bearers={"Ada": 0}), "add up to nothing"),
        (lambda e: e.add_rule("r", [], "x", bearers={"Ada": -1}), "at least 0"),
        (lambda e: e.add_rule("r", [], "x", bearers="Ada"), "list or a mapping"),
        (lambda e: e.add_rule("r", [], "x", bearers=["Ada", "Ada"]), "twice"),
        (lambda e: e.forward_chain({"A"}), "expected a Fact"),
        (lambda e: e.forward_chain({Fact("A", 1), Fact("A", 2)}), "two values"),
        (lambda e: e.forward_chain(A, -1), "at least 0"),
        (lambda e: e.plan([]), "at least one goal"),
        (lambda e: e.plan("C", gap=-1), "gap"),
        (lambda e: e.plan("C", time_limit=-1), "time_limit"),
        (lambda e: e.beam_search_optimal_spine(A, {"max_cost": 3}), "no constraint 'max_cost'"),
        (lambda e: e.beam_search_optimal_spine(A, {"fairness_weights": {"B": -1}}), "at least 0"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(
    known: TrajectoryOptimizer, call: Any, what: str
) -> None:
    before = known.get_status()
    with pytest.raises(InvalidInput, match=what):
        call(known)
    assert known.get_status() == before


def test_what_is_not_there_is_said(known: TrajectoryOptimizer) -> None:
    with pytest.raises(RuleNotFoundError, match=r"'tow'.*'two'"):
        known.remove_rule("tow")
    with pytest.raises(FactNotFoundError, match="'a'"):
        known.remove_fact("a")
    known.add_rule("never", ["key"], "D")
    with pytest.raises(Unreachable, match="'D'"):
        known.plan(["C", "D"])


def test_a_search_whose_time_is_up_says_so(known: TrajectoryOptimizer) -> None:
    """And has a plan and a bound all the same."""
    plan = known.plan("C", time_limit=0)
    assert plan.cut
    assert plan.bound <= plan.cost
    assert not known.plan("C").cut
