"""What this machine has; where it lacks what an attack goes through, the attack says so."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def yama() -> str | None:
    """Above 1 nobody but root traces another process."""
    scope = int(_YAMA.read_text()) if _YAMA.exists() else 0
    return "Yama lets nobody trace another" if scope > 1 and os.geteuid() else None


def no_ipv6() -> str | None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return "this machine has no IPv6"
    return None


def no_sockets(family: int, kind: int) -> Callable[[], str | None]:
    """Whether a kind of socket is missing."""

    def missing() -> str | None:
        try:
            socket.socket(family, kind).close()
        except OSError as error:
            return f"no sockets of family {family} here: {error.strerror}"
        return None

    return missing


def kernel_has(what: str, path: str) -> Callable[[], str | None]:
    return lambda: None if Path(path).exists() else f"this kernel has no {what}"


def only_x86_64() -> str | None:
    return None if os.uname().machine == "x86_64" else "on x86-64 alone"


def no_typing() -> str | None:
    """Newer kernels leave it out."""
    switch = Path("/proc/sys/dev/tty/legacy_tiocsti")
    typing = not switch.exists() or switch.read_text().strip() == "1"
    return None if typing else "this kernel lets nobody type into a terminal"
