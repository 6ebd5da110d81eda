"""Which process serves the scheduler here, and telling it to end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from dino_os.errors import SchedulerError
from dino_os.process_lock import Busy, ProcessLock

_POLL_S = 0.05


class Serving:
    """The lock of the service that works in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._lock = ProcessLock(
            folder / "scheduler.lock", by="dino scheduler", what="serving the scheduler"
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """
        Be the one service here.

        Raises:
            SchedulerError: There is one already.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._lock.held())
            except Busy as busy:
                raise SchedulerError(
                    f"the scheduler is running here already, as process {busy.holder.pid or '?'}",
                    hint="`dino scheduler stop` ends it",
                ) from None
            yield

    def pid(self) -> int | None:
        """The process that holds it; None where there is none, 0 where it is out of our sight."""
        holder = self._lock.holder()
        return None if holder is None else holder.pid

    def stop(self, timeout_s: float) -> int | None:
        """
        Tell the service to end, and wait until it has; its process, or None where none ran.

        Raises:
            SchedulerError: It cannot be told, or has not ended by then.
        """
        pid = self.pid()
        if pid is None:
            return None
        if pid <= 0:
            raise SchedulerError(
                "the scheduler runs in another container or on another machine",
                hint="stop it there",
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + timeout_s
        while self.pid() == pid:
            if time.monotonic() > until:
                raise SchedulerError(
                    f"process {pid} was told to stop and has not within {timeout_s:g} s",
                    hint="it waits for what it runs; give it longer with --timeout",
                )
            time.sleep(_POLL_S)
        return pid
