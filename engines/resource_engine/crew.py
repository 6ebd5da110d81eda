"""
A session at work: it claims, hands over to worker processes, and says how it ended.

One thread and no waiting of its own: whoever turns it waits for `sockets`, for changes of the
journal and for `wake_at`.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engines.errors import NotFound
from engines.resource_engine.model import Ended, Lease, ResourceType, Task
from engines.resource_engine.sessions import BEAT_S
from engines.resource_engine.workers import Launch, Workers

if TYPE_CHECKING:
    from engines.resource_engine.engine import ResourceEngine

_HANDFUL_S = 0.05  # tasks are handed over together that take no longer than this
_LARGEST_HANDFUL = 256
_NEWEST = 0.2  # weight of the last duration
_LOOK_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Crew:
    """
    The session of *engine* in this process.

    Args:
        launch: Starts a worker process.
        runs: Whether it can run what `Task.does` names.
        slots: How many workers, whatever size the compute pool is.
        timeout_s: For tasks without a limit of their own.
    """

    def __init__(
        self,
        engine: ResourceEngine,
        launch: Launch,
        *,
        runs: Callable[[str], bool],
        slots: int | None = None,
        timeout_s: float = 3600.0,
    ) -> None:
        self.engine = engine
        self._runs = runs
        self._slots = slots
        self._workers = Workers(launch, timeout_s=timeout_s)
        self._took: dict[str, float] = {}
        self._owed: list[Ended] = []
        self._returned: dict[int, list[str]] = {}
        self._next_look = 0.0
        self._claims_from = 0.0
        self._next_upkeep = 0.0
        self.name = self._join()
        self._seen = engine.journal.end  # behind the last exchange
        self.leaving = False
        self._claimed = False  # whether the last exchange asked for all that there was room for
        self.ended = 0

    # --- what is waited for ------------------------------------------------------------------

    @property
    def busy(self) -> int:
        """How many workers run something."""
        return self._workers.busy

    def sockets(self) -> Iterator[socket.socket]:
        return self._workers.sockets()

    def wake_at(self) -> float:
        """When there is something to do even if nothing happens until then; monotonic."""
        deadline = self._workers.next_deadline()
        return min(self._next_look, self._next_upkeep, deadline or math.inf)

    # --- a turn ------------------------------------------------------------------------------

    def turn(self, *, claim: bool = True) -> int:
        """
        Take in what ended, claim what may start if *claim*, hand it over.

        Returns:
            How many attempts ended or began.

        Raises:
            DinoError: The journal does not take it; what ended is told again on the next turn.
        """
        self._collect()
        now = time.monotonic()
        claim = claim and not self.leaving and now >= self._claims_from
        changed = bool(self._owed or self._returned) or self._was_written()
        changed = changed or (claim and not self._claimed)
        if now >= self._next_upkeep:
            self.engine.upkeep(self.name)
            self._next_upkeep = now + BEAT_S
        elif not changed and now < self._next_look:
            return 0
        return self._exchange(claim=claim)

    def close(self) -> None:
        """Take in what ended, end the workers, give back what they had, and leave."""
        self._collect()
        if self._owed:
            self._exchange(claim=False)
        self._workers.close()
        self.engine.leave(self.name)

    # --- below the face ----------------------------------------------------------------------

    def _join(self) -> str:
        return self.engine.join(slots=self._slots, skills=self._runs("skill:"))

    def _collect(self) -> None:
        for ended in self._workers.collect():
            self._owed.append(ended)
            self._learn(ended)
        for lease, tasks in self._workers.take_returned().items():
            self._returned.setdefault(lease, []).extend(tasks)
            self._be_patient()

    def _exchange(self, *, claim: bool) -> int:
        slots = self._slots or self.engine.pools[ResourceType.COMPUTE].capacity
        room = max(slots - self.busy, 0) if claim else 0
        try:
            found = self.engine.exchange(
                self.name,
                ended=self._owed,
                returned=self._returned,
                room=room,
                size=self._size,
                runs=self._runs,
            )
        except NotFound:
            self._begin_again()
            return 0
        self._claimed = claim
        self._seen = self.engine.journal.end
        count = len(self._owed) + len(found.leases)
        self.ended += len(self._owed) - found.void
        self._owed, self._returned = [], {}
        self._next_look = self._look_again()
        self.leaving = self.leaving or found.leave
        for lease in found.leases:
            self._start(lease)
        for task_id in found.stop:
            self._workers.stop(task_id)
        return count

    def _be_patient(self) -> None:
        """Where no worker comes so far as to begin, ask for work less and less often."""
        if failed := self._workers.failed_starts:
            self._claims_from = time.monotonic() + min(2.0**failed, _LONGEST_PAUSE_S)
            self._next_look = max(self._next_look, self._claims_from)

    def _start(self, lease: Lease) -> None:
        try:
            if unfit := self._workers.start(lease):
                self._owed += unfit
                self._next_look = time.monotonic()
        except OSError:  # no process can be started now: others may
            self._returned[lease.number] = [task.task_id for task in lease.tasks]
            self._claims_from = self._next_look = time.monotonic() + _LOOK_S

    def _begin_again(self) -> None:
        """It was given up as lost: what it runs is void, and it joins anew."""
        self._workers.close()
        self._owed, self._returned = [], {}
        self.engine.leave(self.name)
        self.name = self._join()

    def _look_again(self) -> float:
        """Others may be lost at any time, and a task's time may come."""
        now = time.monotonic()
        delayed = self.engine.ready.next_delayed()
        wait = math.inf if delayed is None else max(delayed - self.engine.clock(), 0.0)
        others = len(self.engine.sessions_known) > 1
        # A clock that is set must not make a delayed task wait for long.
        return now + min(wait, _LOOK_S if others else BEAT_S)

    def _was_written(self) -> bool:
        """Whether there is more than at the last exchange: by others, or by this process."""
        journal = self.engine.journal
        return self._seen != journal.end or journal.moved_on()

    def _learn(self, ended: Ended) -> None:
        task = self.engine.known(ended.task_id)
        if task is not None and ended.duration_s:
            last = self._took.get(task.does, ended.duration_s)
            self._took[task.does] = last + _NEWEST * (ended.duration_s - last)

    def _size(self, task: Task, count: int) -> int:
        """So many that they take a hundredth of a second, and every worker gets its share."""
        took = self._took.get(task.does)
        if took is None or task.at_most_once or task.timeout_s is not None:
            return 1
        share = math.ceil(count / max(self._slots or self.busy, 1))
        return max(min(int(_HANDFUL_S / max(took, 1e-6)), _LARGEST_HANDFUL, share), 1)
