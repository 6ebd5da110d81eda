"""Provenance in a service: the journals are followed as they grow, and what is odd is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dino_os.provenance.alerts import send_alerts
from dino_os.provenance.following import follow
from dino_os.provenance.mapping import FOLLOWED
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_PAUSE_S = 2.0  # between two turns: many lines then share one sync
_AT_ONCE = 5_000  # events; a long history takes several turns
_LOOK_S = 60.0  # for what did not come


class ProvenanceDuty(Duty):
    """Follows the journals of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        names = ("provenance_log", *FOLLOWED)
        self.watches = [workspace.memory / f"{name}.jsonl" for name in names]
        self._next = 0.0

    def has_begun(self) -> bool:
        return any(path.exists() for path in self.watches)

    def turn(self) -> float | None:
        if (now := time.monotonic()) < self._next:
            return time.time() + self._next - now
        if follow(self._workspace, most=_AT_ONCE).more:
            return time.time()  # the others have their turns in between
        domain = self._workspace.provenance
        domain.look()
        send_alerts(domain, lambda: self._workspace.bus)
        self._next = time.monotonic() + _PAUSE_S
        return time.time() + _LOOK_S

    def finish(self) -> bool:
        follow(self._workspace)
        return False
