"""
Facts that every plan achieves on the way to a fact, and what follows for who gives what first.

    LM(p) = {p} and what is, for every operator that gives p, in LM(q) of one of its needs q

An operator that needs p on the way never gives p first; leaving such pairs out breaks most
cycles.

Source: Imai and Fukunaga, "On a practical, integer-linear programming model for delete-free tasks
and its use as a heuristic for cost-optimal planning", JAIR 54, 2015.
"""

from __future__ import annotations

from collections import deque

from engines.trajectory.task import Task


def fact_landmarks(task: Task) -> list[int]:
    """Fact → its landmarks as the bits of a number; of a fact that cannot be had, all."""
    everything = (1 << task.size) - 1
    found = [everything] * task.size
    unknown = [len(needs) for needs in task.needs]
    waiting = deque(op for op, needs in enumerate(task.needs) if not needs)
    queued = bytearray(len(task.needs))
    heard = bytearray(task.size)
    while waiting:
        op = waiting.popleft()
        queued[op] = 0
        on_the_way = before(task, op, found)
        for fact in task.gives[op]:
            new = found[fact] & (on_the_way | 1 << fact)
            if new == found[fact] and heard[fact]:
                continue
            found[fact] = new
            for next_op in task.waiting[fact]:
                if not heard[fact]:
                    unknown[next_op] -= 1
                if not unknown[next_op] and not queued[next_op]:
                    queued[next_op] = 1
                    waiting.append(next_op)
            heard[fact] = 1
    return found


def before(task: Task, op: int, landmarks: list[int]) -> int:
    """The facts that are there whenever the operator is applied."""
    union = 0
    for fact in task.needs[op]:
        union |= landmarks[fact]
    return union


def first_given(task: Task, op: int, landmarks: list[int]) -> tuple[int, ...]:
    """The facts that the operator can be the first to give."""
    there = before(task, op, landmarks)
    return tuple(fact for fact in task.gives[op] if not there >> fact & 1)


def needed_facts(task: Task, landmarks: list[int]) -> int:
    """The facts that are in every plan."""
    union = 0
    for goal in task.goals:
        union |= landmarks[goal]
    return union
