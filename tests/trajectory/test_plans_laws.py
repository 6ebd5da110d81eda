"""Every claim about a plan, held against all subsets of the rules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.trajectory import Fact, Plan, Rule, Unreachable
from engines.trajectory.budget import Budget
from engines.trajectory.index import RuleIndex
from engines.trajectory.lmcut import lm_cut
from engines.trajectory.program import Program
from engines.trajectory.supporters import h_max, suggested
from engines.trajectory.task import Task, build
from tests.trajectory.kit import SYMBOLS, follows, front, least_cost, optimizer, worlds

starts = st.sets(st.sampled_from("ab"), max_size=2)
goals = st.sets(st.sampled_from("defg"), min_size=1, max_size=2)


def task_of(rules: list[Rule], start: set[str], goal: set[str]) -> Task | None:
    index = RuleIndex()
    for rule in rules:
        index.add(rule)
    names = ("X", "Y", "Z")
    return build(
        index, {index.id_of(s) for s in start}, [index.id_of(g) for g in sorted(goal)], names
    )


def check_steps(plan: Plan, start: set[str], goal: set[str]) -> None:
    """Each step finds its premises; the goals hold at the end; the sums are right."""
    known = set(start)
    for rule in plan.steps:
        assert known.issuperset(rule.premises)
        known.add(rule.conclusion)
    assert known >= goal
    assert plan.cost == pytest.approx(math.fsum(rule.cost for rule in plan.steps))
    assert len({rule.rule_id for rule in plan.steps}) == len(plan.steps)


@settings(max_examples=45)
@given(worlds(), starts, goals)
def test_bound_optimum_and_cost_stand_in_that_order(
    rules: list[Rule], start: set[str], goal: set[str]
) -> None:
    """Also where it says optimal, which is each time for so few rules; unreachable if and only if."""
    best = least_cost(rules, start, goal)
    known = optimizer([*rules, Rule("named", tuple(sorted(goal)), "z")], start)
    if best is None:
        with pytest.raises(Unreachable):
            known.plan(goal)
        return
    plan = known.plan(goal)
    check_steps(plan, start, goal)
    assert plan.bound <= best + 1e-6
    assert best <= plan.cost + 1e-9
    assert plan.optimal
    assert plan.cost == pytest.approx(best)
    assert all(bound <= best + 1e-6 for bound in plan.bounds.values())
    for rule_id in plan.must:
        assert not follows([r for r in rules if r.rule_id != rule_id], start) >= goal


@settings(max_examples=45)
@given(worlds(), starts, goals)
def test_each_bound_alone_is_one(rules: list[Rule], start: set[str], goal: set[str]) -> None:
    """h_max, LM-cut, the relaxation and the program, each on the task as it was cut down."""
    best = least_cost(rules, start, goal)
    task = task_of(rules, start, goal)
    assert (task is None) == (best is None)
    if task is None or best is None:
        return
    cuts, landmarks = lm_cut(task, most=1000, budget=Budget())
    assert h_max(task) <= best + 1e-9
    assert h_max(task) <= cuts + 1e-6
    assert cuts <= best + 1e-6
    first = suggested(task, task.costs)
    assert first is not None
    assert task.reaches(first)
    assert task.cost(first) >= best - 1e-9
    for marks in (landmarks, []):
        program = Program(task, marks)
        relaxed = program.relaxed()
        assert relaxed is not None
        assert relaxed[0] <= best + 1e-6
        answer = program.solved()
        assert answer.closed
        assert answer.ops is not None
        assert task.reaches(answer.ops)
        assert task.cost(answer.ops) == pytest.approx(best)


@settings(max_examples=18)
@given(worlds(most=8, parties=True), starts, goals)
def test_the_front_is_all_that_no_subset_beats(
    rules: list[Rule], start: set[str], goal: set[str]
) -> None:
    """Cost against greatest burden, as sets; each with its Jain's index."""
    expected = front(rules, start, goal)
    known = optimizer([*rules, Rule("named", tuple(sorted(goal)), "z")], start)
    if not expected:
        with pytest.raises(Unreachable):
            known.front(goal)
        return
    found = known.front(goal)
    assert found.exact
    points = [(round(p.cost, 6), round(p.fairness.max_burden, 6)) for p in found.plans]
    assert points == expected
    for plan in found.plans:
        check_steps(plan, start, goal)
        shares = list(plan.fairness.burdens.values())
        squares = len(shares) * sum(share * share for share in shares)
        assert plan.fairness.jain == pytest.approx(sum(shares) ** 2 / squares if squares else 1)
    assert 0 <= found.knee < len(points)


@settings(max_examples=18)
@given(worlds(most=8, parties=True), starts, goals, st.sampled_from([0, 0.5, 1, 2, 4]))
def test_a_capped_plan_is_the_cheapest_within_the_cap(
    rules: list[Rule], start: set[str], goal: set[str], cap: float
) -> None:
    """Its bound too; and there is none if and only if no subset is within."""
    known = optimizer([*rules, Rule("named", tuple(sorted(goal)), "z")], start)
    within = [cost for cost, most in front(rules, start, goal) if most <= cap + 1e-6]
    if not within:
        with pytest.raises(Unreachable):
            known.plan(goal, max_burden=cap)
        return
    plan = known.plan(goal, max_burden=cap)
    check_steps(plan, start, goal)
    assert plan.fairness.max_burden <= cap + 1e-6
    assert plan.cost == pytest.approx(min(within))
    assert plan.bound <= min(within) + 1e-6


@settings(max_examples=18)
@given(worlds(), starts)
def test_exploring_gets_to_all_there_is_at_the_least_cost(
    rules: list[Rule], start: set[str]
) -> None:
    """Without a goal; the closures grow round by round to what follows from all the rules."""
    reached = follows(rules, start)
    path = (
        optimizer(rules).beam_search_optimal_spine({Fact(s) for s in start})
        if reached - start
        else None
    )
    if path is None:
        return
    assert {fact.symbol for fact in path.closures[-1].facts} == reached
    assert path.total_cost == pytest.approx(least_cost(rules, start, reached))
    assert path.closures[0].facts == {Fact(s) for s in start}
    for before, after in zip(path.closures, path.closures[1:], strict=False):
        assert before.facts < after.facts
        assert after.derivation_depth == before.derivation_depth + 1
    assert 0 <= path.score <= 1
    assert 0 <= path.fairness_score <= 1


@settings(max_examples=30)
@given(worlds(), starts, st.sampled_from(SYMBOLS))
def test_what_is_missing_is_the_fewest_there_is(
    rules: list[Rule], start: set[str], symbol: str
) -> None:
    """Stated, they make it hold; no smaller set of what no rule concludes does."""
    known = optimizer([*rules, Rule("named", tuple(SYMBOLS), "z")], start)
    missing = known.why_not(symbol)
    assert (missing is None) == (symbol in follows(rules, start))
    if missing is None:
        return
    assert missing.fewest
    assert symbol in follows(rules, start | set(missing.facts))
    concluded = {rule.conclusion for rule in rules}
    if not concluded & set(missing.facts):
        leaves = [Rule(f"assume-{s}", (), s) for s in SYMBOLS if s not in concluded | start]
        free = [Rule(rule.rule_id, rule.premises, rule.conclusion, 0) for rule in rules]
        assert len(missing.facts) == least_cost([*free, *leaves], start, {symbol})
