"""What this workspace is in its cluster: its name there, and its connection."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.cluster.link import Link
from dino_os.cluster.wire import Carried
from dino_os.message_bus.subject import matches

if TYPE_CHECKING:
    from dino_os.config import Cluster as Settings
    from engines.journal import Event


class Cluster:
    """
    A workspace's place in the cluster of *settings*.

    Args:
        secret: The value of a key in the vault.
        root: The workspace's folder.
        identity: What tells this workspace from every other; asked when it is needed.

    Attributes:
        node: What this node is called.
        link: Its connection; shared by all that is of the cluster in this process.
    """

    def __init__(
        self,
        settings: Settings,
        secret: Callable[[str], str],
        *,
        root: Path,
        identity: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.root = root
        self.node = settings.node or _host()
        self._identity = identity
        self.link = Link(settings, secret, root=root, name=f"dino {self.node}")

    @cached_property
    def workspace(self) -> str:
        """What tells this node from every other, also from one that had its name before."""
        return self._identity()

    @property
    def folder(self) -> Path:
        """Where what can be found again is kept: notes of how far this node is."""
        return self.root / "memory" / "cluster"

    @property
    def place(self) -> str:
        """What tells this workspace from a copy of it on another machine, or in another folder."""
        return sha256(f"{socket.gethostname()}:{self.root}".encode()).hexdigest()[:16]

    @property
    def draining(self) -> bool:
        """Whether this node takes no more of the cluster's work."""
        return (self.folder / "draining").exists()

    def shares(self, event: Event) -> bool:
        """Whether that message of the own journal goes to other nodes."""
        return self.shares_channel(event["channel"])

    def shares_channel(self, channel: str) -> bool:
        return any(matches(subject, channel) for subject in self.settings.share)

    @property
    def shares_all(self) -> bool:
        return ">" in self.settings.share

    def carried(self, event: Event, prev: int | None) -> Carried:
        """That message of the own journal as others get it; see `Carried`."""
        return Carried.of(event, node=self.node, workspace=self.workspace, prev=prev)


def _host() -> str:
    """The host's name, as far as it can be a token of a subject."""
    name = socket.gethostname().partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:63] or "node"
