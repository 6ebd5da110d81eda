"""Forward chaining, held against the naive fixpoint; the closure that is kept up, against chaining."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import DinoError
from engines.journal import Journal, verify
from engines.trajectory import Fact, Rule, TrajectoryOptimizer, jain
from tests.trajectory.kit import SYMBOLS, follows, optimizer, worlds

starts = st.sets(st.sampled_from(SYMBOLS), max_size=3)


@given(worlds(most=14), starts, st.integers(0, 5))
def test_so_many_rounds_reach_what_the_naive_rounds_do(
    rules: list[Rule], start: set[str], depth: int
) -> None:
    """Cycles, rules that support themselves and rules without premises included."""
    expected = set(start)
    rounds = 0
    for _ in range(depth):
        new = {r.conclusion for r in rules if expected.issuperset(r.premises)} - expected
        rounds += bool(new)
        expected |= new
    closure = optimizer(rules).forward_chain({Fact(s) for s in start}, depth)
    assert {fact.symbol for fact in closure.facts} == expected
    assert closure.derivation_depth == rounds
    assert len(closure.rules_applied) == len(expected - start)
    everything = optimizer(rules).forward_chain({Fact(s) for s in start}, None)
    assert {fact.symbol for fact in everything.facts} == follows(rules, start)


def rule(number: int, premises: list[str], conclusion: str, cost: float) -> Rule:
    return Rule(f"r{number}", tuple(premises), conclusion, cost)


Command = Callable[[TrajectoryOptimizer], object]
symbol = st.sampled_from(SYMBOLS)
rules = st.builds(
    rule, st.integers(0, 6), st.lists(symbol, max_size=2), symbol, st.sampled_from([0, 1, 2.5])
)
commands = st.lists(
    st.tuples(
        st.booleans(),
        st.builds(lambda r: lambda e: e.add_rules([r]), rules)
        | st.builds(lambda r: lambda e: e.add_rules([r]), rules)
        | st.builds(
            lambda s, v: lambda e: e.add_fact(s, v),
            symbol,
            st.sampled_from([True, False, 2, math.nan]),
        )
        | st.builds(lambda n: lambda e: e.remove_rule(f"r{n}"), st.integers(0, 6))
        | st.builds(lambda s: lambda e: e.remove_fact(s), symbol)
        | st.builds(lambda s: lambda e: e.plan(s), symbol),
    ),
    max_size=14,
)


def seen(engine: TrajectoryOptimizer) -> object:
    holding = {s for s in SYMBOLS if engine.holds(s)}
    return engine.facts(), engine.rules(), engine.plans(), holding


@settings(max_examples=15)
@given(commands)
def test_any_history_folds_anew_to_the_live_state(script: list[tuple[bool, Command]]) -> None:
    """Two processes take turns; what holds by increments is what holds from the beginning."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trajectory_log.jsonl"

        def opened() -> TrajectoryOptimizer:
            return TrajectoryOptimizer(journal=Journal(path))

        pair = opened(), opened()
        for second, command in script:
            with contextlib.suppress(DinoError):  # refused: leaves no trace, as the fold shows
                command(pair[second])
            engine = pair[second]
            stated = {fact.symbol for fact in engine.facts() if fact.holds}
            assert {s for s in SYMBOLS if engine.holds(s)} == follows(engine.rules(), stated)
        for engine in pair:
            engine.refresh()
            assert seen(engine) == seen(opened())
        assert not path.exists() or verify(path).ok


def test_a_snapshot_brings_back_what_holds(tmp_path: Path) -> None:
    """The index is not part of the state; it is made again."""
    path = tmp_path / "trajectory_log.jsonl"
    engine = TrajectoryOptimizer(path)
    engine.add_rule("r", ["a"], "b", 2, bearers={"Ada": 2, "Ben": 1})
    engine.add_fact("a", 1.5)
    engine.add_fact("c", value=False)
    engine.plan("b")
    engine.save_snapshot()
    again = TrajectoryOptimizer(path)
    assert again.holds("b")
    assert not again.holds("c")
    assert seen(again) == seen(engine)
    assert again.check_snapshot() is None
    again.remove_fact("a")
    assert not TrajectoryOptimizer(path).holds("b")


def test_many_rules_are_one_decision_of_few_lines(tmp_path: Path) -> None:
    engine = TrajectoryOptimizer(tmp_path / "log.jsonl")
    engine.add_rules(Rule(f"r{n}", (f"s{n}",), f"s{n + 1}") for n in range(2500))
    kinds = [event["event_type"] for event in Journal(tmp_path / "log.jsonl").events()]
    assert kinds == ["journal_created", "rules_added", "rules_added", "rules_added"]
    engine.add_rules(engine.rules())  # changes nothing
    assert len(list(Journal(tmp_path / "log.jsonl").events())) == 4


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=8))
def test_jains_index_lies_between_an_nth_and_one(amounts: list[float]) -> None:
    """And does not depend on the unit."""
    index = jain(amounts)
    assert 1 / len(amounts) - 1e-9 <= index <= 1
    assert jain([amount * 2 for amount in amounts]) == pytest.approx(index)


def test_jains_index_of_known_shares() -> None:
    assert jain([1, 1, 1]) == 1
    assert jain([0, 0, 5]) == 1 / 3
    assert jain([0, 0]) == jain([]) == 1
    assert jain([1e-320, 1e-320]) == 1
