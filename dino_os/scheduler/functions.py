"""
Running functions that a program gave the scheduler itself: it named them, so they may be imported.

Their workers are processes of their own (`python -m dino_os.scheduler.functions SOCKET PARENT
MODULE:NAME…`), started anew and not forked: a program with threads cannot be forked safely.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.resource_engine import Crew, calling, die_with, serve

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_POLL_S = 0.02


class Functions:
    """
    A duty: runs the tasks that call one of *named*, to which more may be added at any time.

    Args:
        named: Functions as "module:name".
    """

    def __init__(self, workspace: Workspace, named: set[str]) -> None:
        self._resources = workspace.resources
        self._named = named
        self._crew: Crew | None = None
        self._crews: frozenset[str] = frozenset()
        self.watches: Sequence[Path] = (workspace.memory / "engine_state.jsonl",)

    def turn(self) -> float | None:
        """Take in what has ended, hand over what may start."""
        named = frozenset(self._named)
        if named != self._crews and not (self._crew and self._crew.busy):
            self.close()
            self._crew, self._crews = self._hire(named), named
        if self._crew is None:
            return time.time() + _POLL_S if named else None
        self._crew.turn()
        wait = self._crew.wake_at() - time.monotonic()
        return time.time() + (_POLL_S if self._crew.busy else max(wait, _POLL_S))

    def close(self) -> None:
        """End the workers, say what they had, and leave."""
        if self._crew:
            self._crew.close()
            self._crew = None

    def _hire(self, named: frozenset[str]) -> Crew:
        resources = self._resources

        def launch(far: socket.socket) -> int:
            return _launch(far, resources.lock_fd(crew.name), sorted(named))

        crew = Crew(resources, launch, runs=lambda does: does.removeprefix("call:") in named)
        return crew


def _launch(far: socket.socket, lock: int | None, named: Sequence[str]) -> int:
    """Start a worker that finds the modules where this process does."""
    start = [sys.executable, "-m", "dino_os.scheduler.functions"]
    process = subprocess.Popen(
        [*start, str(far.fileno()), str(os.getpid()), *named],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        pass_fds=(far.fileno(),) if lock is None else (far.fileno(), lock),
        start_new_session=True,
    )
    process.returncode = 0  # it is waited for by the crew, and by nobody else
    return process.pid


def _imported(path: str) -> Callable[..., Any]:
    """The function at *path*; one that cannot be found fails when it is called, and says why."""
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
        for step in name.split("."):
            found = getattr(found, step)
    except Exception as error:  # noqa: BLE001  a module may fail in any way
        reason = f"{path}: {type(error).__name__}: {error}"

        def fail(**_: Any) -> None:
            raise ImportError(reason)

        return fail
    return found  # type: ignore[no-any-return]


def main(arguments: Sequence[str]) -> None:
    fd, parent, *named = arguments
    die_with(int(parent))
    with socket.socket(fileno=int(fd)) as sock:
        serve(sock, calling({path: _imported(path) for path in named}))


if __name__ == "__main__":
    main(sys.argv[1:])
