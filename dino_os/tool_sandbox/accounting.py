"""What the kernel accounts to processes: memory of a family of them, how many a user has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_PROCESSES = Path("/proc")
_COUNTED = (b"RssAnon:", b"RssShmem:", b"VmSwap:")


def resident_bytes(process: int) -> int:
    """
    Memory of *process* and its descendants that no file stands behind.

    Pages that two of them share count twice.
    """
    return sum(_own(found) for found in _family(process))


def user_processes() -> int:
    """How many processes this user has: what its limit on them counts."""
    own, count = os.geteuid(), 0
    with os.scandir(_PROCESSES) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                count += entry.name.isdigit() and entry.stat().st_uid == own
    return count


def _family(process: int) -> Iterator[int]:
    waiting = [process]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += children(found)


def children(process: int) -> list[int]:
    """Whom *process* started and has not waited for yet."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in (_PROCESSES / str(process) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _own(process: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        lines = (_PROCESSES / str(process) / "status").read_bytes().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))
    return 0
