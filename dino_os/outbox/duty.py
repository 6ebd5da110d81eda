"""Deliveries in a service: when one is due, a task sends what there is; nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

SEND = "dino_os.outbox.duty:send"
_SOURCE = "outbox"


class DeliveryDuty(Duty):
    """Has sent what is due in the outbox of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.watches: Sequence[Path] = (
            workspace.memory / "outbox.jsonl",
            workspace.memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def turn(self) -> float | None:
        """Submit a task that sends, where something is due and none is under way."""
        from engines.resource_engine import FINISHED, ResourceType, Task  # noqa: PLC0415

        outbox, resources = self._workspace.outbox, self._workspace.resources
        outbox.refresh()
        due = outbox.next_due()
        if due is None or due > outbox.clock():
            return due
        under_way = resources.tasks(source=_SOURCE)
        if all(task.state in FINISHED for task in under_way):
            task = Task(
                f"outbox@{outbox.journal.end.seq}",
                resource_type=ResourceType.NETWORK,
                payload={"call": SEND},
                source=_SOURCE,
                max_attempts=1,
            )
            resources.submit_task(task)
        return None  # its end is a reason for the next turn


def send() -> dict[str, int]:
    """Send all that is due in the workspace of this process; what it came to."""
    from dino_os.outbox.sender import Sender  # noqa: PLC0415
    from dino_os.workspace import Workspace  # noqa: PLC0415

    return Sender.of(Workspace.shared()).send(wait_s=30.0).as_dict()
