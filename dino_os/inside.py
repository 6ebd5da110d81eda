"""
Whether this process is a sandboxed skill's, and its one way out: calls to the broker.

`MemoryLayer()`, `MessageBus()` and the other faces ask here.  Outside a sandbox nobody answers, and
they work on the workspace's own stores; inside, every method is a call to the parent, which checks
it, so that a skill's code is the same in both.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # each module that a sandbox starts with is a part of a millisecond
    from typing import Any, Protocol
else:
    Protocol = object


class Connection(Protocol):
    """The inherited socket to the broker."""

    def call(self, part: str, method: str, /, **arguments: Any) -> Any:
        """
        What *method* of *part* ("memory", "bus", "security", "scheduler", "tools") answers.

        Arguments and answers are JSON values.

        Raises:
            DinoError: As the part raised it, or `Denied` where the skill may not.
        """


_connection: Connection | None = None


def connection() -> Connection | None:
    """The broker's connection where this process runs inside the sandbox, else None."""
    return _connection


def connect(connection: Connection | None) -> None:
    """Make every face of this process a client of *connection*; the worker does it once."""
    global _connection  # noqa: PLW0603  a process is inside or it is not
    _connection = connection
