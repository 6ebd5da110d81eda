"""
How the runs of entities ended, as the resource engine has it, and what that says of the entity.

What failed because the network was down is nobody's failure: such a run is kept, and tried again
when the network is back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dino_os.entities.offline import Offline
from dino_os.entities.routes import Target, is_of_the_network
from dino_os.errors import NotFound
from engines.entity_manager import Entity, EntityManager, EntityState, Run
from engines.resource_engine import FINISHED, TaskState

if TYPE_CHECKING:
    from engines.resource_engine import ResourceEngine, Task

_UNJUDGED = frozenset({"cancelled", "blocked"})  # not the doing of the skill


class Settling:
    """
    Settles runs in one turn.

    Args:
        targets: Says which hosts an entity's skill reaches.

    Attributes:
        retried: Whether a run is under way again that had failed.
    """

    def __init__(
        self,
        manager: EntityManager,
        tasks: ResourceEngine,
        offline: Offline,
        targets: Callable[[Entity], list[Target]],
    ) -> None:
        self._manager = manager
        self._tasks = tasks
        self._offline = offline
        self._targets = targets
        self.retried = False

    def settle(self, entity: Entity) -> bool:
        """Record how the entity's run ended, where it has; whether it is yet to be submitted."""
        run = entity.run
        if run is None:
            return False
        task_id = f"entity:{entity.entity_id}#{run.number}"
        task = self._tasks.recall(task_id)
        if task is None:  # whoever decided it did not live to submit it
            return self._is_to_be_submitted(entity, run)
        if entity.state is EntityState.DEACTIVATED and _goes_on(task):
            self._tasks.cancel(task_id, "its entity was deactivated")
            task = self._tasks.recall(task_id) or task
        if task.state is TaskState.SUCCEEDED:
            self._end(entity, run, task)
        elif task.state is TaskState.CANCELLED:
            self._end(entity, run, task, counted=False)
        elif task.state is TaskState.DEAD:
            self._failed(entity, run, task)
        return False

    def _is_to_be_submitted(self, entity: Entity, run: Run) -> bool:
        if entity.state is EntityState.DEACTIVATED:
            self._manager.end_run(entity.entity_id, run.number, "cancelled", counted=False)
        return entity.state is EntityState.ACTIVE

    def _failed(self, entity: Entity, run: Run, task: Task) -> None:
        if entity.state is EntityState.DEACTIVATED:
            self._end(entity, run, task, counted=False)
        elif run.held:
            if entity.state is EntityState.ACTIVE:
                self._try_again(entity, run, task)
        elif is_of_the_network(task.outcome, _kind(task)) and (targets := self._targets(entity)):
            # Whether it is offline is asked once it is active: only then is anything done about it.
            if entity.state is EntityState.ACTIVE:
                self._judge(entity, run, task, targets)
        else:
            self._end(entity, run, task)

    def _judge(self, entity: Entity, run: Run, task: Task, targets: list[Target]) -> None:
        reached = self._offline.judge(entity.entity_id, targets)
        if reached:
            self._end(entity, run, task)
        elif reached is False:
            hosts = ", ".join(f"{host}:{port}" for host, port in targets)
            why = f"not reached: {hosts} ({_told(task)})"
            self._manager.offline_adapt(entity.entity_id, reason=why)

    def _try_again(self, entity: Entity, run: Run, task: Task) -> None:
        try:
            again = self._tasks.retry(task.task_id)
        except NotFound:  # it failed so long ago that it is forgotten
            again = False
        if again:
            self.retried = True
            self._manager.retry_run(entity.entity_id, run.number)
        else:
            self._end(entity, run, task)

    def _end(self, entity: Entity, run: Run, task: Task, *, counted: bool = True) -> None:
        outcome = task.outcome or "error"
        self._manager.end_run(
            entity.entity_id,
            run.number,
            outcome,
            error=_told(task),
            counted=counted and outcome not in _UNJUDGED,
        )


def _goes_on(task: Task) -> bool:
    return task.state not in FINISHED and not task.cancelling


def _kind(task: Task) -> str:
    return str((task.error or {}).get("type") or "")


def _told(task: Task) -> str:
    """
    What went wrong, by its kind and place.

    Not in the skill's own words, which may say what it was given: the task alone has these.
    """
    return at_place(_kind(task), str((task.error or {}).get("where") or ""))


def at_place(kind: str, place: str) -> str:
    """An error's *kind*, and its *place* where there is one."""
    return (f"{kind} ({place})" if kind and place else kind or place)[:300]
