"""Planning tasks in PDDL: what comes of them, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.trajectory import load_pddl, pddl_task
from engines.trajectory.grounding import Schema, World, ground
from tests.trajectory.kit import optimizer

DOMAIN = """
(define (domain trips) (:requirements :strips :typing :equality :negative-preconditions :action-costs)
 (:types truck place - object city - place)
 (:constants depot - city)
 (:predicates (at ?t - truck ?p - place) (road ?a ?b - place) (used ?t - truck) (seen ?p - place))
 (:functions (total-cost) - number (length ?a ?b - place) - number)
 (:action DRIVE :parameters (?t - truck ?a - place ?b - place)
  :precondition (and (at ?t ?a) (road ?a ?b))
  :effect (and (at ?t ?b) (not (at ?t ?a)) (used ?t) (increase (total-cost) (length ?a ?b))))
 (:action look :parameters (?t - truck ?p - place)
  :precondition (and (at ?t ?p) (not (seen ?p)) (not (= ?p depot)))
  :effect (and (seen ?p) (increase (total-cost) 1))))
"""
PROBLEM = """
(define (problem p) (:domain trips)
 (:objects t1 t2 - truck a b - place)
 (:init (at t1 a) (road a b) (road b depot) (road b a)
        (= (length a b) 3) (= (length b depot) 2.5) (= (length b a) 9) (= (total-cost) 0))
 (:goal (and (at t1 depot) (used t1))) (:metric minimize (total-cost)))
