"""
The orders' part of the service: each turn moves on whatever can be moved on without waiting.

Paid orders become tasks, ended tasks become fulfilled or stuck orders.  A provider behind a network
is not asked here but by a task, one for each time it is to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.orders.desk import OrderDesk
from dino_os.orders.tasks import ask_task, task_queue
from dino_os.work.duty import Duty
from engines.orders import Answer, Order, Outcome, Transfer, due_at

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

# Whoever recorded that a provider is to be asked is most likely asking it right now.
_PATIENCE_S = 30.0
_AGAIN_S = 5.0


class OrdersDuty(Duty):
    """
    The duty of *workspace*'s orders.

    Attributes:
        watches: The journals whose change means that there may be something to do.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._desk = OrderDesk(workspace)
        self.watches: Sequence[Path] = (
            workspace.memory / "orders.jsonl",
            workspace.memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def turn(self) -> float | None:
        """Do what is due; when the next turn is wanted, in seconds since the epoch."""
        self._desk.till.settle(only_local=True)
        self._desk.fulfiller.turn()
        for order, transfer in self._desk.orders.due(patience_s=_PATIENCE_S):
            if not self._is_local(transfer):
                self._hand_out(order, transfer)
        return self._next_turn()

    def _next_turn(self) -> float | None:
        now, times = self._desk.orders.clock(), []
        for _, transfer in self._desk.orders.open_transfers():
            due = due_at(transfer, now, _PATIENCE_S)
            if due > now:
                times.append(due)
            elif self._is_local(transfer):  # it was asked just now, and could not be
                times.append(now + _AGAIN_S)
            # Any other is with a task, whose end is what the next turn waits for.
        return min(times, default=None)

    def _is_local(self, transfer: Transfer) -> bool:
        return self._desk.providers.is_local(transfer.provider)

    def _hand_out(self, order: Order, transfer: Transfer) -> None:
        """Have a task ask; if that task has failed, the record says so, and when to ask again."""
        queue = task_queue(self._workspace)
        kind, number = transfer.kind, transfer.number
        task_id = f"order:{order.id}:{kind.value}:{number}:ask:{transfer.tries + 1}"
        known = queue.task(task_id)
        if known is None:
            queue.submit_tasks([ask_task(task_id, order.id, kind.value, number)])
        elif known.state in {"succeeded", "dead", "cancelled"}:
            answer = Answer(Outcome.UNAVAILABLE, reason=f"the task {task_id} asked nobody")
            self._desk.orders.answer(order.id, kind, number, answer)
