"""Why nobody got a task: the first thing that keeps all agents from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.assign.compile import Compiled
from engines.assign.model import AssignableTask, UnassignedTask
from engines.assign.problem import Flags, Floats

_AT_ONCE = 1 << 20  # pairs
_NAMED = 5  # agents


def left_over(
    problem: Compiled, tasks: Sequence[AssignableTask], left: Sequence[float]
) -> dict[str, UnassignedTask]:
    """
    Of each task that was left over, the cause and the reason.

    Args:
        left: Hours that each agent has left, by column.
    """
    row_of = {task.identifier: row for row, task in enumerate(problem.tasks)}
    there = np.array([agent.name not in problem.rules.absent for agent in problem.agents], bool)
    hours = np.array(left, float)
    found: dict[str, UnassignedTask] = {}
    step = max(1, _AT_ONCE // max(len(hours), 1))
    for first in range(0, len(tasks), step):
        some = tasks[first : first + step]
        rows = np.array([row_of[task.identifier] for task in some], np.int64)
        count = problem.needs[rows].sum(axis=1, keepdims=True)
        match = problem.shared(rows) / np.maximum(count, 1.0, dtype=float)
        match[count[:, 0] == 0] = 1.0
        for task, row, matches in zip(some, rows.tolist(), match, strict=True):
            free = there.copy()
            if row in problem.barred:
                free[problem.barred[row]] = False
            cause, reason = _why(problem, task, row, matches, free, hours)
            found[task.identifier] = UnassignedTask(task.identifier, cause, reason)
    return found


def _why(  # noqa: PLR0911, PLR0917  one for each cause
    problem: Compiled, task: AssignableTask, row: int, match: Floats, free: Flags, left: Floats
) -> tuple[str, str]:
    required = ", ".join(task.required_skills)
    best, least = float(match.max(initial=0.0)), float(problem.least_match[row])
    able = (match > 0) & (match >= least)
    free &= able
    size, effort = int(problem.team[row]), task.estimated_effort_hours
    if not len(match):
        return "no_agents", "there are no agents"
    if best == 0:
        return "no_skill", f"no agent has any of its skills ({required})"
    if not able.any():
        return "skill_match", (
            f"the best match is {best:.0%} of its skills ({required}), "
            f"at least {least:.0%} is asked for"
        )
    if not free.any():
        names = [problem.agents[column].name for column in np.flatnonzero(able)[:_NAMED].tolist()]
        return "rules", f"all who could are barred or away ({', '.join(names)})"
    if int(free.sum()) < size:
        return "team", f"needs a team of {size}; {int(free.sum())} could"
    if size > 1:
        return "hours", (
            f"needs {effort:g} h of each of {size}; not so many of those able have them left"
        )
    most = float(left[free].max())
    return "hours", f"needs {effort:g} h; of those able nobody has more than {most:g} h left"
