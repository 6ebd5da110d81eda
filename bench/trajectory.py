"""
Trajectories: forward chaining beside CLIPS, and plans beside pyperplan, in the same run.

    python bench/trajectory.py
    python bench/trajectory.py chaining
    python bench/trajectory.py plans
    python bench/trajectory.py pddl FOLDER [MOST]    # FOLDER/NAME/taskNN.pddl, as of pyperplan

pyperplan plans with greedy best-first search and h_FF; it knows no costs, so its plans are shorter,
not cheaper, and only its time is compared: of the search alone, which leaves out that it reads and
grounds the task first.  Ours is everything from a list of rules to a plan that is proven to cost at
most 5 % more than it must.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from statistics import median

from side_by_side import timed, verdict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.journal import VolatileJournal
from engines.trajectory import Fact, Plan, Rule, TrajectoryOptimizer, load_pddl
from tests.trajectory.generators import Generated, components, layered, planted, set_cover

RULES, ROUNDS = 100_000, 5
START = (Fact("s0"), Fact("s1"))
LIMIT_S = 60.0
GAP = 0.05


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "pddl":
        pddl(Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3)
        return
    if what != "plans":
        chaining()
    if what != "chaining":
        plans()


def optimizer(rules: Iterable[Rule], facts: Iterable[Fact] = ()) -> TrajectoryOptimizer:
    made = TrajectoryOptimizer(journal=VolatileJournal())
    made.add_rules(rules)
    made.add_facts(facts)
    return made


# --- forward chaining ---------------------------------------------------------------------------


def chaining() -> None:
    for name, rules in (("wide", wide()), ("one chain", chain())):
        began = time.perf_counter()
        ours = optimizer(rules)
        loaded = time.perf_counter() - began
        closure = ours.forward_chain(START, max_depth=None)
        taken: dict[str, list[float]] = {"ours": [], "CLIPS": []}
        for _ in range(ROUNDS):
            taken["ours"].append(timed(lambda ours=ours: ours.forward_chain(START, max_depth=None)))
            if (theirs := clips(rules)) is not None:
                taken["CLIPS"].append(theirs)
        mine, depth = median(taken["ours"]), closure.derivation_depth
        assert len(closure.rules_applied) == len(rules)
        print(
            f"{name}: {len(rules):,} rules in {depth:,} rounds: {mine:.3f} s, "
            f"{len(rules) / mine / 1e6:.2f} M rules/s (loaded in {loaded:.2f} s)"
        )
        if taken["CLIPS"]:
            theirs = median(taken["CLIPS"])
            print(f"   CLIPS, the rules as its facts: {theirs:.3f} s", end="")
            print(f"   ours takes {mine / theirs:.2f} x its time   ", end="")
            print(verdict(mine / theirs, 2, at_least=False))


def wide() -> list[Rule]:
    """Two premises each, of anything that came before."""
    draw = Random(1)
    return [
        Rule(f"r{n}", (f"s{draw.randrange(n + 2)}", f"s{draw.randrange(n + 2)}"), f"s{n + 2}")
        for n in range(RULES)
    ]


def chain() -> list[Rule]:
    return [Rule(f"r{n}", (f"s{n}", f"s{n + 1}"), f"s{n + 2}") for n in range(RULES)]


def clips(rules: Sequence[Rule]) -> float | None:
    """Its seconds from the first facts to the last conclusion, once the rules are there."""
    try:
        import clips as peer  # noqa: PLC0415
    except ImportError:
        return None
    world = peer.Environment()
    # Of the orders of these patterns that were tried the fastest.
    world.build("(defrule fire (holds ?a) (imp ?a ?b ?c) (holds ?b) => (assert (holds ?c)))")
    with tempfile.NamedTemporaryFile("w", suffix=".fct") as file:
        for rule in rules:
            file.write(f"(imp {rule.premises[0]} {rule.premises[-1]} {rule.conclusion})\n")
        file.flush()
        world.load_facts(file.name)
    began = time.perf_counter()
    for fact in START:
        world.assert_string(f"(holds {fact.symbol})")
    assert world.run() == len(rules)
    return time.perf_counter() - began


# --- plans --------------------------------------------------------------------------------------


def tasks() -> list[Generated]:
    return [
        *(layered(6, 8, 3, 2, 3, seed) for seed in range(1, 6)),
        *(layered(8, 12, 3, 3, 4, seed) for seed in range(1, 6)),
        *(components(count, count) for count in (5, 10, 20, 40, 80)),
        *(set_cover(elements, 4 * elements, 3, elements) for elements in (20, 40, 80, 120, 160)),
        *(planted(facts, 4 * facts, facts) for facts in (20, 40, 60, 80, 120)),
        *(planted(facts, 20 * facts, facts) for facts in (10, 20, 40, 60, 80)),
    ]


def plans() -> None:
    import scipy.optimize  # noqa: F401, PLC0415  what is imported once counts for neither

    found = tasks()
    good = quick = 0
    print(f"{'task':34} rules     cost    bound    ours s | pyperplan search s   all s  steps")
    for task in found:
        seconds, plan = planned(task.rules, (), task.goals)
        theirs = pyperplan(as_pddl(task))
        certified = certain(plan, task.optimum)
        faster = theirs is None or seconds <= theirs["search"]
        good += certified
        quick += certified and faster
        peer = (
            "    over the limit"
            if theirs is None
            else (f"{theirs['search']:18.3f} {theirs['all']:7.2f} {theirs['steps']:6}")
        )
        marks = f"{'' if certified else ' NOT CERTIFIED'}{'' if faster else ' SLOWER'}"
        print(
            f"{task.name:34} {len(task.rules):5} {plan.cost:8g} {plan.bound:8g} {seconds:9.3f} | "
            f"{peer}{marks}"
        )
    count = len(found)
    print(f"within 5 % of the optimum: {good} of {count}   {verdict(good, count, at_least=True)}")
    print(f"and in no more time: {quick} of {count}   {verdict(quick, count, at_least=True)}")


def planned(
    rules: Sequence[Rule], facts: Iterable[Fact], goals: Sequence[str]
) -> tuple[float, Plan]:
    found: list[Plan] = []
    given = list(facts)
    seconds = timed(
        lambda: found.append(optimizer(rules, given).plan(goals, gap=GAP, time_limit=LIMIT_S))
    )
    return seconds, found[0]


def certain(plan: Plan, optimum: float | None) -> bool:
    """By our own bound; where the optimum is known that must agree with it."""
    if optimum is not None:
        assert plan.bound <= optimum + 1e-6, (plan.bound, optimum)
        assert plan.cost >= optimum - 1e-6, (plan.cost, optimum)
    return plan.gap is not None and plan.gap <= GAP + 1e-9


def as_pddl(task: Generated) -> tuple[str, str]:
    """The same task; pyperplan wants something typed and an initial state, so there is one fact."""
    symbols = sorted({s for r in task.rules for s in (*r.premises, r.conclusion)})
    actions = "\n".join(
        f"(:action {rule.rule_id} :parameters () "
        f":precondition (and (begun) {' '.join(f'({p})' for p in rule.premises)}) "
        f":effect (and ({rule.conclusion})))"
        for rule in task.rules
    )
    predicates = " ".join(f"({symbol})" for symbol in ["begun", *symbols])
    domain = f"(define (domain d) (:requirements :strips)\n(:predicates {predicates})\n{actions})"
    goals = " ".join(f"({goal})" for goal in task.goals)
    return domain, f"(define (problem p) (:domain d) (:init (begun)) (:goal (and {goals})))"


PEER = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
sys.setrecursionlimit(100_000)
from pyperplan.planner import HEURISTICS, SEARCHES, _ground, _parse
began = time.perf_counter()
task = _ground(_parse(sys.argv[1], sys.argv[2]))
for operator in task.operators:
    operator.del_effects = frozenset()  # the relaxed task, which is ours
middle = time.perf_counter()
plan = SEARCHES["gbf"](task, HEURISTICS["hff"](task))
end = time.perf_counter()
print(json.dumps({"search": end - middle, "all": end - began, "steps": plan and len(plan)}))
"""


