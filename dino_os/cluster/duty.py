"""The cluster in a service: it carries messages, gives signs of life, and tells what is wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_LOOK_S = 5.0
_AT_LAST_S = 5.0


class ClusterDuty(Duty):
    """Makes a node of *workspace*, where the settings name a cluster; else it has nothing to do."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._seen: DinoError | None = None
        self.watches: Sequence[Path] = ()

    def turn(self) -> float | None:
        """Begin it, or see how it does: what keeps it from its work for two turns is told."""
        if not self._workspace.config.settings.cluster.url:
            return None
        carrying = self._workspace.carrying
        if carrying is None:
            return None
        carrying.start()
        before, self._seen = self._seen, carrying.error
        if before and self._seen and before.message == self._seen.message:
            raise self._seen
        return time.time() + _LOOK_S

    def finish(self) -> bool:
        """For a service that is about to leave: what was said goes out, if it can."""
        carrying = self._workspace.carrying if self._seen is None else None
        if carrying:
            carrying.flush(_AT_LAST_S)
            carrying.stop()
        return False
