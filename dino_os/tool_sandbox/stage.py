"""
What root does before anything else runs: make the sandbox's file system, become nobody, and start
what comes next.

Started as `python -I -S stage.py DESCRIPTOR COMMAND…`.  The descriptor is the keeper's socket to
the parent, of which this takes one message and hands the rest on.
"""

from __future__ import annotations

import os
import socket
import sys

sys.path.insert(0, os.path.realpath(f"{__file__}/../../.."))

from dino_os.tool_sandbox import wire
from dino_os.tool_sandbox.kernel import mounts, network

TYPE_CHECKING = False
if TYPE_CHECKING:  # it is part of every start
    from typing import Any

_FRAME_LIMIT = 1 << 26


def enter(plan: dict[str, Any]) -> None:
    """
    Leave root's files, network and rights behind.

    Raises:
        OSError: The kernel refused a step.
    """
    if plan["own_network"]:
        network.own_network()
    mounts.make_root(plan["sources"], plan["temporary"], plan["user"])
    mounts.become(plan["user"])


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        came = wire.receive(control, _FRAME_LIMIT)
        if came is None:
            sys.exit(1)
        plan = came[0]["stage"]
        enter(plan)
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  there is no shell
    except (OSError, wire.Malformed, KeyError) as error:
        wire.send(control, {"failed": f"root's own launcher: {type(error).__name__}: {error}"})
        sys.exit(1)


if __name__ == "__main__":
    main()
