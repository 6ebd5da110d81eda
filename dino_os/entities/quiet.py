"""Whether a turn would find everything as the last one left it: asked far more often than not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dino_os.entities.inbox import Inbox
from dino_os.entities.routes import Prober
from engines.entity_manager import EntityManager
from engines.journal import Position
from engines.resource_engine import FINISHED

if TYPE_CHECKING:
    from engines.resource_engine import ResourceEngine


@dataclass(frozen=True, slots=True)
class _Left:
    """
    How a turn left things.

    Attributes:
        until: When it wanted the next one.
        entities: Where their journal ended.
        bus: The bus's last line that it had seen.
        runs: The tasks of runs that were under way.
    """

    since: float
    until: float | None
    entities: Position
    bus: int
    runs: list[str]


class Quiet:
    """
    Spares turns for tasks that are no entity's, which end far more often than those that are.

    Args:
        tasks: Is caught up when it is asked here.
    """

    def __init__(
        self, manager: EntityManager, tasks: ResourceEngine, inbox: Inbox, prober: Prober
    ) -> None:
        self._manager = manager
        self._tasks = tasks
        self._inbox = inbox
        self._prober = prober
        self._left: _Left | None = None

    def begin(self) -> int:
        """Before a turn: it is not quiet until that has ended.  What the bus's last line is."""
        self._left = None
        return self._inbox.last()

    def end(self, bus: int, until: float | None) -> None:
        """Behind a turn that *bus* is of, and that wants the next one at *until*."""
        runs = [(one.entity_id, one.run) for one in self._manager.list_entities() if one.run]
        tasks = [f"entity:{entity_id}#{run.number}" for entity_id, run in runs if run]
        under_way = [task_id for task_id in tasks if self._goes_on(task_id)]
        now = self._manager.clock()
        self._left = _Left(now, until, self._manager.journal.end, bus, under_way)

    def __bool__(self) -> bool:
        left, journal = self._left, self._manager.journal
        return (
            left is not None
            and left.since
            <= self._manager.clock()
            < (math.inf if left.until is None else left.until)
            and not self._prober.asked
            and journal.end == left.entities
            and not journal.moved_on()
            and self._inbox.last() == left.bus
            and all(self._goes_on(task_id) for task_id in left.runs)
        )

    @property
    def until(self) -> float | None:
        """When there will be something to do."""
        return self._left.until if self._left else 0.0

    def _goes_on(self, task_id: str) -> bool:
        task = self._tasks.known(task_id)
        return task is not None and task.state not in FINISHED
