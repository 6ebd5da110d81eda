"""A workspace whose entities are looked after, and whose tasks end as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dino_os.entities import EntityDuty
from dino_os.entities.operating import awaken, spawn
from dino_os.workspace import Workspace
from engines.entity_manager import Entity, EntityManager
from engines.resource_engine import Ended, ResourceEngine, Task
from tests.entity_manager.things import Clock

SKILLS = '''\
from dino_os import skill

@skill
def count(step: int = 1) -> int:
    """Count."""

@skill
def read(message: object, unit: str = "m") -> str:
    """Take a message whole."""

@skill
def file(name: str, size: int = 0) -> str:
    """Take a message apart."""

@skill(reaches=["127.0.0.1:7", "127.0.0.1:9"])
def fetch(message: object = None) -> str:
    """Talk to somebody."""

@skill(needs={"compute": 10_000})
def greedy() -> None:
    """Want more than there ever is."""
'''
REFUSED = {"type": "ConnectionRefusedError", "message": "[Errno 111] Connection refused"}
End = Callable[[Task], Mapping[str, Any]]


def well(task: Task) -> Mapping[str, Any]:
    return {"outcome": "ok", "result": task.task_id}


def badly(_: Task) -> Mapping[str, Any]:
    return {"outcome": "error", "error": {"type": "ValueError", "message": "no"}, "final": True}


def refused(_: Task) -> Mapping[str, Any]:
    return {"outcome": "error", "error": REFUSED, "final": True}


class Office:
    """One life of a service; `after_crash` is the next one."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root, self.clock = root, clock
        self.up: set[int] = set()  # ports on which somebody answers
        self.dialled: list[int] = []
        self.hold = threading.Event()  # while it is not set, nobody answers
        self.hold.set()
        self._open()

    def _open(self) -> None:
        self.workspace = Workspace(self.root)
        resources = ResourceEngine(
            journal=self.workspace.own_journal("engine_state"), clock=self.clock
        )
        manager = EntityManager(
            journal=self.workspace.own_journal("entities"),
            resource_engine=resources,
            clock=self.clock,
        )
        vars(self.workspace).update(resources=resources, entities=manager)
        self.resources, self.manager = resources, manager
        self.duty = EntityDuty(self.workspace, dial=self._dial)
        self._session: str | None = None

    def after_crash(self) -> None:
        """All that was only in memory is gone."""
        self._open()

    def close(self) -> None:
        if self._session:
            self.resources.leave(self._session)

    def entity(self, entity_id: str = "e", **given: Any) -> Entity:
        """One that is awake."""
        spawn(self.workspace, entity_id, "worker", given.pop("needs", {}), **given)
        return awaken(self.workspace, entity_id)

    def publish(self, *messages: Any, channel: str = "c") -> None:
        for message in messages:
            self.workspace.bus.publish(channel, message)

    def turn(self) -> float | None:
        """A turn, and where a probe is under way another one once it has its answer."""
        when = self.duty.turn()
        if self.duty._offline.prober._probes:
            self.duty._offline.prober.wait()
            when = self.duty.turn()
        return when

    def work(self, end: End = well) -> list[Task]:
        """Run what is in the queue; the tasks that were run, as they were when they began."""
        self._session = self._session or self.resources.join(slots=8)
        done = []
        while leases := self.resources.exchange(self._session, room=8).leases:
            tasks = [(lease.number, task) for lease in leases for task in lease.tasks]
            ended = [Ended(task.task_id, number, **end(task)) for number, task in tasks]
            self.resources.exchange(self._session, ended=ended)
            done += [task for _, task in tasks]
        return done

    def days_work(self, end: End = well, turns: int = 30) -> list[Task]:
        """Turns and tasks one after the other, until nothing is left to do now."""
        done: list[Task] = []
        for _ in range(turns):
            when = self.turn()
            ran = self.work(end)
            done += ran
            if not ran and (when is None or when > self.clock()):
                return done
        raise AssertionError(f"there is no end to it: {done[-3:]}")

    def _dial(self, target: tuple[str, int], timeout_s: float) -> None:
        self.hold.wait()
        self.dialled.append(target[1])
        if target[1] not in self.up:
            raise ConnectionRefusedError


def ids(tasks: list[Task]) -> list[str]:
    return [task.task_id for task in tasks]


def said(tasks: list[Task], name: str = "message") -> list[Any]:
    return [task.payload["params"][name] for task in tasks]


def offices(root: Path, clock: Clock) -> Iterator[Office]:
    (root / "config.yaml").write_text("system:\n  name: test\n")
    (root / "skills").mkdir()
    (root / "skills" / "office.py").write_text(SKILLS)
    office = Office(root, clock)
    yield office
    office.close()
