"""Tasks on the command line: read from options and files, shown, waited for."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, to_builtins

from dino_os.commands import output
from dino_os.errors import InvalidInput, NotFound
from dino_os.typed_files import convert, show_path
from dino_os.units import seconds
from dino_os.workspace import Workspace
from engines.checks import did_you_mean, time_text

if TYPE_CHECKING:
    from engines.resource_engine import Task

_EXIT = {"ok": 0, "ok_no_action": 0, "denied": 3, "timeout": 124}

Text = Annotated[str, Meta(min_length=1)] | None
Length = str | int | float | None


class Line(Struct, omit_defaults=True, frozen=True):
    """A task in a file; null is as if it were not there."""

    skill: Text
    params: dict[str, Any] | None = None
    task_id: Text = None
    key: Text = None
    priority: Text = None
    after: list[str] | None = None
    batch: Text = None
    source: Text = None
    timeout: Length = None
    delay: Length = None
    start_within: Length = None
    max_attempts: Annotated[int, Meta(ge=1)] | None = None
    at_most_once: bool | None = None
    local: bool | None = None


def task_of(
    workspace: Workspace, skill: str, params: Mapping[str, Any], given: Mapping[str, Any]
) -> Task:
    """
    The task that options describe.

    Raises:
        InvalidInput: They, or the parameters, do not fit.
    """
    from dino_os.work.tasks import skill_task  # noqa: PLC0415
    from engines.resource_engine import TaskPriority  # noqa: PLC0415

    asked: dict[str, Any] = {
        name: value
        for name in ("key", "batch", "max_attempts", "source", "at_most_once", "local")
        if (value := given.get(name)) is not None and value is not False
    }
    now = time.time()
    if (timeout := given.get("timeout")) is not None:
        asked["timeout_s"] = seconds(timeout, "--timeout")
    if (delay := given.get("delay")) is not None:
        asked["not_before"] = now + seconds(delay, "--in")
    if (within := given.get("start_within")) is not None:
        asked["start_by"] = asked.get("not_before", now) + seconds(within, "--start-within")
    priority = str(given.get("priority") or "normal").upper()
    if priority not in TaskPriority.__members__:
        close = did_you_mean(priority, TaskPriority.__members__)
        raise InvalidInput(f"no priority {priority.lower()!r}{close.lower()}")
    return skill_task(
        workspace,
        skill,
        params,
        task_id=given.get("task_id"),
        priority=TaskPriority[priority],
        after=tuple(given.get("after") or ()),
        **asked,
    )


def read_tasks(workspace: Workspace, file: Path, given: Mapping[str, Any]) -> list[Task]:
    """
    The tasks of a file with one JSON object on each line; what a line does not say, options do.

    Raises:
        InvalidInput: A line is none; nothing was submitted.
    """
    from dino_os.planning.sources import json_lines  # noqa: PLC0415

    tasks = []
    for line, record in json_lines(file):
        try:
            line_says = _members(record)
            skill, params = line_says.pop("skill"), line_says.pop("params", {})
            tasks.append(task_of(workspace, skill, params, {**given, **line_says}))
        except InvalidInput as error:
            raise InvalidInput(f"{file}:{line}: {error.message}", hint=error.hint) from None
    return tasks


def _members(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a line says, each of the kind that it has to be."""
    names = Line.__struct_fields__
    if unknown := sorted(set(record) - set(names)):
        raise InvalidInput(f"no member {unknown[0]!r}{did_you_mean(unknown[0], names)}")
    if record.get("skill") is None:
        raise InvalidInput('it names no "skill"')

    def wrong(path: tuple[str | int, ...], what: str) -> InvalidInput:
        return InvalidInput(f"{show_path(path)}: {what}")

    found: dict[str, Any] = to_builtins(convert(record, Line, wrong))
    return found


