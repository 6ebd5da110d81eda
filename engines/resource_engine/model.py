"""
What the resource engine deals in: tasks, what they need, and how an attempt at one ended.

Times are seconds since the epoch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from enum import Enum, IntEnum, StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

from engines import checks
from engines.errors import InvalidInput

_LONGEST_BACKOFF_S = 300.0
_LONGEST_ID = 200
_LONGEST_KEY = 1000


class ResourceType(Enum):
    """What there is only so much of."""

    COMPUTE = "compute"
    STORAGE = "storage"
    NETWORK = "network"
    DATABASE = "database"


class TaskPriority(IntEnum):
    """How urgent; waiting makes up for a lower one (see `ResourceEngine`)."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class TaskState(StrEnum):
    """
    Where a task is.

    waiting: for others to succeed; delayed: for a time; dead: it failed for good, see `retry`.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    DELAYED = "delayed"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"


FINISHED = frozenset({TaskState.SUCCEEDED, TaskState.DEAD, TaskState.CANCELLED})

OK_OUTCOMES = frozenset({"ok", "ok_no_action"})
OUTCOMES = OK_OUTCOMES | {"error", "timeout", "cancelled", "denied", "blocked", "delivery_failed"}


@dataclass(slots=True)
class Task:
    """
    Something that is to be done once.

    Args:
        task_id: No other task has it.
        resource_type: The pool it is admitted to, with `resource_amount`; `needs` names several.
        payload: {"skill": NAME, "params": {…}}, {"call": NAME, "params": {…}} for a function that
            was registered by name; anything else is nothing to do, it joins others.  "depth" may
            say how many messages led to it.
        max_attempts: How often it is tried at most.
        timeout_s: How long an attempt may take; the worker's own limit where None.
        at_most_once: It is not tried again, whatever becomes of it.
        key: A second task with the same one is not taken.
        after: Ids of tasks that must have succeeded first.
        batch: What it is part of.
        source: Who wants it, as "job:ID".
        not_before: It does not start earlier.
        start_by: Later it does not start at all.
        limits: Group → how many tasks of that group may run at once.
        needs: Pool → amount, instead of the one.
        local: It does not leave this machine, whoever else could run it.
        origin: Where it is run for another queue: that one's `node`, `task`, `attempt`, `key` and
            `lease`, and what `sha256` the text of its skill must have.

    Attributes:
        attempts: How often it was tried.
        next_retry: When it is tried again, while it is delayed.
        outcome: Of the last attempt: one of OUTCOMES.
        duration_s: Of the last attempt, as it was measured where it ran.
        result: What it returned; None where that lies in a file, unless it was asked for by id.
        result_sha256: The name of that file below `results/`, and `result_bytes` its size.
        error: message and type of what went wrong last.
        lease: What the attempt under way is known by.
        unmet: Those of `after` that have not succeeded yet.
    """

    task_id: str
    priority: TaskPriority = TaskPriority.NORMAL
    resource_type: ResourceType = ResourceType.COMPUTE
    resource_amount: int = 1
    payload: Any = None
    _: KW_ONLY
    max_attempts: int = 3
    timeout_s: float | None = None
    at_most_once: bool = False
    key: str | None = None
    after: tuple[str, ...] = ()
    batch: str | None = None
    source: str | None = None
    not_before: float | None = None
    start_by: float | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    needs: Mapping[ResourceType, int] = field(default_factory=dict)
    local: bool = False
    origin: Mapping[str, Any] | None = None
    state: TaskState = TaskState.QUEUED
    attempts: int = 0
    next_retry: float | None = None
    created_at: float = field(default_factory=time.time)
    started_at: float | None = None
    finished_at: float | None = None
    outcome: str | None = None
    duration_s: float | None = None
    result: Any = field(default=None, repr=False)
    result_sha256: str | None = None
    result_bytes: int | None = None
    error: Mapping[str, Any] | None = None
    lease: int | None = None
    cancelling: bool = False
    unmet: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.task_id = checks.name(self.task_id, "a task's id")
        if len(self.task_id) > _LONGEST_ID or not self.task_id.isprintable():
            raise InvalidInput(f"not a task's id: {self.task_id[:40]!r}")
        self.priority = TaskPriority(self.priority)
        self.resource_type = ResourceType(self.resource_type)
        given = self.needs or {self.resource_type: self.resource_amount}
        self.needs = {
            ResourceType(pool): _positive(amount, f"task {self.task_id!r}: {pool}")
            for pool, amount in given.items()
        }
        self.max_attempts = _positive(self.max_attempts, "max_attempts")
        self.limits = {
            group: _positive(most, f"limit {group!r}") for group, most in self.limits.items()
        }
        if isinstance(self.after, str):
            raise InvalidInput(f"after must be a list of ids, found the text {self.after!r}")
        if not isinstance(self.after, Iterable):
            raise InvalidInput(f"after must be a list of ids, found {self.after!r}")
        self.after = tuple(dict.fromkeys(checks.name(one, "an id in after") for one in self.after))
        _check_flags(at_most_once=self.at_most_once, local=self.local)
        for name in ("key", "batch", "source"):
            if getattr(self, name) is not None:
                checks.name(getattr(self, name), name)
        # Skills find it in their environment, which takes no NUL and nothing long.
        if self.key and (len(self.key) > _LONGEST_KEY or not self.key.isprintable()):
            raise InvalidInput(
                f"key must be one line of at most {_LONGEST_KEY} characters, found {self.key!r:.60}"
            )
        for name in ("not_before", "start_by"):
            _check_time(getattr(self, name), name)
        if self.timeout_s is not None and checks.finite(self.timeout_s, "timeout_s") <= 0:
            raise InvalidInput(f"timeout_s must be more than 0, found {self.timeout_s!r}")
        check_payload(self.payload)

    def __copy__(self) -> Task:
        """Several times as fast as by default, and thousands are copied at once."""
        found = object.__new__(Task)
        for put, value in zip(_PUT, _VALUES(self), strict=True):
            put(found, value)
        return found

    @property
    def does(self) -> str:
        """What it runs: "skill:NAME", "call:NAME", or "" for nothing."""
        kind = kind_of(self.payload)
        return f"{kind}:{self.payload[kind]}" if kind else ""

    @property
    def travels(self) -> bool:
        """Whether a session elsewhere may have it: what is lost on the way is run once more."""
        return not (self.local or self.at_most_once or self.origin)

    def should_retry(self) -> bool:
        """Whether it may be tried once more."""
        return self.attempts < (1 if self.at_most_once else self.max_attempts)

    def calculate_backoff(self) -> float:
        """
        The longest wait before the next attempt, in seconds: 2^attempts, at most 300.

        What is waited is drawn evenly from 0 to this ("full jitter": M. Brooker, "Exponential
        Backoff and Jitter", AWS Architecture Blog, 2015).
        """
        return float(min(_LONGEST_BACKOFF_S, 2.0 ** min(self.attempts, 16)))

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        del found["resource_type"], found["resource_amount"], found["unmet"], found["lease"]
        return found | {
            "priority": self.priority.name.lower(),
            "state": self.state.value,
            "after": list(self.after),
            "limits": dict(self.limits),
            "needs": {pool.value: amount for pool, amount in self.needs.items()},
            "error": dict(self.error) if self.error else None,
        }


_SLOTS = [one.name for one in fields(Task)]
_PUT = [getattr(Task, name).__set__ for name in _SLOTS]
_VALUES = attrgetter(*_SLOTS)


class Ended(NamedTuple):
    """
    How one attempt ended.

    Attributes:
        lease: Under which it ran: a later one makes it void.
        outcome: One of OUTCOMES.
        retry_after_s: What the work itself asks for, instead of the backoff.
        final: Whether trying again is pointless.
        lost: Whether it was the worker that ended, and not the task.
        node: Which other node ran it.
    """

    task_id: str
    lease: int
    outcome: str
    result: Any = None
    error: Mapping[str, Any] | None = None
    duration_s: float = 0.0
    retry_after_s: float | None = None
    final: bool = False
    lost: bool = False
    node: str | None = None


class Lease(NamedTuple):
    """Tasks that one worker process runs one after the other, and what they hold meanwhile."""

    number: int
    tasks: tuple[Task, ...]


def kind_of(payload: Any) -> str:
    """Whether *payload* names a "skill" or a "call", or is nothing to do."""
    # Asked several times of every task; and a dict, as most are, is known as one at once.
    if type(payload) is not dict and not isinstance(payload, Mapping):
        return ""
    if "skill" in payload:
        return "skill"
    return "call" if "call" in payload else ""


def check_payload(payload: Any) -> None:
    """
    Refuse what no worker could run.

    Raises:
        InvalidInput: It names both a skill and a function, or its parameters are none.
    """
    kind = kind_of(payload)
    if not kind:
        return
    if set(payload) - {kind, "params", "depth"}:
        raise InvalidInput(
            f"not something to run: {payload!r:.100}",
            hint='a payload is {"skill": NAME, "params": {…}} or {"call": NAME, "params": {…}}',
        )
    checks.name(payload[kind], "what a task runs")
    if not _is_map(payload.get("params", {})):
        raise InvalidInput(f"params must be a mapping, found {payload['params']!r:.100}")
    checks.whole(checks.at_least(payload.get("depth", 0), 0, "depth"), "depth")


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def _check_flags(**given: Any) -> None:
    for name, value in given.items():
        if not isinstance(value, bool):
            raise InvalidInput(f"{name} must be true or false, found {value!r}")


def _check_time(value: Any, what: str) -> None:
    if value is None:
        return
    try:
        checks.from_epoch(checks.finite(value, what))
    except (OverflowError, ValueError, OSError) as error:
        told = error.message if isinstance(error, InvalidInput) else "it is beyond all calendars"
        raise InvalidInput(f"{what}: {told}") from None


def _positive(value: Any, what: str) -> int:
    number = checks.whole(value, what)
    if number < 1:
        raise InvalidInput(f"{what} must be at least 1, found {value!r}")
    return number
