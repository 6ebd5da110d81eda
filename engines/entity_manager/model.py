"""What is kept of an entity, what it does, and how much failure it is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from engines import checks
from engines.entity_manager.lifecycle import EntityState
from engines.errors import InvalidInput

if TYPE_CHECKING:
    from engines.resource_engine import ResourceType

HEALTHY = 30.0
HEARTBEAT_LIMIT_S = 300.0

# The share that the last run has in an entity's health; what lies before it has the rest.
HEALTH_WEIGHT = 0.2
# With less than this nobody begins: three failures in a row then still make it unhealthy.
HEALTH_AT_START = 50.0

_LONGEST_ID = 150  # a task's id is made of it


class EntityType(StrEnum):
    """What an entity is for; they are all treated alike."""

    WORKER = "worker"
    ANALYZER = "analyzer"
    MONITOR = "monitor"
    ORCHESTRATOR = "orchestrator"


class Pools(Protocol):
    """Of the resource engine: what an entity holds while it is awake."""

    def reserve(self, holder: str, needs: Mapping[ResourceType, int]) -> bool: ...

    def release(self, holder: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """
    How much failure is allowed, as a supervisor in OTP does it, in two steps.

    *max_failures* failed runs within *within_s* make an error correction.  The first of these is
    followed by recovery at once, the next ones after *backoff_s*, twice that, and so on, at most
    *backoff_most_s*.  More than *max_corrections* of them within *corrections_within_s* are too
    many: the entity hibernates, and an alert is raised.
    """

    max_failures: int = 3
    within_s: float = 300.0
    backoff_s: float = 1.0
    backoff_most_s: float = 300.0
    max_corrections: int = 5
    corrections_within_s: float = 3600.0

    def __post_init__(self) -> None:
        for name in ("max_failures", "max_corrections"):
            checks.at_least(checks.whole(getattr(self, name), name), 1, name)
        for name in ("within_s", "backoff_s", "backoff_most_s", "corrections_within_s"):
            object.__setattr__(self, name, checks.at_least(getattr(self, name), 0, name))

    def delay(self, correction: int) -> float:
        """How long after the *correction*-th within the window (from 1) recovery comes."""
        if correction <= 1:
            return 0.0
        return min(self.backoff_s * 2.0 ** min(correction - 2, 60), self.backoff_most_s)


@dataclass(frozen=True, slots=True)
class Work:
    """
    What an entity does: run a skill each interval, or once for each message of a channel.

    Attributes:
        from_now: On awakening leave out what was published meanwhile.
    """

    skill: str
    params: dict[str, Any] = field(default_factory=dict)
    every_s: float | None = None
    channel: str | None = None
    from_now: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "skill", checks.name(self.skill, "a skill's name"))
        object.__setattr__(self, "params", checks.mapping(self.params, "params"))
        if (self.every_s is None) == (self.channel is None):
            raise InvalidInput(
                f"an entity runs {self.skill!r} each interval or per message; say which, not both",
                hint="give every_s (seconds) or channel",
            )
        if self.every_s is not None and checks.finite(self.every_s, "every_s") <= 0:
            raise InvalidInput(f"every_s must be more than 0, found {self.every_s!r}")
        if self.channel is not None:
            checks.name(self.channel, "a channel")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Run:
    """
    A run that was decided and whose end is not recorded yet.

    Attributes:
        number: From 1, for each entity.
        message: The seq of the message it is for.
        held: It may have failed because its routes were down: to be tried again, not judged.
    """

    number: int
    planned_at: float
    message: int | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should look at; *number* tells it from every other."""

    number: int
    entity_id: str
    reason: str
    at: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Record:
    """All that is kept of one entity; `Entity` is its public face."""

    entity_id: str
    entity_type: EntityType
    needs: dict[str, int] = field(default_factory=dict)
    work: Work | None = None
    limits: RestartLimits = field(default_factory=RestartLimits)
    state: EntityState = EntityState.HIBERNATING
    reason: str = ""
    changed_at: float = 0.0
    health: float = 100.0
    heartbeat_at: float = 0.0
    reserved: bool = False  # the pools may hold something for it
    error_count: int = 0
    recovery_attempts: int = 0
    tasks_completed: int = 0
    tasks_failed: int = 0
    failures: list[float] = field(default_factory=list)
    corrections: list[float] = field(default_factory=list)
    recover_at: float | None = None
    next_due: float | None = None
    runs: int = 0
    run: Run | None = None
    position: int = -1  # seq of the last message that was dealt with

    @property
    def holder(self) -> str:
        """As whom it holds resources."""
        return f"entity:{self.entity_id}"

    def task_id(self) -> str:
        """Of the run under way."""
        return f"{self.holder}#{self.runs}"

    # A time further off than it can ever have been set was set by a clock that has been put back
    # since.  By how much nobody knows: it is taken to have come.

    def due_at(self, now: float) -> float | None:
        """When its next run is due, where it runs each interval."""
        every_s = self.work.every_s if self.work else None
        return _unless_beyond(self.next_due, now, every_s or 0.0)

    def recovers_at(self, now: float) -> float | None:
        """When it is awakened again, during error correction."""
        return _unless_beyond(self.recover_at, now, self.limits.backoff_most_s)

    def ailment(self, now: float) -> str:
        """Why it is not healthy; nothing where it is."""
        if self.health < HEALTHY:
            return f"health {self.health:.0f}, below {HEALTHY:.0f}"
        silent_s = now - self.heartbeat_at
        if self.state is EntityState.ACTIVE and silent_s > HEARTBEAT_LIMIT_S:
            return f"no heartbeat for {silent_s:.0f} s"
        return ""


def _unless_beyond(at: float | None, now: float, most_s: float) -> float | None:
    return now if at is not None and at > now + most_s else at


def entity_name(value: object) -> str:
    """*value* as an entity's id."""
    name = checks.name(value, "an entity's id")
    if len(name) > _LONGEST_ID or not name.isprintable() or "#" in name:
        raise InvalidInput(
            f"not an entity's id: {name[:40]!r}",
            hint=f"at most {_LONGEST_ID} characters that can be printed, without '#'",
        )
    return name


def as_type(entity_type: EntityType | str) -> EntityType:
    """
    The type that *entity_type* is or names.

    Raises:
        InvalidInput: There is no such type.
    """
    known = [kind.value for kind in EntityType]
    if entity_type not in known:
        guess = checks.did_you_mean(str(entity_type), known)
        raise InvalidInput(
            f"no type of entity {entity_type!r}{guess}", hint=f"there are {', '.join(known)}"
        )
    return EntityType(entity_type)


def as_needs(requirement: Mapping[Any, Any] | None) -> dict[str, int]:
    """
    Pool → amount, of {ResourceType or its value: amount}.

    Raises:
        InvalidInput: There is no such pool, or an amount is no whole number from 1.
    """
    given = checks.mapping(requirement, "resource_requirement")
    if not given:
        return {}
    from engines.resource_engine import ResourceType  # noqa: PLC0415  many need nothing of it

    known = [kind.value for kind in ResourceType]
    found = {}
    for pool, amount in given.items():
        name = pool.value if isinstance(pool, Enum) else pool
        if name not in known:
            guess = checks.did_you_mean(str(name), known)
            raise InvalidInput(f"no resource {name!r}{guess}", hint=f"there are {', '.join(known)}")
        found[name] = int(checks.at_least(checks.whole(amount, name), 1, name))
    return found
