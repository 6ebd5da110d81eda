"""`dino offline serve`: the protocol server in the foreground, over a workspace's documents."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from dino_os.offline.guard import LOOPBACK
from dino_os.offline.server import Options, ProtocolServer

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


def serve(
    workspace: Workspace, options: Options, on_start: Callable[[str, str | None], None]
) -> None:
    """
    Serve until interrupted.

    Args:
        on_start: Told the address, and the password where it was drawn.

    Raises:
        NotListening: The address cannot be listened on.
        KeyboardInterrupt: At the end, when all is closed.
    """
    # What comes in here is recorded as a peer's.
    os.environ.setdefault("DINO_DOOR", "peer")
    server = ProtocolServer(workspace.documents, options, complain=_say)
    if options.host not in {host.strip("[]") for host in LOOPBACK}:
        _say(f"{options.host} is more than this machine, and there is no TLS here")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    on_start(server.url, None if options.password else server.password)
    server.run()


def _say(text: str) -> None:
    print(f"dino: {text}", file=sys.stderr)  # noqa: T201  diagnostics of what runs in the foreground
