"""
Tasks as rows: JSON without what is as usual, for events and snapshots.

Reading trusts what was written: a hundred thousand rows are tasks again in a third of a second.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from engines.errors import InvalidInput
from engines.filed import as_json
from engines.resource_engine.model import ResourceType, Task, TaskPriority, TaskState, kind_of

Row = dict[str, Any]

_MOST_PARAMS = 1_000_000  # bytes
DEEPEST = 200
"""So deep may parameters and results be nested, the outermost included."""
_ROOM = 254 - DEEPEST  # orjson's own limit; for events, snapshots, frames, and reports of peers

_NOTHING: Mapping[str, int] = MappingProxyType({})
_NAMES = [one.name for one in dataclasses.fields(Task)]
_USUAL: dict[str, Any] = {
    one.name: None if one.default is dataclasses.MISSING else one.default
    for one in dataclasses.fields(Task)
} | {"limits": _NOTHING, "created_at": 0.0}
_DERIVED = {"resource_type", "resource_amount", "needs", "priority", "state"}
_PLAIN = [name for name in _NAMES if name not in _DERIVED]
_plain_of = attrgetter(*_PLAIN)
_PRIORITIES = {priority.value: priority for priority in TaskPriority}
_STATES = {state.value: state for state in TaskState}
_COMPUTE_1 = {"compute": 1}
_SET = [(name, getattr(Task, name).__set__, _USUAL[name]) for name in _PLAIN]


def to_row(task: Task) -> Row:
    """All that is not as usual."""
    row = {
        name: value
        for name, value in zip(_PLAIN, _plain_of(task), strict=True)
        if value != _USUAL[name]
    }
    if "limits" in row:
        row["limits"] = dict(task.limits)
    if task.priority is not TaskPriority.NORMAL:
        row["priority"] = task.priority.value
    if task.state is not TaskState.QUEUED:
        row["state"] = task.state.value
    needs = {pool.value: amount for pool, amount in task.needs.items()}
    if needs != _COMPUTE_1:
        row["needs"] = needs
    return row


def from_row(row: Mapping[str, Any]) -> Task:
    task: Task = object.__new__(Task)
    for name, put, usual in _SET:
        put(task, row.get(name, usual))
    if task.after:
        task.after, task.unmet = tuple(task.after), tuple(task.unmet)
    task.priority = _PRIORITIES[row.get("priority", 2)]
    task.state = _STATES[row.get("state", "queued")]
    task.needs = _needs(tuple(row.get("needs", _COMPUTE_1).items()))
    task.resource_type, task.resource_amount = next(iter(task.needs.items()))
    return task


@lru_cache(maxsize=1024)
def _needs(items: tuple[tuple[str, int], ...]) -> Mapping[ResourceType, int]:
    """One object for all tasks that need the same."""
    return MappingProxyType({ResourceType(pool): amount for pool, amount in items})


def anew(task: Task) -> Task:
    """The same to be done: what it came to elsewhere is nothing to another queue."""
    fresh = copy.copy(task)
    fresh.attempts, fresh.outcome, fresh.error, fresh.result = 0, None, None, None
    fresh.result_sha256, fresh.result_bytes, fresh.duration_s = None, None, None
    fresh.started_at, fresh.finished_at, fresh.lease, fresh.cancelling = None, None, None, False
    return fresh


def check_params(task: Task) -> None:
    """
    Refuse parameters that are too large for a record, or that no worker could be handed.

    Raises:
        InvalidInput: They are.
    """
    payload = task.payload
    params = payload["params"] if kind_of(payload) and "params" in payload else payload
    content = as_json(params)
    # Nothing is nested deeper than it has brackets; most have few.
    if content is None or (
        content.count(b"[") + content.count(b"{") > DEEPEST and as_json(with_room(params)) is None
    ):
        _refuse(task.task_id, params)
        return
    size = len(content)
    if size > _MOST_PARAMS:
        raise InvalidInput(
            f"task {task.task_id!r}: its parameters are {size:,} bytes of JSON, "
            f"of which there may be {_MOST_PARAMS:,}",
            hint="write what is large into a file, and name that",
        )


def with_room(value: Any) -> Any:
    """*value*, so deep in lists that it is JSON only where it will be in all that it travels in."""
    for _ in range(_ROOM):
        value = [value]
    return value


def _refuse(task_id: str, params: Any) -> None:
    left = [(params, 1)]
    while left:
        one, depth = left.pop()
        if isinstance(one, int) and not -(2**63) <= one < 2**64:
            raise InvalidInput(f"task {task_id!r}: a number of its parameters is beyond 64 bits")
        parts = one.values() if isinstance(one, Mapping) else one
        if isinstance(parts, str | bytes) or not isinstance(parts, Collection):
            continue
        if depth > DEEPEST:
            raise InvalidInput(
                f"task {task_id!r}: its parameters are nested more than {DEEPEST} deep"
            )
        left += [(part, depth + 1) for part in parts]
