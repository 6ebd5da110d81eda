"""
Being woken by a change of files, where the system can (inotify, Linux); looking now and then
where it cannot.
"""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from pathlib import Path

_MODIFIED, _MOVED_TO, _CREATED = 0x2, 0x80, 0x100
_HEADER = struct.Struct("iIII")
_READ = 1 << 16

LOOK_EVERY_S = 0.05  # where nothing wakes


class Wake:
    """
    Watches the files of a folder, or one file.

    Attributes:
        fd: Can be read once something changed; None where nothing tells.
    """

    def __init__(self, path: Path) -> None:
        self.fd = _watch(path)

    def changed(self) -> set[str]:
        """Names of the files that changed since; that of the one file is empty."""
        names: set[str] = set()
        if self.fd is None:
            return names
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return names
        while data:
            *_, length = _HEADER.unpack_from(data)
            end = _HEADER.size + length
            names.add(data[_HEADER.size : end].rstrip(b"\0").decode(errors="replace"))
            data = data[end:]
        return names

    def wait(self, otherwise_s: float) -> None:
        """Until something changed; where nothing tells, for that long."""
        if self.fd is None:
            time.sleep(otherwise_s)
            return
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        poll.poll(1000)
        self.changed()

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _watch(path: Path) -> int | None:
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415  whoever waits has the time

    library = ctypes.CDLL(None, use_errno=True)
    fd = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        return None
    mask = ctypes.c_uint32(_MODIFIED | _MOVED_TO | _CREATED)
    if library.inotify_add_watch(fd, os.fsencode(path), mask) < 0:
        os.close(fd)
        return None
    return int(fd)
