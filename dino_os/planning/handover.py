"""
What becomes of a plan: tasks for skill-agents, deliveries for people, files moved out of the way.

Each step can be done again and changes nothing then: tasks and deliveries have ids that follow from
the cycle's number, files are moved only as long as they are what was counted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from dino_os.errors import DinoError, InvalidInput, NotFound
from dino_os.outbox import Address, Draft
from dino_os.planning.assignments import Assignment, params_of
from dino_os.planning.feed import Feed, Move
from dino_os.planning.forms import Desk
from engines.durable import make_folder, replace_file, sync_folder
from engines.orchestrator import DynamicUsageOrchestrator, UsageCycleResult

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_URGENT = ((0.85, 0), (0.55, 1), (0.35, 2))  # severity from which a task is critical, high, normal
_LOW = 3


@dataclass(frozen=True, slots=True)
class Work:
    """What is assigned to agents of one cycle, by where it goes."""

    cycle: int
    tasks: Sequence[tuple[Assignment, Desk]]
    deliveries: Sequence[tuple[Assignment, Address]]
    nobody: int

    @classmethod
    def sort(cls, cycle: int, assignments: Iterable[Assignment], desks: Mapping[str, Desk]) -> Work:
        """*assignments* by the desk of their agent."""
        tasks, deliveries, nobody = [], [], 0
        for assignment in assignments:
            desk = desks.get(assignment["agent"], Desk())
            if desk.skill:
                tasks.append((assignment, desk))
            elif desk.outbox:
                deliveries.append((assignment, desk.outbox))
            else:
                nobody += 1
        return cls(cycle, tasks, deliveries, nobody)


def planned_assignments(result: UsageCycleResult) -> list[Assignment]:
    """What a plan assigns; as `recalled_assignments` finds it in the record."""
    tasks = result.named({decision.task_id for decision in result.assignments})
    return [
        {
            "cycle": result.cycle,
            "task": decision.task_id,
            "agent": decision.agent,
            "summary": task.description,
            "zone": (task.metadata or {})["zone"],
            "sector": (task.metadata or {})["sector"],
            "severity": task.priority,
            "required_skills": list(task.required_skills),
            "estimated_effort_hours": task.estimated_effort_hours,
            "rationale": decision.rationale,
            "confidence": decision.confidence,
        }
        for decision in result.assignments
        for task in (tasks[decision.task_id],)
    ]


def recalled_assignments(orchestrator: DynamicUsageOrchestrator, cycle: int) -> list[Assignment]:
    """
    What the record says that a past cycle assigned.

    Raises:
        NotFound: It does not say it any more.
    """
    tasks = orchestrator.recall(cycle)
    if tasks is None:
        raise NotFound(f"cycle {cycle} is too long past to be recalled")
    same = ("agent", "summary", "zone", "sector", "severity", "required_skills")
    also = ("estimated_effort_hours", "rationale", "confidence")
    return [
        {
            "cycle": cycle,
            "task": task["task_id"],
            **{name: task[name] for name in (*same, *also)},
        }
        for task in tasks
        if task.get("agent")
    ]


def submit(workspace: Workspace, work: Work) -> tuple[int, list[dict[str, str]]]:
    """Put the tasks into the queue; how many, and those that no task can be made of, and why."""
    tasks, refused = [], []
    for assignment, desk in work.tasks:
        try:
            tasks.append(_task(workspace, assignment, desk))
        except DinoError as error:
            refused.append(_refusal(assignment, error))
    if not tasks:
        return 0, refused
    try:
        workspace.resources.submit_tasks(tasks)
    except InvalidInput:  # one that needs more than there is keeps back nobody else's
        return _submit_each(workspace, work, refused)
    return len(tasks), refused


def _submit_each(
    workspace: Workspace, work: Work, refused: list[dict[str, str]]
) -> tuple[int, list[dict[str, str]]]:
    known, count = {refusal["task"] for refusal in refused}, 0
    for assignment, desk in work.tasks:
        if assignment["task"] in known:
            continue
        try:
            workspace.resources.submit_task(_task(workspace, assignment, desk))
            count += 1
        except InvalidInput as error:
            refused.append(_refusal(assignment, error))
    return count, refused


def _refusal(assignment: Assignment, error: DinoError) -> dict[str, str]:
    return {
        "task": str(assignment["task"]),
        "agent": str(assignment["agent"]),
        "reason": error.message,
    }


def _task(workspace: Workspace, assignment: Assignment, desk: Desk) -> Task:
    from dino_os.work.tasks import skill_task  # noqa: PLC0415  where there are skill-agents
    from engines.resource_engine import TaskPriority  # noqa: PLC0415

    name, severity = desk.skill or "", assignment["severity"]
    cycle = f"cycle:{assignment['cycle']}"
    rank = next((rank for least, rank in _URGENT if severity >= least), _LOW)
    return skill_task(
        workspace,
        name,
        params_of(workspace.plugins.skills().find(name), assignment, desk),
        task_id=f"{cycle}:{assignment['task']}",
        source=cycle,
        priority=TaskPriority(rank),
    )


def queue(workspace: Workspace, work: Work) -> int:
    """Put people's assignments into the outbox; how many there are."""
    if work.deliveries:
        workspace.outbox.queue(
            (_draft(workspace, assignment, to) for assignment, to in work.deliveries),
            batch=f"cycle:{work.cycle}",
        )
    return len(work.deliveries)


