"""What the plan would be under other circumstances; nothing of it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engines import checks
from engines.assign.model import AgentProfile, AssignmentPlan, of_names
from engines.assign.planner import Last, Round
from engines.assign.weights import urgency
from engines.errors import InvalidInput, NotFound

_STAY = 1e-6


@dataclass(frozen=True, slots=True)
class Changes:
    """
    Attributes:
        hours: Agent → hours it would have.
        forbid, pin: Pairs (task, agent).
    """

    add_agents: tuple[AgentProfile, ...] = ()
    remove_agents: tuple[str, ...] = ()
    hours: Mapping[str, float] = field(default_factory=dict)
    forbid: tuple[tuple[str, str], ...] = ()
    pin: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WhatIf:
    """
    Attributes:
        before: The last round planned again, from the last plan; by the same method, but not
            greedily where a pair is forbidden or pinned.
        gain: By how much the changed plan is worth more.
        moved: Task → its agents before and after, of those that differ; none for left over.
    """

    before: AssignmentPlan
    after: AssignmentPlan
    gain: float
    moved: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "gain": self.gain,
            "before": {**self.before.summary(), "assigned": len(self.before.decisions)},
            "after": {**self.after.summary(), "assigned": len(self.after.decisions)},
            "moved": {
                task: {"before": list(old), "after": list(new)}
                for task, (old, new) in self.moved.items()
            },
        }


def what_if(
    round_: Round, plan: AssignmentPlan, limit: int | None, changes: Changes, now: datetime
) -> WhatIf:
    """
    Plan a round again with *changes*, beginning with *plan*.

    Raises:
        NotFound: An agent or a task is not there.
        InvalidInput: What is pinned cannot be.
    """
    changed = _changed(round_, changes)
    old = of_names([(d.task_id, d.agent) for d in plan.decisions])
    if plan.method == "greedy" and not (changes.forbid or changes.pin):
        before, after = (each.made("greedy", limit, now) for each in (round_, changed))
        gain = after.value - before.value
    else:
        # Plans that differ for nothing would be read as effects of the change.
        before, after = (
            replace(each, last=old, rules=replace(each.rules, keep=_STAY)).plan(limit, now)
            for each in (round_, changed)
        )
    gain = (
        after.value
        - before.value
        - _STAY * (_staying(round_, after, old) - _staying(round_, before, old))
    )
    # From *before*, not from *plan*: what is told is only what the change moves.
    old = of_names([(d.task_id, d.agent) for d in before.decisions])
    new = of_names([(d.task_id, d.agent) for d in after.decisions])
    moved = {
        task.identifier: (old.get(task.identifier, ()), new.get(task.identifier, ()))
        for task in round_.tasks
        if sorted(old.get(task.identifier, ())) != sorted(new.get(task.identifier, ()))
    }
    return WhatIf(before, after, gain, moved)


def _staying(round_: Round, plan: AssignmentPlan, old: Last) -> float:
    """How urgent the tasks are, in all, that stay with an agent of *old*."""
    urgent = {task.identifier: float(urgency(task.priority)) for task in round_.tasks}
    return sum(urgent[d.task_id] for d in plan.decisions if d.agent in old.get(d.task_id, ()))


def _changed(round_: Round, changes: Changes) -> Round:
    agents = {agent.name: agent for agent in round_.agents}
    tasks = {task.identifier for task in round_.tasks}

    def known(name: str) -> str:
        if name not in agents:
            raise NotFound(f"no agent {name!r} in the last plan{checks.did_you_mean(name, agents)}")
        return name

    for agent in changes.add_agents:
        if agent.name in agents:
            raise InvalidInput(f"there is an agent {agent.name!r} already")
        agents[agent.name] = agent
    for name, hours in changes.hours.items():
        agent = agents[known(name)]
        agents[name] = replace(agent, available_hours=hours)
    for task, name in (*changes.forbid, *changes.pin):
        known(name)
        if task not in tasks:
            raise NotFound(f"no task {task!r} in the last plan{checks.did_you_mean(task, tasks)}")
    for name in changes.remove_agents:
        del agents[known(name)]
    rules = replace(
        round_.rules,
        forbidden=(*round_.rules.forbidden, *changes.forbid),
        pinned={**round_.rules.pinned, **dict(changes.pin)},
    )
    return replace(round_, agents=list(agents.values()), rules=rules)
