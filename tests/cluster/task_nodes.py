"""Nodes in this process, turned by hand: an owner, workers, and a real server between them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from dino_os.cluster.traffic import Traffic
from dino_os.workspace import Workspace
from engines.again import Fatal, RetryLater
from engines.journal import Journal
from engines.resource_engine import Crew, ResourceEngine, Task, calling, forking, wait_readable
from tests.cluster.servers import PATIENCE_S, Server, Three, node_folders
from tests.resource_engine.functions import bad, nested


def square(n: int) -> int:
    return n * n


def slowly(n: int, s: float = 0.5) -> int:
    time.sleep(s)
    return n * n


def fail(final: bool = False) -> None:
    if final:
        raise Fatal("never")
    raise ValueError("not now")


def long_text(length: int) -> str:
    return "x" * length


def later(s: float) -> None:
    raise RetryLater(s, "not now")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    f"here:{function.__name__}": function
    for function in (square, slowly, fail, later, long_text, nested, bad)
}
_CONFIG = f"resources:\n  functions: {[*FUNCTIONS]}\n"


@dataclass
class Node:
    """A workspace, what it trades in, and its workers, if it has any."""

    home: Path
    places: int = 1
    workspace: Workspace = field(init=False)
    traffic: Traffic = field(init=False)
    crew: Crew | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.home)
        cluster = self.workspace.cluster
        assert cluster
        self.traffic = Traffic(self.workspace, cluster, lambda: self.places)
        if self.places:
            self.crew = Crew(
                self.resources,
                forking(calling(FUNCTIONS)),
                runs=lambda does: does.removeprefix("call:") in FUNCTIONS,
                slots=self.places,
            )

    @property
    def name(self) -> str:
        return self.home.name

    @property
    def resources(self) -> ResourceEngine:
        return self.workspace.resources

    def turn(self) -> None:
        if self.crew:
            self.crew.turn()
        self.traffic.turn(claim=True)

    def state(self, task_id: str) -> str:
        found = self.resources.task(task_id)
        assert found
        return found.state.value

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        journal = self.resources.journal
        assert isinstance(journal, Journal)
        return [
            event for events, _ in journal.read() for event in events if event["event_type"] == kind
        ]

    def close(self) -> None:
        if self.crew:
            self.crew.close()
        self.traffic.close()
        if self.workspace.cluster:
            self.workspace.cluster.link.close()

    def drop(self) -> None:
        """As if it had been killed: it says nothing to anybody, and its locks are free."""
        if self.crew:
            self.crew._workers.close()
        self.traffic._closing.close()
        self.traffic._desk = None
        if self.workspace.cluster:
            self.workspace.cluster.link.close()
        held = self.resources._files._held
        while held:  # forks of this process have them too
            _, fd = held.popitem()
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)


@dataclass
class Nodes:
    """Those of one cluster; the first owns the tasks."""

    all: list[Node]

    @property
    def owner(self) -> Node:
        return self.all[0]

    @property
    def worker(self) -> Node:
        return self.all[1]

    def until(self, true: Callable[[], Any], *, but: Sequence[Node] = ()) -> None:
        """Turn them, except those of *but*, until *true()* is."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, "in vain"
            for node in self.all:
                if node not in but:
                    node.turn()
            bells = [bell for node in self.all for bell in node.traffic.sockets()]
            wait_readable(bells, 0.02)

    def ended(self, count: int) -> Callable[[], bool]:
        def have() -> bool:
            totals = self.owner.resources.totals()
            return totals["succeeded"] + totals["dead"] + totals["cancelled"] >= count

        return have

    def again(self, node: Node) -> Node:
        """Another process in the place of *node*, which was killed."""
        node.drop()
        new = Node(node.home, node.places)
        self.all[self.all.index(node)] = new
        return new


@contextlib.contextmanager
def nodes(
    folder: Path, server: Server | Three, places: Sequence[int] = (0, 1), **more: Any
) -> Iterator[Nodes]:
    """An owner and workers with so many places each; 0: it has no workers."""
    names = ["owner", *(f"worker-{n}" for n in range(1, len(places)))]
    url = more.pop("url", server.url)
    homes = node_folders(folder, url, names, f"t{uuid4().hex[:12]}", **more)
    for home in homes:
        with (home / "config.yaml").open("a") as config:
            config.write(_CONFIG)
    found = Nodes([Node(home, count) for home, count in zip(homes, places, strict=True)])
    try:
        yield found
    finally:
        for node in found.all:
            node.close()


def call(name: str, function: str = "square", /, *, options: Any = None, **params: Any) -> Task:
    """A task that calls one of FUNCTIONS."""
    payload = {"call": f"here:{function}", "params": params}
    return Task(name, payload=payload, **(options or {}))