"""


def written(folder: Path, domain: str = DOMAIN, problem: str = PROBLEM) -> tuple[Path, Path]:
    files = folder / "domain.pddl", folder / "problem.pddl"
    for file, text in zip(files, (domain, problem), strict=True):
        file.write_text(text)
    return files


def test_a_task_becomes_facts_and_rules(tmp_path: Path) -> None:
    """Types and what never changes are looked at once; an action with two effects costs once."""
    facts, rules = load_pddl(*written(tmp_path))
    assert [fact.symbol for fact in facts] == ["(at t1 a)"]
    found = {rule.rule_id: rule for rule in rules}
    drive = found["(drive t1 b depot)"]
    assert (drive.premises, drive.conclusion, drive.cost) == (
        ("(at t1 b)",),
        "done (drive t1 b depot)",
        2.5,
    )
    assert found["(drive t1 b depot) gives (at t1 depot)"].cost == 0
    assert found["(look t1 a)"].premises == ("(at t1 a)",)
    assert "(look t1 depot)" not in found
    assert not any("t2" in rule_id for rule_id in found)  # which stands nowhere
    known = optimizer(rules)
    known.add_facts(facts)
    plan = known.plan("goal")
    assert (plan.cost, plan.bound) == (5.5, 5.5)
    assert [rule.rule_id for rule in plan.steps if rule.cost] == [
        "(drive t1 a b)",
        "(drive t1 b depot)",
    ]


def test_a_requirement_that_old_tasks_leave_out_is_no_matter(tmp_path: Path) -> None:
    """Types without :typing."""
    assert load_pddl(*written(tmp_path, DOMAIN.replace(" :typing", ""))) == load_pddl(
        *written(tmp_path)
    )


def test_without_a_metric_every_action_costs_one(tmp_path: Path) -> None:
    problem = PROBLEM.replace("(:metric minimize (total-cost))", "")
    _, rules = load_pddl(*written(tmp_path, problem=problem))
    assert {
        rule.cost
        for rule in rules
        if rule.rule_id.startswith("(drive") and "gives" not in rule.rule_id
    } == {1}


def test_a_negated_precondition_waits_for_the_delete(tmp_path: Path) -> None:
    """Where the atom holds at first; where it does not, there is nothing to wait for."""
    domain = """
    (define (domain d) (:requirements :strips :negative-preconditions)
     (:predicates (locked) (in) (lit))
     (:action unlock :parameters () :precondition () :effect (not (locked)))
     (:action enter :parameters () :precondition (and (not (locked)) (not (lit))) :effect (in)))
    """
    problem = "(define (problem p) (:domain d) (:init (locked)) (:goal (and (in) (not (lit)))))"
    facts, rules = load_pddl(*written(tmp_path, domain, problem))
    known = optimizer(rules)
    known.add_facts(facts)
    assert [r.rule_id for r in known.plan("goal").steps] == ["(unlock)", "(enter)", "goal"]


@pytest.mark.parametrize(
    ("change", "to", "what"),
    [
        (
            ":precondition (and (at ?t ?a) (road ?a ?b))",
            ":precondition (or (at ?t ?a) (road ?a ?b))",
            "Or is not supported",
        ),
        ("(used ?t) (increase", "(when (used ?t) (seen ?a)) (increase", "When is not supported"),
        ("(at ?t ?b) (not", "(forall (?x - place) (seen ?x)) (not", "Forall is not supported"),
        ("(define (domain", "(define (domian", "not PDDL"),
        ("(length ?a ?b))))", "(+ 1 (length ?a ?b)))))", "not PDDL|not supported"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    tmp_path: Path, change: str, to: str, what: str
) -> None:
    domain = DOMAIN.replace(change, to, 1)
    domain = domain.replace(":strips", ":strips :adl")
    with pytest.raises(InvalidInput, match=what):
        load_pddl(*written(tmp_path, domain))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    domain, problem = written(tmp_path)
    with pytest.raises(InvalidInput, match=r"none\.pddl: no such file"):
        load_pddl(tmp_path / "none.pddl", problem)
    problem.write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        load_pddl(domain, problem)
    problem.write_text("(" * 30_000)
    with pytest.raises(InvalidInput, match="not PDDL"):
        load_pddl(domain, problem)
    assert issubclass(pddl_task.ParserMissing, Exception)


def test_a_cost_that_nobody_stated_is_named(tmp_path: Path) -> None:
    problem = PROBLEM.replace("(= (length b depot) 2.5)", "")
    with pytest.raises(InvalidInput, match=r"\(length b depot\) has no value"):
        load_pddl(*written(tmp_path, problem=problem))


@pytest.mark.parametrize(
    ("change", "to", "what"),
    [
        ("minimize", "maximize", "maximize"),
        ("(:domain trips)", "(:domain strips)", "one of strips, not of trips"),
        ("t1 t2 - truck", "t1 t2 - truk", "no type 'truk'"),
        ("(used t1)", "(usd t1)", "the goal: no predicate 'usd'"),
        ("(at t1 depot)", "(at t1 dept)", "the goal: no object 'dept'"),
        ("(at t1 a)", "(at t1)", "the initial state: no predicate 'at' of 1"),
    ],
)
def test_a_problem_that_does_not_fit_its_domain_is_refused(
    tmp_path: Path, change: str, to: str, what: str
) -> None:
    """A misspelt name would make a task of its own, with a bound that says nothing of this one."""
    with pytest.raises(InvalidInput, match=what):
        load_pddl(*written(tmp_path, problem=PROBLEM.replace(change, to)))


def test_too_many_actions_are_refused() -> None:
    names = {f"o{n}": frozenset({"object"}) for n in range(30)}
    schema = Schema("a", {f"?{v}": frozenset() for v in "xyz"}, adds=(("p", "?x", "?y", "?z"),))
    with pytest.raises(InvalidInput, match="more than 1,000 actions"):
        ground(World((schema,), names, frozenset(), ()), most=1000)


atoms = st.tuples(
    st.sampled_from("pq"), st.sampled_from(["?x", "?y", "o1"]), st.sampled_from(["?x", "?y"])
)
ground_atoms = st.tuples(st.sampled_from("pq"), *[st.sampled_from(["o1", "o2", "o3"])] * 2)
schemas = st.builds(
    lambda needs, distinct, add: (tuple(needs), (("?x", "?y"),) if distinct else (), (add,)),
    st.lists(atoms, max_size=3),
    st.booleans(),
    atoms,
)


@given(st.lists(schemas, min_size=1, max_size=3), st.sets(ground_atoms, max_size=5))
def test_grounding_makes_exactly_what_can_be_reached(
    made: list[
        tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, str], ...], tuple[tuple[str, ...], ...]]
    ],
    initial: set[tuple[str, ...]],
) -> None:
    """Held against filling in every object everywhere and chaining forward naively."""
    kinds = {"o1": frozenset({"s"}), "o2": frozenset({"s", "t"}), "o3": frozenset({"t"})}
    parameters = {"?x": frozenset({"s"}), "?y": frozenset({"t"})}
    world = World(
        tuple(
            Schema(f"a{n}", parameters, needs=needs, distinct=distinct, adds=adds)
            for n, (needs, distinct, adds) in enumerate(made)
        ),
        kinds,
        frozenset(initial),
        (),
    )
    known, applied = set(initial), set[str]()
    for _ in range(30):
        for number, (needs, distinct, adds) in enumerate(made):
            for x, y in itertools.product(("o1", "o2"), ("o2", "o3")):
                full = {"?x": x, "?y": y}
                filled = [tuple(full.get(t, t) for t in atom) for atom in (*needs, *adds)]
                if known.issuperset(filled[:-1]) and not (distinct and x == y):
                    applied.add(f"(a{number} {x} {y})")
                    known.add(filled[-1])
    _, rules = ground(world)
    names = {rule.rule_id for rule in rules if rule.rule_id != "goal"}
    useless = applied - names  # only such as give what they need
    assert names <= applied
    for name in useless:
        number, x, y = int(name[2]), *name[4:-1].split()
        needs, _, adds = made[number]
        full = {"?x": x, "?y": y}
        given_there = tuple(full.get(t, t) for t in adds[0])
        assert given_there in {tuple(full.get(t, t) for t in atom) for atom in needs}
