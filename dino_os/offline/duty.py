"""
Continuous synchronisation in a service: as long as the service lives, both sides are kept the same.

It runs beside the turns, in threads of its own, and waits there for changes of either side.  A
turn begins it, sees how it does, and begins it again where it ended; it records only what went
across and when the remote came and went.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.offline.syncing import PULL, PUSH, Syncing
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.replication import Report

_LOOK_S = 5.0
_AT_LAST_S = 30.0


class SyncDuty(Duty):
    """
    Keeps the documents of *workspace* and its remote the same, where `cache.continuous` says so.

    Without settings that ask for it, it has nothing to do.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._syncing = Syncing(workspace)
        self._wanted = workspace.config.settings.cache.continuous and self._syncing.is_configured
        self._running: _Running | None = None
        self.watches: Sequence[Path] = ()

    def turn(self) -> float | None:
        """Begin it, or see how it does."""
        if not self._wanted:
            return None
        if self._running is None:
            self._running = _Running(self._workspace, self._syncing)
        self._running.note()
        if error := self._running.ended_by:
            self._running = None  # and after a pause it begins anew
            raise error
        return time.time() + _LOOK_S

    def finish(self) -> bool:
        """For a service that is about to leave: what there is now goes across, if it can."""
        if self._running is None:
            return False
        running, self._running = self._running, None
        running.stop()
        self._syncing.once()
        return False


class _Running:
    """One run of it, until it is stopped or cannot go on."""

    def __init__(self, workspace: Workspace, syncing: Syncing) -> None:
        from engines.replication import Options, Sync  # noqa: PLC0415  where something is synced

        self._log, self._syncing = workspace.offline_log, syncing
        self._noted: dict[str, Report] = {}
        self.ended_by: Exception | None = None
        here, there = syncing.here(), syncing.there()
        both = syncing.directions
        options = Options(continuous=True)
        self._sync = Sync(here, there, options, push=PUSH in both, pull=PULL in both)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._sync.run()
        except Exception as error:  # noqa: BLE001  told by the next turn, whatever it is
            self.ended_by = error

    def stop(self) -> None:
        self._sync.stop()
        self._thread.join(_AT_LAST_S)

    def note(self) -> None:
        """Record what went across since the last time, and whether the remote is there."""
        for direction, side in ((PUSH, self._sync.push), (PULL, self._sync.pull)):
            if side is None:
                continue
            if side.state == "waiting" and side.last_error:
                self._log.unreached(direction, self._syncing.shown, side.last_error.message)
            elif side.state == "listening":
                report = side.report
                self._note_if_new(direction, report)
                self._syncing.settle(direction, report)

    def _note_if_new(self, direction: str, report: Report) -> None:
        before = self._noted.get(direction)
        moved = before is None or (report.docs_written, report.ok) != (
            before.docs_written,
            before.ok,
        )
        if moved or direction in self._log.failing_since:
            self._noted[direction] = report
            self._syncing.note(direction, report, before)
