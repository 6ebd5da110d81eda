"""The memory in a service: what waits for a vector gets one, and what has expired goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.errors import DinoError
from dino_os.work.calls import EMBED
from dino_os.work.duty import Duty
from dino_os.work.passes import submit_pass

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_SOURCE = "memory"
_LOOK_EVERY_S = 60.0  # a change shows in the journal only when its line has moved there
_PASS_S = 60.0
_AFTER_A_FAILURE_S = 300.0


class EmbedDuty(Duty):
    """Has the memory of *workspace* embedded, a task at a time, and swept."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.watches: Sequence[Path] = (
            workspace.memory / "memory_log.jsonl",
            workspace.memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def turn(self) -> float | None:
        """Submit a task that embeds, where something waits and none is under way."""
        later = time.time() + _LOOK_EVERY_S
        if not (self._workspace.memory / "memory.db").exists():
            return None
        with contextlib.suppress(DinoError):  # another process writes, or a model is not there
            store = self._workspace.memory_store
            store.sweep()
            if store.is_behind():
                due = submit_pass(self._workspace.resources, _SOURCE, EMBED, _next_pass)
                return later if due is None else min(due, later)
        return later


def _next_pass(before: Sequence[Task]) -> float | None:
    """At once, as long as it gets on."""
    last = before[-1]
    ended, now = last.finished_at or 0.0, time.time()
    got_on = isinstance(last.result, dict) and bool(last.result.get("embedded"))
    if got_on or ended > now:  # which was set back
        return None
    at = ended + _AFTER_A_FAILURE_S
    return at if at > now else None


def embed() -> dict[str, Any]:
    """Embed for a while in the workspace of this process; what it came to."""
    from dino_os.workspace import Workspace  # noqa: PLC0415

    return Workspace.shared().memory_store.reindex(budget_s=_PASS_S)
