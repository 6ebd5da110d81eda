"""What can be decided at once, and what can be decided apart from each other."""

from __future__ import annotations

from collections import defaultdict

from engines.trajectory.task import Task

Part = tuple[Task, tuple[int, ...]]
"""A task, and for each of its operators the number that it has in the whole."""


def split(task: Task) -> tuple[set[int], list[Part]]:
    """
    Operators that every plan has and nothing else depends on, and independent tasks for the rest.

    Costs and bounds of the parts add up; what a party bears is known only of them all together.
    """
    musts, goals = _forced(task)
    groups: dict[int, list[int]] = defaultdict(list)
    roots = _joined(task, musts)
    for op, gives in enumerate(task.gives):
        if op not in musts and gives:
            groups[roots(gives[0])].append(op)
    wanted: dict[int, list[int]] = defaultdict(list)
    for goal in sorted(goals):
        wanted[roots(goal)].append(goal)
    return musts, [_part(task, groups[root], facts) for root, facts in wanted.items()]


def _forced(task: Task) -> tuple[set[int], set[int]]:
    """From each goal that only one operator gives, and only that, back to what it needs."""
    musts: set[int] = set()
    goals, waiting = set(task.goals), list(task.goals)
    users = [len(ops) for ops in task.waiting]  # that are not among the musts
    while waiting:
        goal = waiting.pop()
        givers = task.givers[goal]
        if users[goal] or len(givers) != 1 or len(task.gives[givers[0]]) != 1 or givers[0] in musts:
            continue
        musts.add(givers[0])
        goals.discard(goal)
        for fact in task.needs[givers[0]]:
            users[fact] -= 1
            goals.add(fact)
            waiting.append(fact)  # again where it is one: it may have lost its last other user
    return musts, goals


class _Joined:
    def __init__(self, size: int) -> None:
        self._above = list(range(size))

    def __call__(self, fact: int) -> int:
        while self._above[fact] != fact:
            self._above[fact] = self._above[self._above[fact]]
            fact = self._above[fact]
        return fact

    def join(self, one: int, other: int) -> None:
        self._above[self(one)] = self(other)


def _joined(task: Task, musts: set[int]) -> _Joined:
    joined = _Joined(task.size)
    for op, gives in enumerate(task.gives):
        if op not in musts:
            for fact in (*gives[1:], *task.needs[op]):
                joined.join(fact, gives[0])
    return joined


def _part(task: Task, ops: list[int], goals: list[int]) -> Part:
    facts = sorted({f for op in ops for f in (*task.gives[op], *task.needs[op])} | set(goals))
    numbers = {fact: number for number, fact in enumerate(facts)}
    part = Task(
        len(facts),
        [tuple(numbers[fact] for fact in task.needs[op]) for op in ops],
        [tuple(numbers[fact] for fact in task.gives[op]) for op in ops],
        [task.costs[op] for op in ops],
        [task.burdens[op] for op in ops],
        [task.rules[op] for op in ops],
        tuple(numbers[goal] for goal in goals),
        task.step,
        task.parties,
    )
    return part, tuple(ops)
