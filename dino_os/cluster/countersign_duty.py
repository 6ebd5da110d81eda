"""Countersignatures in a service: asked for and given now and then, as long as it lives."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from dino_os.cluster.link import ClusterUnavailable
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.cluster.countersigning import Countersigning
    from dino_os.workspace import Workspace

_EVERY_S = 30.0


class CountersignDuty(Duty):
    """Has the checkpoints of *workspace* countersigned, where it is a node of a cluster."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._signing: Countersigning | None = None

    def turn(self) -> float | None:
        """Do what there is to do; while the servers are away, nothing."""
        if self._workspace.cluster is None:
            return None
        from dino_os.cluster.membership import has_left  # noqa: PLC0415

        if has_left(self._workspace):
            return time.time() + _EVERY_S
        if self._signing is None:
            from dino_os.cluster.countersigning import Countersigning  # noqa: PLC0415

            self._signing = Countersigning(self._workspace)
        with contextlib.suppress(ClusterUnavailable):  # told by those who have something to send
            self._signing.turn()
        return time.time() + _EVERY_S
