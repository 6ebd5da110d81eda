"""
What root does before anything else runs: make the sandbox's file system, become nobody, and start
what comes next.

Started as `python -I -S stage.py DESCRIPTOR COMMAND…`.  The descriptor is the keeper's socket to
the parent, of which this takes one message and hands the rest on.  Every module it imports is a
good part of its time, so that it does without sockets and JSON: its message is the parent's own,
of the same Python, and its only answer is a failure.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOUSE = os.path.realpath(f"{__file__}/../../..")
_LENGTH_BYTES = 4


def read_plan(control: int) -> dict[str, Any]:
    """What `Plan.messages` sent first."""
    size = int.from_bytes(_read(control, _LENGTH_BYTES), "big")
    plan: dict[str, Any] = marshal.loads(_read(control, size))  # noqa: S302  the parent's own
    return plan


def _read(control: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := os.read(control, size - len(data))):
            sys.exit(1)  # the parent is gone
        data += more
    return data


def fail(control: int, error: BaseException) -> None:
    """Tell the parent, in a frame as `wire` reads them."""
    text = f"root's own launcher: {type(error).__name__}: {error}"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
    body = f'{{"failed": "{plain}"}}'.encode()
    os.write(control, len(body).to_bytes(_LENGTH_BYTES, "big") + body)
    sys.exit(1)


def enter(plan: dict[str, Any]) -> None:
    """
    Leave root's files, network and rights behind.

    Raises:
        OSError: The kernel refused a step.
    """
    from dino_os.tool_sandbox.kernel import mounts  # noqa: PLC0415

    if plan["own_network"]:
        from dino_os.tool_sandbox.kernel import network  # noqa: PLC0415  few need it

        network.own_network()
    mounts.make_root(plan["sources"], plan["temporary"], plan["user"])
    mounts.become(plan["user"])


def main() -> None:
    # Dino's own package says what skills import; none of that is needed here.
    package = type(sys)("dino_os")
    package.__path__ = [f"{HOUSE}/dino_os"]
    sys.modules["dino_os"] = package
    control = int(sys.argv[1])
    try:
        enter(read_plan(control))
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  there is no shell
    except (OSError, ValueError, KeyError) as error:
        fail(control, error)


if __name__ == "__main__":
    main()
