"""
Whether a process that said "I am at it" still lives.

On one machine the kernel says so: each holds a lock on a file of its own, which it shares with its
worker processes and which is free when the last of them has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
from pathlib import Path
from typing import NamedTuple

from engines.durable import make_folder
from engines.journal import boot_id

_ABANDONED_S = 7 * 86_400.0  # long after whatever it stood for has been given up


this_boot = functools.cache(boot_id)


class Now(NamedTuple):
    """The clocks, read at once."""

    clock: float
    mono: float
    boot: str


class LockFiles:
    """The lock files in *folder*, one for each name; None where there is no folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def __del__(self) -> None:
        """Whoever drops the engine works no more."""
        self.let_go()

    def let_go(self) -> None:
        """Hold nothing any more: in a fork, whose parent goes on to."""
        while self._held:
            with contextlib.suppress(OSError):
                os.close(self._held.popitem()[1])

    def hold(self, name: str) -> None:
        """Show that *name* lives, until this process and its children end."""
        if self._folder is None:
            return
        make_folder(self._folder)
        fd = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._held[name] = fd

    def sweep(self) -> None:
        """Remove what those left behind who ended before anybody knew them."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            for file in [*self._folder.iterdir()]:
                if time.time() - file.stat().st_mtime > _ABANDONED_S and self.is_free(file.name):
                    file.unlink()

    def fd(self, name: str) -> int | None:
        """What a worker process is to inherit."""
        return self._held.get(name)

    def drop(self, name: str) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()
        with contextlib.suppress(KeyError, OSError):
            os.close(self._held.pop(name))

    def is_gone(self, name: str, pid: int) -> bool:
        """Whether neither its file is there any more nor its process."""
        if self._folder is None or (self._folder / name).exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # another's, but it lives
            return False
        return False

    def is_free(self, name: str) -> bool:
        """Whether nobody holds it any more; False where that cannot be told."""
        if self._folder is None or name in self._held:
            return False
        try:
            fd = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True
