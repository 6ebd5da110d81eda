"""What this workspace is in its cluster: its name there, and its connection."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.cluster.link import Link

if TYPE_CHECKING:
    from dino_os.config import Cluster as Settings


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
        draining: Whether this node takes no more tasks of others.
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
        self.identity = identity
        self.draining = False
        self.link = Link(settings, secret, root=root, name=f"dino {self.node}")


def _host() -> str:
    """The host's name, as far as it can be a token of a subject."""
    name = socket.gethostname().partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:63] or "node"
