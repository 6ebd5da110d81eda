"""The tasks that orders bring: fulfilment by a skill, and asking a provider over the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dino_os.orders.fulfilment import TaskQueue

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

ASK_PROVIDER = "dino_os.orders.tasks:ask_provider"
"""What workers call."""


def task_queue(workspace: Workspace) -> TaskQueue:
    """The workspace's resource engine."""
    return workspace.resources


def skill_task(
    workspace: Workspace, skill: str, params: Mapping[str, Any], *, task_id: str, source: str
) -> Any:
    """
    A task that runs a skill.

    Raises:
        UnknownSkill: There is none of that name.
        InvalidInput: It does not take these parameters.
    """
    from dino_os.work.tasks import skill_task as make  # noqa: PLC0415

    return make(workspace, skill, params, task_id=task_id, source=source)


def ask_task(task_id: str, order_id: str, kind: str, number: int) -> Any:
    """A task that asks a provider about one transfer."""
    from engines.resource_engine import ResourceType, Task  # noqa: PLC0415

    params = {"order_id": order_id, "kind": kind, "number": number}
    payload = {"call": ASK_PROVIDER, "params": params}
    return Task(
        task_id,
        resource_type=ResourceType.NETWORK,
        payload=payload,
        source=f"order:{order_id}",
    )


def ask_provider(order_id: str, kind: str, number: int) -> str:
    """Ask about one transfer in the workspace of this process; the transfer's state."""
    from dino_os.orders.desk import OrderDesk  # noqa: PLC0415
    from dino_os.workspace import Workspace  # noqa: PLC0415
    from engines.orders import Kind  # noqa: PLC0415

    desk = OrderDesk(Workspace.shared())
    desk.orders.refresh()
    desk.till.ask(order_id, Kind(kind), number)
    return desk.orders.transfer(order_id, Kind(kind), number).state.value
