"""Workspaces that are nodes of one cluster, each with what carries its messages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dino_os.cluster import carrying
from dino_os.cluster.carrying import Carrying
from dino_os.workspace import Workspace
from tests.cluster.servers import settings_for, until

_count = itertools.count()


class Node:
    """A workspace, seen as tests see it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.workspace = Workspace(home)
        self.name = self.workspace.config.settings.cluster.node
        self.carrying: Carrying | None = None

    def up(self) -> Node:
        """Carry, from here on."""
        if self.carrying is None:
            self.carrying = Workspace(self.home).carrying
            assert self.carrying
            self.carrying.start()
        return self

    def down(self) -> Node:
        """Carry no more; messages are said and kept as ever."""
        if self.carrying:
            self.carrying.stop()
            self.carrying._cluster.link.close()
            self.carrying = None
        return self

    def say(self, channel: str, *messages: Any) -> None:
        for message in messages:
            self.workspace.bus.publish(channel, message)

    def lines(self, kind: str) -> list[dict[str, Any]]:
        path = self.home / "memory" / "bus.jsonl"
        if not path.exists():
            return []
        events = [
            json.loads(line)
            for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
        return [event for event in events if event["event_type"] == kind]

    def heard(self, node: Node | str | None = None) -> list[Any]:
        """What came from others, or from one of them, in this journal's order."""
        name = node.name if isinstance(node, Node) else node
        return [e["message"] for e in self.lines("message_received") if name in (None, e["node"])]

    @property
    def error(self) -> str:
        return str(self.carrying.error) if self.carrying and self.carrying.error else ""

    def has_joined(self) -> bool:
        """Whether it hears the others from now on, or cannot."""
        return bool(self.error or self.lines("stream_began"))

    def await_heard(self, expected: list[Any], node: Node | str | None = None) -> None:
        until(
            lambda: len(self.heard(node)) >= len(expected),
            f"{self.name} has not heard all: {self.error}",
        )
        assert self.heard(node) == expected


MakeNodes = Callable[..., list[Node]]


@pytest.fixture
def make_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeNodes]:
    """Nodes of those names in a namespace of their own, which look at each other more often."""
    monkeypatch.setattr(carrying, "BEAT_S", 0.3)
    made: list[Node] = []

    def make(url: str, *names: str, carry: bool = True, **more: Any) -> list[Node]:
        namespace = f"n{next(_count)}"
        found = []
        for name in names:
            home = tmp_path / name
            (home / "skills").mkdir(parents=True)
            settings_for(home, url, name, namespace, **more)
            found.append(Node(home))
        made.extend(found)
        if carry:
            for node in found:
                node.up()
            for node in found:  # who joins hears what is said from then on
                until(node.has_joined, f"{node.name} does not join")
        return found

    yield make
    with ThreadPoolExecutor(len(made) or 1) as pool:
        for ended in [pool.submit(node.down) for node in made]:
            ended.result()
