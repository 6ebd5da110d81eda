"""An outbox whose time is ours, and the senders of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from dino_os.errors import NotFound
from dino_os.outbox import Address, Draft, Limits, Outbox, Sender
from dino_os.workspace import Workspace
from tests.cycles.duty import events


class Longest(Random):
    """Draws the longest pause each time."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """An outbox whose time is ours; each `send` is a new process's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = Clock()
        self.secrets: dict[str, str] = {}
        self.limits = Limits(attempts=3, keep_s=1000)

    @property
    def workspace(self) -> Workspace:
        workspace = Workspace(self.root)
        vars(workspace)["outbox"] = Outbox(
            workspace.journal("outbox"), limits=self.limits, clock=self.clock, rng=Longest()
        )
        return workspace

    @property
    def outbox(self) -> Outbox:
        return self.workspace.outbox

    def queue(
        self, *ids: str, to: str = "file:out.jsonl", key: str | None = None, **more: Any
    ) -> None:
        address = Address.parse(to, key)
        drafts = [Draft(id_, f"key-{id_}", address, {"task": id_, **more}) for id_ in ids]
        self.outbox.queue(drafts, batch=f"batch {ids}")

    def send(self, timeout_s: float = 10.0) -> dict[str, int]:
        sender = Sender.of(self.workspace)
        sender._timeout_s = timeout_s
        sender._secret = self._secret
        return sender.send().as_dict()

    def _secret(self, name: str) -> str:
        if name not in self.secrets:
            raise NotFound(f"no key {name!r} in the vault")
        return self.secrets[name]

    def records(self) -> Counter[str]:
        return Counter(event["event_type"] for event in events(self.root, "outbox"))
