"""The thread in which subscribers hear what other processes publish."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dino_os.wake import LOOK_EVERY_S, Wake

_LONGEST_S = 1.0  # where nothing tells of changes, or what tells is lost
# Behind something that this process wrote itself: what it writes next comes without being woken.
_PAUSE_S = 0.002
_PATIENCE_S = 2.0


class Listener:
    """
    Looks whenever the file *path* changes.

    Attributes:
        woken: How often the thread has gone on, for whatever reason.

    Args:
        path: A file that is written again behind whatever is there to be seen; need not exist.
        look: Says whether others wrote; None ends the thread, until it is started again.
    """

    def __init__(self, path: Path, look: Callable[[], bool | None]) -> None:
        self.woken = 0
        self._path = path
        self._look = look
        self._lock = threading.Lock()
        self._bell: int | None = None  # of the thread that runs
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have it run, and look now."""
        with self._lock:
            if self._bell is None:
                heard, self._bell = os.pipe()
                os.set_blocking(heard, False)
                os.set_blocking(self._bell, False)
                self._thread = threading.Thread(
                    target=self._run, args=(heard, self._bell), name="dino-bus", daemon=True
                )
                self._thread.start()
            else:
                self._ring()

    def close(self) -> None:
        """Have it end; it has, unless a callback that runs in it takes long."""
        with self._lock:
            self._ring()
            self._bell, thread = None, self._thread  # its own end of the pipe the thread closes
        if thread and thread is not threading.current_thread():
            thread.join(_PATIENCE_S)

    def _ring(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._bell, b"!")

    def _run(self, heard: int, bell: int) -> None:
        watch = _Watch(self._path, heard)
        try:
            while self._bell == bell:
                others = self._look()
                if others is None and self._stops(bell):
                    return
                if others is False:
                    time.sleep(_PAUSE_S)
                watch.wait()
                self.woken += 1
        finally:
            watch.close()
            with self._lock:
                if self._bell == bell:
                    self._bell = None
            os.close(heard)
            os.close(bell)

    def _stops(self, bell: int) -> bool:
        """Whether nobody started it again meanwhile; then it is none any more."""
        with self._lock:
            if self._look() is None and self._bell == bell:
                self._bell = None
            return self._bell != bell


class _Watch:
    """Tells when the file at *path* was written, or something was written to the pipe *bell*."""

    def __init__(self, path: Path, bell: int) -> None:
        self._path = path
        self._bell = bell
        self._watched: tuple[Path, int] | None = None
        self._wake: Wake | None = None

    def wait(self) -> None:
        if self._moves():
            return  # it may have been written before it was watched
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        fd = self._wake.fd if self._wake else None
        if fd is not None:
            poll.register(fd, select.POLLIN)
        poll.poll((LOOK_EVERY_S if fd is None else _LONGEST_S) * 1000)
        if self._wake:
            self._wake.changed()
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 64)

    def close(self) -> None:
        if self._wake:
            self._wake.close()
            self._wake = None

    def _moves(self) -> bool:
        """Watch the file, or where it will be made; whether it was another one before."""
        there = self._path
        found = None
        while found is None:
            try:
                found = there, there.stat().st_ino
            except OSError:
                there = there.parent
        if found == self._watched:
            return False
        self.close()
        self._watched = found
        self._wake = Wake(there)
        return True
