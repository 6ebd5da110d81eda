"""Deliveries in a service: when one is due, a task sends what there is; nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.work.duty import Duty
from dino_os.work.passes import submit_pass

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

SEND = "dino_os.outbox.duty:send"
_SOURCE = "outbox"
_AGAIN_S = 30.0
"""For what an attempt left due: it failed as a whole, or a receiver that is down has more."""


class DeliveryDuty(Duty):
    """Has sent what is due in the outbox of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        memory = workspace.memory
        self.watches: Sequence[Path] = (
            memory / "outbox.jsonl",
            memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def turn(self) -> float | None:
        """Submit a task that sends, where something is due and none is under way."""
        outbox = self._workspace.outbox
        outbox.refresh()
        due = outbox.next_due()
        if due is None or due > outbox.clock():
            return due
        return submit_pass(self._workspace.resources, _SOURCE, SEND, self._left_by)

    def _left_by(self, before: Sequence[Task]) -> float | None:
        """Until when to wait, where all that is due was due already at the last of *before*."""
        outbox, last = self._workspace.outbox, before[-1]
        now, ended = outbox.clock(), last.finished_at or 0.0
        began = last.started_at or ended
        if not ended <= now < ended + _AGAIN_S:
            return None
        fresh = any(delivery.due > began for delivery in outbox.due(now))
        return None if fresh else ended + _AGAIN_S


def send() -> dict[str, int]:
    """Send all that is due in the workspace of this process; what it came to."""
    from dino_os.outbox.sender import Sender  # noqa: PLC0415
    from dino_os.workspace import Workspace  # noqa: PLC0415

    return Sender.of(Workspace.shared()).send(wait_s=30.0).as_dict()
