"""The offline queue in a service: when something is due, a task sends what there is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dino_os.nav.replay import Replayed, Replayer
from dino_os.work.calls import REPLAY
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_SOURCE = "offline_queue"
_AGAIN_S = 5.0
"""For what a pass left due: the routes were down for more than one."""


class ReplayDuty(Duty):
    """Has sent what is due in the offline queue of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        memory = workspace.memory
        self.watches: Sequence[Path] = (
            memory / "gate_log.jsonl",  # what is queued is told there at once
            memory / "cache_log.jsonl",
            memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def turn(self) -> float | None:
        """Submit a task that sends, where something is due and none is under way."""
        due, now = self._workspace.requests.next_due(), self._workspace.nav.clock()
        if due is None or due > now:
            return due
        with self._workspace.resources.deciding():  # one of all processes submits it
            return self._submit(now)

    def _submit(self, now: float) -> float | None:
        from engines.resource_engine import FINISHED, ResourceType, Task  # noqa: PLC0415

        resources = self._workspace.resources
        before: list[Task] = resources.tasks(source=_SOURCE)
        if any(task.state not in FINISHED for task in before):
            return None  # its end is a reason for the next turn
        ended = before[-1].finished_at or 0.0 if before else 0.0
        if ended <= now < ended + _AGAIN_S:
            return ended + _AGAIN_S
        task = Task(
            f"{_SOURCE}@{resources.journal.end.seq}",
            resource_type=ResourceType.NETWORK,
            payload={"call": REPLAY},
            source=_SOURCE,
            max_attempts=1,
        )
        resources.submit_task(task)
        return None


def replay() -> dict[str, int]:
    """Send all that is due in the workspace of this process; what it came to."""
    from dino_os.workspace import Workspace  # noqa: PLC0415

    return replay_in(Workspace.shared()).as_dict()


def replay_in(workspace: Workspace) -> Replayed:
    """The same, for *workspace*."""
    owner = f"{os.getpid()}-{uuid4().hex[:8]}"
    return Replayer(workspace.nav, workspace.requests, owner=owner).run()
