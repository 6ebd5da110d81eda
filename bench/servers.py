"""Servers of the peers, started on this machine and ended with what needs them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_TRIES, _PAUSE_S = 500, 0.02


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """The server of *command*, from when it takes connections at *port*."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(_TRIES):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(_PAUSE_S)
        yield
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    """A NATS server with file storage in *folder*; its address."""
    port = free_port()
    store = ["-js", "-sd", str(folder / "js")]
    with running(["nats-server", "-a", "127.0.0.1", "-p", str(port), *store], port):
        yield f"nats://127.0.0.1:{port}"
