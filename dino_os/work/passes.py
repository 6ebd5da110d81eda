"""Work of a duty that is done in passes: one task at a time, over all processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.resource_engine import ResourceEngine, Task


def submit_pass(
    resources: ResourceEngine,
    source: str,
    call: str,
    not_before: Callable[[Sequence[Task]], float | None],
) -> float | None:
    """
    Submit a task of *source* that does what is due, unless one is under way.

    Args:
        call: The function that it calls.
        not_before: Until when to wait, by the passes that are remembered; None: for nothing.

    Returns:
        When to ask again; None: when something changed.
    """
    from engines.resource_engine import FINISHED, ResourceType, Task  # noqa: PLC0415

    with resources.deciding():  # one of all processes submits it
        before = resources.tasks(source=source)
        if any(task.state not in FINISHED for task in before):
            return None  # its end is a reason for the next turn
        if before and (wait_until := not_before(before)):
            return wait_until
        task = Task(
            # Each attempt has a name of its own: submitting is on record, so the end moves on.
            f"{source}@{resources.journal.end.seq}",
            resource_type=ResourceType.NETWORK,
            payload={"call": call},
            source=source,
            max_attempts=1,
        )
        resources.submit_task(task)
    return None
