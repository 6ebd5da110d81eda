"""Which walls this machine has: tried, not guessed from versions."""

from __future__ import annotations

import os
import shutil
import sys

from dino_os.errors import NotConfined
from dino_os.tool_sandbox.kernel import calls, landlock
from dino_os.tool_sandbox.policy import Walls

INSTALL = (
    "install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
)


def walls(*, namespaces: bool = False) -> Walls:
    """
    What can stand here; whether the namespaces really do shows when the first is made.

    Args:
        namespaces: Nothing less will do.

    Raises:
        NotConfined: What is here does not keep unknown code in.
    """
    found = possible()
    if namespaces and not found.bubblewrap:
        raise NotConfined(
            "no namespaces can be made here, and the settings require them", hint=INSTALL
        )
    if not found.enforce:
        raise NotConfined(
            f"no sandbox can be made here: {missing(found)}",
            hint=f"{INSTALL}, or let one skill run without: dino sandbox override SKILL",
        )
    return found


def possible() -> Walls:
    """What there is, enough or not."""
    if not sys.platform.startswith("linux"):
        return Walls(bubblewrap=None, landlock=0, seccomp=False, limits=False)
    root = os.geteuid() == 0
    return Walls(
        bubblewrap=shutil.which("bwrap"),
        landlock=landlock.version(),
        seccomp=calls.MACHINE in calls.SECCOMP and os.path.exists("/proc/sys/kernel/seccomp"),
        own_user=root,
    )


def missing(found: Walls) -> str:
    """Why *found* is not enough, for people."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has none of the walls that Dino knows (Linux has)"
    if not found.seccomp:
        return f"the kernel filters no system calls, or not on {calls.MACHINE}"
    return (
        f"bubblewrap is not installed, and Landlock is of version {found.landlock} "
        f"(alone it is enough from {landlock.SCOPES_SINCE} on, Linux 6.12)"
    )
