"""The fold: the same for the same derivation, however it was found; another for any other."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.trajectory import Closure, Fact, Rule, TrajectoryPath
from tests.trajectory.generators import layered
from tests.trajectory.kit import optimizer, worlds

REPOSITORY = Path(__file__).resolve().parents[2]
START = frozenset({Fact("a"), Fact("b", 2)})
DIAMOND = (
    Rule("left", ("a",), "l", 2, {"Ada": 1, "Ben": 3}),  # type: ignore[arg-type]
    Rule("right", ("a", "b"), "r", 1),
    Rule("top", ("l", "r"), "t", 0.5),
)


def path(rules: tuple[Rule, ...], facts: frozenset[Fact] = START) -> TrajectoryPath:
    """As somebody wrote it down: the order is theirs, so are id and score."""
    return TrajectoryPath("any", (Closure(facts, 0, ()),), 0.1, 0.2, 0.3, rules)


def fold(found: TrajectoryPath) -> str:
    return optimizer().fold_to_hash(found)


def test_every_order_of_the_rules_folds_alike() -> None:
    """Also with the premises in another order, and numbers that are equal written otherwise."""
    folds = {fold(path(order)) for order in itertools.permutations(DIAMOND)}
    folds.add(
        fold(path((replace(DIAMOND[0]), replace(DIAMOND[1], premises=("b", "a")), DIAMOND[2])))
    )
    folds.add(fold(path(DIAMOND, frozenset({Fact("b", 2.0), Fact("a", 1)}))))
    assert len(folds) == 1
    assert len(folds.pop()) == 64


@pytest.mark.parametrize(
    "changed",
    [
        path(DIAMOND[:2]),
        path((*DIAMOND[:2], replace(DIAMOND[2], rule_id="tip"))),
        path((*DIAMOND[:2], replace(DIAMOND[2], conclusion="tt"))),
        path((*DIAMOND[:2], replace(DIAMOND[2], cost=0.25))),
        path((*DIAMOND[:2], replace(DIAMOND[2], premises=("l",)))),
        path((*DIAMOND[:2], replace(DIAMOND[2], premises=("l", "r", "a")))),
        path((replace(DIAMOND[0], bearers=(("Ada", 1.0),)), *DIAMOND[1:])),
        path((replace(DIAMOND[0], beneficiaries=(("Ada", 1.0),)), *DIAMOND[1:])),
        path(DIAMOND, frozenset({Fact("a"), Fact("b", 3)})),
        path(DIAMOND, frozenset({Fact("a"), Fact("b", "2")})),
        path(DIAMOND, START | {Fact("c")}),
    ],
)
def test_any_change_folds_to_another(changed: TrajectoryPath) -> None:
    assert fold(changed) != fold(path(DIAMOND))


def test_a_path_without_rules_folds_by_what_its_closures_say() -> None:
    """As earlier code made them; the way there does not count, the sets do."""
    ends = Closure(frozenset({Fact("a"), Fact("b")}), 2, ("r1", "r2"))
    other = Closure(ends.facts, 1, ("r2", "r1"))
    assert fold(TrajectoryPath("x", (ends,), 0, 0, 0)) == fold(
        TrajectoryPath("y", (other,), 1, 1, 1)
    )
    less = Closure(ends.facts, 2, ("r1",))
    assert fold(TrajectoryPath("x", (ends,), 0, 0, 0)) != fold(
        TrajectoryPath("x", (less,), 0, 0, 0)
    )
    assert len(fold(TrajectoryPath("x", (), 0, 0, 0))) == 64


@given(worlds(), st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_things_were_added_in(
    rules: list[Rule], random: Random
) -> None:
    """Nor its fold, nor what is reported with it."""
    start = [Fact("a"), Fact("b", 3)]
    goals = sorted({fact.symbol for fact in optimizer(rules).forward_chain(start).facts})
    first = optimizer(rules).plan(["a", *goals], facts=start) if goals else None
    shuffled = random.sample(rules, len(rules))
    again = optimizer(shuffled).plan(["a", *goals], facts=start[::-1]) if goals else None
    assert first == again


PROGRAM = """
import json, sys
from tests.trajectory.generators import layered
from tests.trajectory.kit import optimizer
task = layered(6, 8, 3, 2, 3, 7)
plan = optimizer(task.rules).plan(task.goals)
print(json.dumps([plan.fold, plan.cost, plan.bound, [rule.rule_id for rule in plan.steps]]))
"""


def test_every_process_plans_and_folds_alike() -> None:
    """Whatever its hash seed."""
    found = set()
    for seed in ("0", "1", "4711"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    task = layered(6, 8, 3, 2, 3, 7)
    plan = optimizer(task.rules).plan(task.goals)
    (only,) = found
    assert json.loads(only) == [plan.fold, plan.cost, plan.bound, [r.rule_id for r in plan.steps]]
