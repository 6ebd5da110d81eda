"""The offline queue in a service: when something is due, a task sends what there is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dino_os.nav.replay import Replayed, Replayer
from dino_os.nav.sealing import HeaderSeals
from dino_os.work.calls import REPLAY
from dino_os.work.duty import Duty
from dino_os.work.passes import submit_pass

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_SOURCE = "offline_queue"
_AGAIN_S, _LONGEST_S = 5.0, 300.0
"""
Between passes: twice as long after each that delivered nothing, until some route is well again.
What is due in an outage would else be tried, and recorded, all day.
"""


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
        if not self._workspace.documents_file.exists():  # nothing was ever queued
            return None
        self._workspace.nav.refresh()
        due = self._workspace.requests.next_due()
        if due is None or due > self._workspace.nav.clock():
            return due
        return submit_pass(self._workspace.resources, _SOURCE, REPLAY, self._next_pass)

    def _next_pass(self, before: Sequence[Task]) -> float | None:
        """When the next pass is worth it, by what those *before* came to; None: now."""
        ended, now = before[-1].finished_at or 0.0, self._workspace.nav.clock()
        if ended > now:  # which was set back
            return None
        fruitless = next(
            (n for n, task in enumerate(reversed(before)) if _delivered(task)), len(before)
        )
        well_since = self._workspace.nav.answered_at > (before[-1].started_at or 0.0)
        pause = _AGAIN_S if well_since else _AGAIN_S * 2 ** min(fruitless, 6)
        at = ended + min(pause, _LONGEST_S)
        return at if at > now else None


def _delivered(task: Task) -> bool:
    return isinstance(task.result, dict) and bool(task.result.get("delivered"))


def replay() -> dict[str, int]:
    """Send all that is due in the workspace of this process; what it came to."""
    from dino_os.workspace import Workspace  # noqa: PLC0415

    return replay_in(Workspace.shared()).as_dict()


def replay_in(workspace: Workspace) -> Replayed:
    """The same, for *workspace*."""
    owner = f"{os.getpid()}-{uuid4().hex[:8]}"
    seals = HeaderSeals(lambda: workspace.security)
    return Replayer(workspace.nav, workspace.requests, owner=owner, opened=seals.opened).run()