def _draft(workspace: Workspace, assignment: Assignment, to: Address) -> Draft:
    name = f"cycle:{assignment['cycle']}:{assignment['task']}"
    # Unlike the name it is like no other workspace's, and fits in a header.
    key = str(uuid5(NAMESPACE_URL, f"{workspace.origin()}/{name}"))
    return Draft(name, key, to, assignment)


def desks_as_data(desks: Mapping[str, Desk]) -> dict[str, Any]:
    """For the record, so that a run that crashed is completed as it was meant."""
    return {
        agent: {
            "skill": desk.skill,
            "params": dict(desk.params),
            "outbox": desk.outbox.as_dict() if desk.outbox else None,
        }
        for agent, desk in desks.items()
        if desk.skill or desk.outbox
    }


def desks_from_data(data: Mapping[str, Any]) -> dict[str, Desk]:
    return {
        agent: Desk(
            desk["skill"], desk["params"], Address.of(desk["outbox"]) if desk["outbox"] else None
        )
        for agent, desk in data.items()
    }


# --- files that were counted -------------------------------------------------------------------


def move_files(feeds: Iterable[Feed]) -> tuple[dict[str, list[str]], list[str]]:
    """Move what was counted out of the way; what was moved by source, and what could not be."""
    moved: dict[str, list[str]] = {}
    stuck: list[str] = []
    for feed in feeds:
        for move in feed.moves:
            try:
                if _move(move):
                    moved.setdefault(feed.source.name, []).append(move.name)
            except OSError as error:
                stuck.append(f"{move.file}: could not be moved to {move.folder}: {error.strerror}")
    return moved, stuck


def _move(move: Move) -> bool:
    """Move a file as long as it is what was counted; what lies there already is kept."""
    if _digest(move.file) != move.digest:
        return False
    make_folder(move.folder)
    if move.file.parent.samefile(move.folder):  # it lies where it is to go, and nowhere else
        return False
    _place(move, move.folder / move.file.name)
    move.file.unlink()
    return True


def _place(move: Move, target: Path) -> None:
    """Have the file at *target* too, durably, or under a name beside it where that is taken."""
    number = 1
    while target.exists() or target.is_symlink():
        # What a crash left before the file was gone from its place.  A link is only a name: what
        # it leads to may be the very file that is to go.
        if not target.is_symlink() and _digest(target) == move.digest:
            return
        number += 1
        target = move.folder / f"{move.file.stem}-{number}{move.file.suffix}"
    if move.file.is_symlink():
        replace_file(target, move.file.read_bytes())  # a link may lead nowhere from there
        return
    try:
        os.link(move.file, target)
        sync_folder(move.folder)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP}:
            raise
        replace_file(target, move.file.read_bytes())  # another disk, or one without links


def _digest(file: Path) -> str | None:
    with contextlib.suppress(OSError):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    return None
