"""
Cost against the greatest burden: the plans that are best in the one for what they are in the other.

Jain's index is not optimised, which is not convex; it is told of each plan.  Where the program is
small enough the front is exact (epsilon-constraint): the cheapest plan, of those the fairest;
then the cheapest under a smaller burden; and so on.  Else it is what repair finds while it prices
whoever bears most.
"""

from __future__ import annotations

from random import Random

from engines.trajectory.beam import beam_search
from engines.trajectory.budget import Budget
from engines.trajectory.incumbents import Incumbents, Plan
from engines.trajectory.program import Program
from engines.trajectory.repair import repair
from engines.trajectory.solver import Solution, node_limit
from engines.trajectory.supporters import minimal
from engines.trajectory.task import Task, common_step, rounded_up

_SMALL = 3_000  # operators and needs of a task that a program is made of
_POINTS = 60
_TURNS, _ROUNDS = 10, 25
_DEARER = 0.5


def pareto(
    task: Task, cheapest: Solution, *, width: int, seed: int, budget: Budget
) -> tuple[list[Plan], bool]:
    """The front, cheapest first, and whether it is proven to be all of it."""
    if task.size + sum(map(len, task.needs)) <= _SMALL:
        program = Program(task)
        if program.acyclic:
            found, exact = _swept(task, program, budget)
            if exact:
                return found, True
    known = Incumbents(task)
    known.offer(cheapest.ops)
    _explore(task, known, width, seed, budget)
    return known.front, False


def capped(
    task: Task, cheapest: Solution, cap: float, *, width: int, seed: int, budget: Budget
) -> tuple[Plan | None, float]:
    """
    The cheapest plan that was found in which nobody bears more than *cap*, and a bound on such.

    The bound is infinite where it is proven that there is none.
    """
    known = Incumbents(task, cap=cap)
    known.offer(cheapest.ops)
    if known.front:  # nobody can do it for less
        return known.best, cheapest.bound
    bound = cheapest.bound
    if task.size + sum(map(len, task.needs)) <= _SMALL:
        program = Program(task)
        answer = program.solved(
            cap=cap * (1 + 1e-9), nodes=_nodes(program, budget), seconds=budget.left()
        )
        if answer.ops is not None and task.reaches(answer.ops):
            known.offer(minimal(task, answer.ops))
        if answer.bound == float("inf"):
            return None, answer.bound
        bound = max(bound, rounded_up(task, answer.bound))
        if answer.closed and known.best:
            return known.best, min(bound, known.cost)
    _explore(task, known, width, seed, budget)
    return known.best, min(bound, known.cost)


def _nodes(program: Program, budget: Budget) -> int | None:
    return node_limit(program) if budget.left() is None else None


def _swept(task: Task, program: Program, budget: Budget) -> tuple[list[Plan], bool]:
    """By the ε-constraint method; whether each step of it was proven."""
    known = Incumbents(task)
    step = common_step(amount for burden in task.burdens for _, amount in burden)
    cap = float("inf")
    for _ in range(_POINTS):
        nodes = _nodes(program, budget)
        cheap = program.solved(cap=cap, nodes=nodes, seconds=budget.left())
        if cheap.closed and cheap.ops is None:
            return known.front, True
        if not cheap.closed or cheap.ops is None:
            break
        cost = task.cost(cheap.ops)
        fair = program.fairest(
            below=cost + 1e-7 * max(1.0, cost), nodes=nodes, seconds=budget.left()
        )
        if not fair.closed or fair.ops is None:
            break
        plan = minimal(task, fair.ops)
        known.offer(plan)
        burden = task.burden(plan)
        if not burden:
            return known.front, True
        cap = burden - (step / 2 or 1e-6 * burden)
        if budget.over():
            break
    return known.front, False


def _explore(task: Task, known: Incumbents, width: int, seed: int, budget: Budget) -> None:
    """Beam search over both, then repair with a price on whoever bears most, dearer each turn."""
    beam_search(task, known, width=width, budget=budget)
    prices = [0.0] * task.parties
    random = Random(seed)  # noqa: S311  reproducible, not secret
    for _ in range(_TURNS):
        seen = Incumbents(task)
        repair(task, seen, rounds=_ROUNDS, random=random, budget=budget, prices=tuple(prices))
        for _, _, ops in seen.front:
            known.offer(ops)
        fairest = min(seen.front, key=lambda plan: plan[1], default=None)
        if budget.over() or fairest is None:
            return
        borne = [0.0] * task.parties
        for op in fairest[2]:
            for party, amount in task.burdens[op]:
                borne[party] += amount
        if not any(borne):
            return
        prices[borne.index(max(borne))] += _DEARER
