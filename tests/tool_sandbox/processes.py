"""Processes, found and signalled from outside."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def family(process: int) -> Iterator[int]:
    """*process* and its descendants, the oldest first."""
    waiting = [process]
    while waiting:
        found = waiting.pop(0)
        yield found
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{found}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())


def keeper_of(process: int) -> int:
    """The keeper among *process* and its descendants: the first that runs it."""
    return next(found for found in family(process) if _runs_keeper(found))


def _runs_keeper(process: int) -> bool:
    arguments = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return b"bwrap" not in arguments[0] and any(a.endswith(b"keeper.py") for a in arguments)


def stop(process: int) -> None:
    """Stop the keeper that *process* is or has started."""
    os.kill(keeper_of(process), signal.SIGSTOP)


def kill(process: int) -> None:
    """Kill the keeper that *process* is or has started, and nothing else."""
    os.kill(keeper_of(process), signal.SIGKILL)
