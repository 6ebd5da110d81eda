"""The file that `dino assign plan` reads: tasks, agents and rules (docs/assignment.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from dino_os.errors import NotFound
from dino_os.planning.forms import AgentForm, Form, Metadata, Name, NotNegative, Positive, Share
from dino_os.planning.scenario import build, build_all
from dino_os.typed_files import load
from dino_os.workspace import Workspace
from engines.assign import AgentProfile, AssignableTask, AssignmentRules

Signed = Annotated[float, Meta(ge=-1, le=1)]
Span = tuple[float, float]


class TaskForm(Form):
    identifier: Name
    description: Name
    priority: Share = 0.5
    required_skills: list[Name] = field(default_factory=list)
    estimated_effort_hours: Positive = 4.0
    metadata: Metadata | None = None

    def build(self) -> AssignableTask:
        return AssignableTask(**{**self.given(), "required_skills": tuple(self.required_skills)})


class TravelForm(Form):
    place: Name
    agent: Name
    hours: NotNegative


class AffinityForm(Form):
    place: Name
    agent: Name
    share: Signed


class PairForm(Form):
    task: Name
    agent: Name


class RulesForm(Form):
    forbidden: list[PairForm] = field(default_factory=list)
    pinned: list[PairForm] = field(default_factory=list)
    teams: dict[str, Annotated[int, Meta(ge=1)]] = field(default_factory=dict)
    min_match: dict[str, Share] = field(default_factory=dict)
    absent: list[Name] = field(default_factory=list)
    away: dict[str, list[Span]] = field(default_factory=dict)
    when: dict[str, Span] = field(default_factory=dict)
    travel_hours: list[TravelForm] = field(default_factory=list)
    affinity: list[AffinityForm] = field(default_factory=list)
    keep: Share = 0.02
    balance: Share = 0.0

    def build(self) -> AssignmentRules:
        return AssignmentRules(
            forbidden=[(pair.task, pair.agent) for pair in self.forbidden],
            pinned={pair.task: pair.agent for pair in self.pinned},
            teams=self.teams,
            min_match=self.min_match,
            absent=self.absent,
            away=self.away,
            when=self.when,
            travel_hours={(each.place, each.agent): each.hours for each in self.travel_hours},
            affinity={(each.place, each.agent): each.share for each in self.affinity},
            keep=self.keep,
            balance=self.balance,
        )


class DutyForm(Form):
    tasks: list[TaskForm]
    agents: list[AgentForm]
    rules: RulesForm = field(default_factory=RulesForm)


@dataclass(frozen=True, slots=True)
class Duty:
    """What is to be done, by whom, and under which rules."""

    tasks: list[AssignableTask]
    agents: list[AgentProfile]
    rules: AssignmentRules


def load_duty(path: Path) -> Duty:
    """
    Read a file of tasks, agents and rules.

    Raises:
        InvalidInput: Something in it is wrong; says where.
    """
    form, document = load(path, DutyForm)
    return Duty(
        build_all(form.tasks, document, ("tasks",)),
        build_all(form.agents, document, ("agents",)),
        build(form.rules.build, document, ("rules",)),
    )


def duty_of_cycle(workspace: Workspace, cycle: int) -> Duty:
    """
    The tasks and agents of a past planning cycle, as they are on record.

    Raises:
        NotFound: There was no such cycle.
    """
    orchestrator = workspace.orchestrator()
    tasks, agents = orchestrator.recall(cycle), orchestrator.agents_of(cycle)
    if tasks is None or agents is None:
        raise NotFound(f"no cycle {cycle}", hint="`dino cycle list` shows those there were")
    return Duty(
        [
            AssignableTask(
                task["task_id"],
                task["summary"],
                task["severity"],
                tuple(task["required_skills"]),
                task["estimated_effort_hours"],
                {"zone": task["zone"], "sector": task["sector"]},
            )
            for task in tasks
        ],
        [AgentProfile(**agent) for agent in agents],
        AssignmentRules(),
    )