def pyperplan(texts: tuple[str, str]) -> dict[str, float] | None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("domain.pddl", "problem.pddl")]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        return pyperplan_on(*files)


def pyperplan_on(domain: Path, problem: Path) -> dict[str, float] | None:
    """Its seconds and steps; None past the time limit."""
    command = [sys.executable, "-c", PEER, str(domain), str(problem)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def pddl(folder: Path, most: int) -> None:
    """Standard tasks, relaxed; what it takes to read and ground them stands beside for both."""
    good = quick = count = 0
    for home in sorted(path for path in folder.iterdir() if path.is_dir()):
        for problem in sorted(home.glob("task*.pddl"))[:most]:
            domain = home / problem.name.replace("task", "domain")
            domain = domain if domain.exists() else home / "domain.pddl"
            count += 1
            try:
                read: list[tuple[list[Fact], list[Rule]]] = []
                reading = timed(lambda: read.append(load_pddl(domain, problem)))  # noqa: B023
                facts, rules = read[0]
                seconds, plan = planned(rules, facts, ["goal"])
            except Exception as error:  # noqa: BLE001  one line for each
                print(f"{home.name}/{problem.name}: {error}")
                continue
            theirs = pyperplan_on(domain, problem)
            certified = certain(plan, None)
            faster = theirs is None or seconds <= theirs["search"]
            good += certified
            quick += certified and faster
            peer = (
                "over the limit"
                if theirs is None
                else f"{theirs['search']:.3f} {theirs['all']:.2f} {theirs['steps']}"
            )
            print(
                f"{home.name}/{problem.name}: {len(rules)} rules, cost {plan.cost:g}, "
                f"bound {plan.bound:g}, {reading:.2f} + {seconds:.3f} s | pyperplan {peer}"
                f"{'' if certified else ' NOT CERTIFIED'}{'' if faster else ' SLOWER'}"
            )
    print(f"within 5 %: {good} of {count}; and in no more time than the search: {quick}")


if __name__ == "__main__":
    main()
