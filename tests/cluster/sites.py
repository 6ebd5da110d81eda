"""Nodes whose schedulers a test holds in its hands: each a workspace, all on real servers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dino_os.cluster import Cluster
from dino_os.cluster.leading import LEASE_S
from dino_os.cluster.occurrences import SharedOccurrences
from dino_os.config import Cluster as Settings
from tests.cluster.servers import until
from tests.scheduler.conftest import Clock
from tests.scheduler.desk import Desk

PATIENCE_S = 60.0


class Site:
    """
    A node, its clock, and its scheduler.

    Args:
        folder: Where the nodes' workspaces lie.
        name: The node's.
        options: Of the settings; a lease of its own where `lease_s` says so.
    """

    def __init__(
        self, folder: Path, url: str, name: str, namespace: str, clock: Any = None, **options: Any
    ) -> None:
        self.name, self.clock = name, clock or Clock()
        lease_s = options.pop("lease_s", LEASE_S)
        settings = Settings(url=url, node=name, namespace=namespace, **options)
        home = folder / name
        home.mkdir(exist_ok=True)
        self.cluster = Cluster(settings, str, root=home, identity=lambda: f"id-of-{name}")
        self._gone_s = 0.0
        self.occurrences = SharedOccurrences(
            self.cluster,
            lease_s=lease_s,
            clock=self.clock,
            steady=lambda: time.monotonic() + self._gone_s,
        )
        self.desk = Desk(home, self.clock, occurrences=self.occurrences)

    def at(self, *texts: str) -> None:
        """Take a turn at each of those times."""
        for text in texts:
            self.set(text)
            self.desk.duty.turn()

    def set(self, text: str) -> None:
        """Let time go on to then; the servers, whose time is real, forget no lease meanwhile."""
        before = self.clock.now
        self.clock.set(text)
        gone_s = max(self.clock.now - before, 0.0)
        self._gone_s += gone_s
        self.desk.steady += gone_s

    def turns_until(self, true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, self.desk.states
            self.desk.duty.turn()
            time.sleep(0.02)

    def settle(self) -> None:
        """Take turns until nothing waits for other nodes any more."""
        self.turns_until(lambda: self.desk.duty.turn() and not self.desk.jobs.held)

    def reconnect(self) -> None:
        """Wait until the connection is back."""
        until(lambda: self.cluster.link.connected, "it does not come back")

    @property
    def states(self) -> list[str]:
        """As the desk has it, with the node that had what is elsewhere."""
        nodes = [one["node"] for one in reversed(self.desk.jobs.history("tide"))]
        return [
            f"{state} {node}" if node else state
            for state, node in zip(self.desk.states, nodes, strict=True)
        ]

    def close(self) -> None:
        self.cluster.link.close()
