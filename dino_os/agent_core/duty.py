"""Queued questions in a service: when one is due, a task asks; nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.work.calls import ASK_MODELS
from dino_os.work.duty import Duty
from dino_os.work.passes import submit_pass

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_SOURCE = "llm_queue"
_AGAIN_S = 30.0
"""For what a pass left due: it failed as a whole, or somebody else was at it."""


class AskDuty(Duty):
    """Has asked what is due in the queue of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        memory = workspace.memory
        self.watches: Sequence[Path] = (
            memory / "llm_queue.jsonl",
            memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def turn(self) -> float | None:
        """Submit a task that asks, where something is due and none is under way."""
        queue = self._workspace.llm_queue
        queue.refresh()
        due = queue.next_due()
        if due is None or due > queue.clock():
            return due
        return submit_pass(self._workspace.resources, _SOURCE, ASK_MODELS, self._left_by)

    def _left_by(self, before: Sequence[Task]) -> float | None:
        """Until when to wait, where all that is due was due already at the last of *before*."""
        queue, last = self._workspace.llm_queue, before[-1]
        now, ended = queue.clock(), last.finished_at or 0.0
        began = last.started_at or ended
        if not ended <= now < ended + _AGAIN_S:
            return None
        fresh = any(one.due > began for one in queue.due(now))
        return None if fresh else ended + _AGAIN_S


def ask() -> dict[str, int]:
    """Ask all that is due in the workspace of this process; what it came to."""
    from dino_os.agent_core.sending import send  # noqa: PLC0415  where something is asked
    from dino_os.workspace import Workspace  # noqa: PLC0415

    return send(Workspace.shared(), wait_s=30.0).as_dict()