def find(workspace: Workspace, task_id: str, *, what: str = "task or batch") -> Task:
    """
    The task of that id, however old, or of the one id that begins so.

    Raises:
        NotFound: There is none, or more than one.
    """
    resources = workspace.resources
    if found := resources.task(task_id):
        return found
    known = [task.task_id for task in resources.tasks()]
    # A task of long ago is not taken for another one, whose id is longer.
    if found := resources.recall(task_id):
        return found
    begun = [one for one in known if one.startswith(task_id)]
    if len(begun) == 1 and (found := resources.task(begun[0])):
        return found
    told = f"{len(begun)} tasks begin with" if begun else f"no {what}"
    raise NotFound(
        f"{told} {task_id!r}{'' if begun else did_you_mean(task_id, known)}",
        hint="`dino engine list` shows them",
    )


def find_all(workspace: Workspace, task_ids: Sequence[str]) -> list[str]:
    """
    Their whole ids, each once.

    Raises:
        NotFound: As `find`, for any of them.
    """
    return [*dict.fromkeys(find(workspace, one, what="task").task_id for one in task_ids)]


def show_tasks(tasks: Sequence[Task], show: int, *, as_json: bool, why: bool = False) -> None:
    if as_json:
        output.emit_json({"tasks": [as_dict(task) for task in tasks]})
        return
    if not tasks:
        output.say("no dead letters" if why else "no tasks")
        return
    shown, left = output.first_of(tasks, show)
    rows = [
        (
            task.task_id,
            task.does.partition(":")[2] or "nothing",
            task.state.value,
            task.attempts,
            time_text(round(task.created_at)),
            _why(task),
        )
        for task in shown
    ]
    columns = ("task", "runs", "state", "attempts", "submitted", "why")
    output.table(columns, rows, numbers=("attempts",))
    output.more(left, "task")


def show_task(task: Task, *, as_json: bool) -> None:
    found = as_dict(task)
    if as_json:
        output.emit_json(found)
        return
    output.heading(f"{task.task_id}: {task.state.value}")
    for name, value in found.items():
        if value not in (None, [], {}, False) and name not in {"task_id", "state"}:
            output.say(f"{name.replace('_', ' '):<13} {value}")


def as_dict(task: Task) -> dict[str, Any]:
    """All of it, with times as text."""
    found = task.as_dict()
    for name in ("created_at", "started_at", "finished_at", "next_retry", "not_before", "start_by"):
        found[name] = time_text(found[name])
    return found


def wait_for(workspace: Workspace, ids: Sequence[str], *, as_json: bool) -> None:
    """Wait until these tasks have ended, show them, and exit as the worst of them did."""
    from dino_os.wake import LOOK_EVERY_S, Wake  # noqa: PLC0415

    resources = workspace.resources
    waiting = dict.fromkeys(ids)
    if all(one["lost"] for one in resources.sessions()):
        print("dino: nobody works on it yet; `dino engine work` does", file=sys.stderr)  # noqa: T201
    wake = Wake(workspace.memory)
    try:
        while waiting:
            waiting = {one: None for one in waiting if not _has_ended(workspace, one)}
            if waiting:
                wake.wait(LOOK_EVERY_S)
    finally:
        wake.close()
    tasks = [find(workspace, one) for one in ids]
    if len(tasks) == 1:
        show_task(tasks[0], as_json=as_json)
    else:
        show_tasks(tasks, 0, as_json=as_json)
    sys.exit(max(_EXIT.get(task.outcome or "", 1) for task in tasks))


def _has_ended(workspace: Workspace, task_id: str) -> bool:
    """Whether it has, or cannot go on as things are: it waits for a dead letter."""
    from engines.resource_engine import FINISHED, TaskState  # noqa: PLC0415

    task = workspace.resources.task(task_id)
    if task is None or task.state in FINISHED:
        return True
    others = (workspace.resources.known(one) for one in task.unmet)
    return any(other is None or other.state is TaskState.DEAD for other in others)


def _why(task: Task) -> str:
    if task.unmet:
        return f"waits for {', '.join(task.unmet)}"
    if task.error:
        return str(task.error.get("message", ""))
    return ""
