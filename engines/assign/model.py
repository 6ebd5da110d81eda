"""Tasks, the agents who can do them, and what was decided about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from engines import checks
from engines.errors import InvalidInput

CLOSE = 1e-9  # relative; a plan that is nearer to its bound is the best


@dataclass(frozen=True, slots=True)
class AssignableTask:
    """
    Something to be done by one agent.

    Attributes:
        identifier: Unique among the tasks planned together.
        priority: 0…1, higher first.
        required_skills: Lower-case words; none means that anybody can do it.
        estimated_effort_hours: Hours it takes, above 0.
    """

    identifier: str
    description: str
    priority: float = 0.5
    required_skills: tuple[str, ...] = ()
    estimated_effort_hours: float = 4.0
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        label = checks.name(self.identifier, "a task's identifier")
        effort = checks.finite(self.estimated_effort_hours, f"task {label!r}: effort in hours")
        if effort <= 0:
            raise InvalidInput(f"task {label!r}: effort must be above 0 hours, found {effort:g}")
        checked = {
            "identifier": label,
            "description": checks.name(self.description, f"task {label!r}: the description"),
            "priority": checks.clamped(self.priority, f"task {label!r}: priority"),
            "required_skills": checks.words(self.required_skills, f"task {label!r}: skills"),
            "estimated_effort_hours": effort,
            "metadata": checks.mapping(self.metadata, f"task {label!r}: metadata"),
        }
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "required_skills": list(self.required_skills)}


@dataclass(slots=True)
class AgentProfile:
    """
    Somebody, or something, that can do tasks.

    Attributes:
        skills: At least one; upper and lower case are the same.
        available_hours: Hours it has, at least 0; planning never changes the caller's profile.
        focus_areas: Zones or sectors it prefers among equals.
        confidence: How reliable it is, 0…1.
    """

    name: str
    skills: tuple[str, ...]
    available_hours: float
    focus_areas: tuple[str, ...] = ()
    confidence: float = 0.5

    def __post_init__(self) -> None:
        self.name = checks.name(self.name, "an agent's name")
        self.skills = checks.words(self.skills, f"agent {self.name!r}: skills")
        if not self.skills:
            raise InvalidInput(f"agent {self.name!r} has no skills; it needs at least one")
        hours = f"agent {self.name!r}: available_hours"
        self.available_hours = checks.at_least(self.available_hours, 0, hours)
        self.focus_areas = checks.words(self.focus_areas, f"agent {self.name!r}: focus_areas")
        self.confidence = checks.clamped(self.confidence, f"agent {self.name!r}: confidence")

    def skill_overlap(self, requirements: Iterable[str]) -> float:
        """Share of the *requirements* that the agent has, 0…1; 1 where nothing is required."""
        required = {word.strip().lower() for word in requirements}
        return len(required.intersection(self.skills)) / len(required) if required else 1.0


@dataclass(frozen=True, slots=True)
class AssignmentDecision:
    """
    One task given to one agent.

    Attributes:
        rationale: Why this agent, in one line.
        confidence: The score it won with, 0…1.
        skill_match: Share of the required skills that the agent has.
        load_factor: Share of the agent's hours then left that the task takes.
    """

    task_id: str
    agent: str
    rationale: str
    confidence: float
    skill_match: float
    load_factor: float
    issued_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_dict(self) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "agent": self.agent,
            "rationale": self.rationale,
            "confidence": self.confidence,
            "skill_match": self.skill_match,
            "load_factor": self.load_factor,
            "issued_at": checks.rfc3339(self.issued_at),
        }


@dataclass(frozen=True, slots=True)
class UnassignedTask:
    """
    A task that nobody got.

    Attributes:
        cause: no_agents, no_skill, skill_match, hours or limit; under rules also rules (all who
            could are barred) or team (not enough of them).
        reason: The same in one line for people.
    """

    task_id: str
    cause: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """
    Everything decided together: each task is either in *decisions* or in *unassigned*.

    Attributes:
        method: How it was made, "auto" or "greedy".
        value: What it is worth: the sum of urgency times score over its decisions.
        bound: No plan that keeps the same rules is worth more; None where it was not asked for.
        prices: Agent → what the bound counts an hour of it at; only those above 0.  They prove
            `price_bound`; knapsacks, a matching or a search may have proved a lower *bound*.
        finished: False where the time limit cut work off.
    """

    decisions: tuple[AssignmentDecision, ...]
    unassigned: tuple[UnassignedTask, ...]
    method: str = "greedy"
    value: float = 0.0
    bound: float | None = None
    price_bound: float | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    finished: bool = True

    @property
    def gap(self) -> float | None:
        """How much more the best plan may be worth at most, as a share of this one's value."""
        if self.optimal:
            return 0.0
        return (self.bound - self.value) / self.value if self.bound and self.value > 0 else None

    @property
    def optimal(self) -> bool:
        """Whether it is proven that none is worth more."""
        return self.bound is not None and self.bound <= self.value + CLOSE * max(self.value, 1.0)

    def summary(self) -> dict[str, Any]:
        """The plan's figures, for JSON."""
        return {
            "method": self.method,
            "value": self.value,
            "bound": self.bound,
            "price_bound": self.price_bound,
            "gap": self.gap,
            "optimal": self.optimal,
            "finished": self.finished,
        }


def of_names(last: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Task → its agents, from pairs of names."""
    found: dict[str, tuple[str, ...]] = {}
    for task, agent in last:
        found[task] = (*found.get(task, ()), agent)
    return found
