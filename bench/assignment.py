"""
Assignment: instances of the literature, tasks and agents as Dino has them, and other solvers.

    python bench/assignment.py [classic] [medium] [large]        all three where none is named

Classic: types A to E of the generalised assignment problem (Chu and Beasley 1997; Yagiura,
Ibaraki and Glover 2006) as cost to be minimised.  Peers run in processes of their own, with the
same time: OR-Tools CP-SAT and HiGHS.  Gaps are to the bound each proved itself.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from side_by_side import verdict

from engines.assign import (
    AgentProfile,
    AssignableTask,
    AssignmentRules,
    DynamicAssignEngine,
    Weights,
)
from engines.assign.compile import compiled
from engines.assign.problem import Dense
from engines.assign.solution import Solution
from engines.assign.solve import solve

SECONDS = 5.0
CLASSIC = [(kind, m, n) for kind in "ABCDE" for m, n in ((5, 100), (10, 100), (20, 100), (20, 200))]


def classic(kind: str, agents: int, tasks: int, seed: int) -> tuple[Any, Any, Any]:
    """Cost and hours (tasks, agents), and capacity; all whole numbers."""
    random = np.random.default_rng(seed)
    shape = (tasks, agents)
    if kind in "ABC":
        hours, cost = random.integers(5, 26, shape), random.integers(10, 51, shape)
    elif kind == "D":
        hours = random.integers(1, 101, shape)
        cost = 111 - hours + random.integers(-10, 11, shape)
    else:
        exact = 1 - 10 * np.log(random.uniform(1e-12, 1, shape))
        hours = np.maximum(1, np.round(exact))
        cost = np.maximum(1, np.round(1000 / hours - 10 * random.uniform(0, 1, shape)))
    if kind in "AB":
        cheapest = cost.argmin(axis=1)
        most = max(hours[cheapest == j, j].sum() for j in range(agents))
        capacity = np.full(agents, 0.6 * tasks / agents * 15 + 0.4 * most)
        capacity *= 0.7 if kind == "B" else 1
    else:
        capacity = 0.8 * hours.sum(axis=0) / agents
    return cost.astype(float), hours.astype(float), np.floor(capacity)


def dino_shaped(
    tasks: int, agents: int, seed: int, load: float = 1.05
) -> tuple[list[AssignableTask], list[AgentProfile]]:
    """48 skills; tasks ask for 1 to 4, agents have 4 to 12; demand is *load* times the hours."""
    random = np.random.default_rng(seed)
    skills = [f"s{n:02}" for n in range(48)]

    def some(least: int, most: int) -> tuple[str, ...]:
        return tuple(skills[n] for n in random.permutation(48)[: random.integers(least, most + 1)])

    hours = random.choice([1, 2, 3, 5, 8], tasks)
    share = random.uniform(0.5, 1.5, agents)
    free = np.maximum(1, np.round(share / share.sum() * hours.sum() / load))
    return (
        [
            AssignableTask(f"t{n:06}", "d", random.random(), some(1, 4), float(hours[n]))
            for n in range(tasks)
        ],
        [
            AgentProfile(f"a{n:05}", some(4, 12), float(free[n]), (), random.random())
            for n in range(agents)
        ],
    )


def plain_greedy(tasks: list[AssignableTask], agents: list[AgentProfile]) -> int:
    """The double loop that one writes without thinking."""
    left = {agent.name: agent.available_hours for agent in agents}
    has = {agent.name: set(agent.skills) for agent in agents}
    assigned = 0
    for task in sorted(tasks, key=lambda task: -task.priority):
        needs, effort = set(task.required_skills), task.estimated_effort_hours
        best, who = -1.0, None
        for agent in agents:
            hours = left[agent.name]
            if hours < effort:
                continue
            match = len(needs & has[agent.name]) / len(needs)
            if match == 0:
                continue
            score = 0.6 * match + 0.3 * (1 - effort / hours) + 0.1 * agent.confidence
            if score > best:
                best, who = score, agent.name
        if who:
            left[who] -= effort
            assigned += 1
    return assigned


def ours(
    tasks: list[AssignableTask], agents: list[AgentProfile], seconds: float | None = None
) -> tuple[Solution, float]:
    began = time.process_time()
    problem = compiled(
        tasks, agents, rules=AssignmentRules(), weights=Weights(), min_match=0.0, last={}
    )
    found = solve(problem.held, left=_left(seconds))
    return found, time.process_time() - began


def _left(seconds: float | None) -> Callable[[], float] | None:
    if seconds is None:
        return None
    end = time.perf_counter() + seconds
    return lambda: end - time.perf_counter()


def peer(name: str, instance: tuple[str, int, int, int]) -> tuple[float, float]:
    """Cost and lower bound by another solver, in its own process."""
    command = [sys.executable, __file__, "peer", name, *map(str, instance)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        cost, bound = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return float("nan"), float("nan")
    return float(cost), float(bound)


def run_peer(name: str, kind: str, agents: int, tasks: int, seed: int) -> None:
    cost, hours, capacity = classic(kind, agents, tasks, seed)
    found = _cp_sat(cost, hours, capacity) if name == "CP-SAT" else _highs(cost, hours, capacity)
    print("\n" + json.dumps(found))


def _cp_sat(cost: Any, hours: Any, capacity: Any) -> list[float]:
    from ortools.sat.python import cp_model  # noqa: PLC0415  never in one process with ours

    model = cp_model.CpModel()
    x = [[model.NewBoolVar("") for _ in capacity] for _ in cost]
    for row in x:
        model.AddExactlyOne(row)
    for j, most in enumerate(capacity):
        model.Add(sum(int(hours[i, j]) * x[i][j] for i in range(len(cost))) <= int(most))
    model.Minimize(
        sum(int(cost[i, j]) * x[i][j] for i in range(len(cost)) for j in range(len(capacity)))
    )
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = SECONDS
    solver.parameters.num_workers = 2
    status = solver.Solve(model)
    ok = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return [solver.ObjectiveValue() if ok else float("nan"), solver.BestObjectiveBound()]


def _highs(cost: Any, hours: Any, capacity: Any) -> list[float]:

    tasks, agents = cost.shape
    each = np.arange(cost.size)
    one = csr_array((np.ones(cost.size), (each // agents, each)), shape=(tasks, cost.size))
    held = csr_array((hours.ravel(), (each % agents, each)), shape=(agents, cost.size))
    found = milp(
        cost.ravel(),
        integrality=np.ones(cost.size),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one, 1, 1), LinearConstraint(held, -np.inf, capacity)],
        options={"time_limit": SECONDS},
    )
    return [float("nan") if found.x is None else float(found.fun), float(found.mip_dual_bound or 0)]


def bench_classic() -> None:
    print(f"{SECONDS:g} s each; cost (gap to its own bound, %); * proven optimal")
    print("type  agents x tasks            ours        CP-SAT         HiGHS")
    worst = 0.0
    for kind, agents, tasks in CLASSIC:
        cost, hours, capacity = classic(kind, agents, tasks, 1)
        large = 2 * cost.max()  # more than any cost: to leave a task out never pays
        problem = Dense(large - cost, hours, capacity, np.ones(tasks, np.int64))
        found = solve(problem, left=_left(SECONDS))
        mine = (tasks * large - found.value, tasks * large - found.bound)
        others = [peer(name, (kind, agents, tasks, 1)) for name in ("CP-SAT", "HiGHS")]
        worst = max(worst, _gap(*mine))
        cells = "".join(f"{_cell(*each):>18}" for each in (mine, *others))
        print(f"{kind:>4}  {agents:>6} x {tasks:<5}{cells}", flush=True)
    print(f"largest gap of ours {worst:.2%}   {verdict(worst, 0.005, at_least=False)}")


def _gap(cost: float, bound: float) -> float:
    return (cost - bound) / bound if bound > 0 else float("inf")


def _cell(cost: float, bound: float) -> str:
    if not np.isfinite(cost):
        return "none"
    gap = max(_gap(cost, np.ceil(bound - 1e-6)), 0.0)  # costs are whole numbers
    return f"{cost:.0f} ({gap:.2%}){'' if gap else '*'}"


def bench_medium() -> None:
    tasks, agents = dino_shaped(2_000, 500, 1)
    ours(*dino_shaped(50, 20, 2))  # imports
    best, greedy, whole = 1e9, 1e9, 1e9
    for _ in range(5):
        began = time.process_time()
        plain_greedy(tasks, agents)
        greedy = min(greedy, time.process_time() - began)
        found, seconds = ours(tasks, agents)
        best = min(best, seconds)
        began = time.process_time()
        DynamicAssignEngine().recommend_assignments(tasks, agents)
        whole = min(whole, time.process_time() - began)
    gap = found.bound / found.value - 1
    print(
        f"2,000 x 500: gap {gap:.2%}   {verdict(gap, 0.01, at_least=False)}\n"
        f"             {best:.3f} s of CPU for plan and bound, plain greedy loop {greedy:.3f} s   "
        f"{verdict(best / greedy, 1, at_least=False)}\n"
        f"             {whole:.3f} s for recommend_assignments: with loads evened out, each "
        f"decision's reason, and the record   {verdict(whole / greedy, 1, at_least=False)}"
    )
    for limit in (5.0, 30.0):
        found, seconds = ours(tasks, agents, limit)
        print(f"             with {limit:g} s: gap {found.bound / found.value - 1:.2%}")


def bench_large() -> None:
    tasks, agents = dino_shaped(100_000, 10_000, 1)
    began = time.perf_counter()
    found, seconds = ours(tasks, agents)
    wall = time.perf_counter() - began
    gap = found.bound / found.value - 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"100,000 x 10,000: gap {gap:.2%}   {verdict(gap, 0.03, at_least=False)}\n"
        f"                  {wall:.1f} s, {seconds:.1f} s of CPU   "
        f"{verdict(wall, 60, at_least=False)}\n"
        f"                  {memory:.1f} GB at most   {verdict(memory, 4, at_least=False)}"
    )


def main() -> None:
    asked = sys.argv[1:]
    if asked[:1] == ["peer"]:
        name, kind, agents, tasks, seed = asked[1:]
        run_peer(name, kind, int(agents), int(tasks), int(seed))
        return
    for part, bench in (
        ("classic", bench_classic),
        ("medium", bench_medium),
        ("large", bench_large),
    ):
        if not asked or part in asked:
            bench()


if __name__ == "__main__":
    main()
