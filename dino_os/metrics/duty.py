"""What a service does for the metrics: readings now and then, and alerts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.metrics import MetricsCollector


class MetricsDuty(Duty):
    """
    Reads the metrics of *workspace* each `metrics.every_s` seconds, at first that long after it
    began: a service that lives for a moment has nothing to say of them.  Where a rule is wrong the
    readings go on.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._every_s = workspace.config.settings.metrics.every_s
        self._next = time.time() + self._every_s
        self._found: MetricsCollector | None = None

    def turn(self) -> float | None:
        now = time.time()
        # A clock that was set back makes nobody wait.
        if now >= self._next or self._next - now > self._every_s:
            from dino_os.metrics.rules import rules_of  # noqa: PLC0415  by the first reading
            from dino_os.metrics.watching import read, watch  # noqa: PLC0415

            self._found = self._found or self._workspace.metrics()
            try:
                rules = rules_of(self._workspace)
            except DinoError:
                read(self._workspace, self._found, every_s=self._every_s)
                raise
            watch(self._workspace, rules, self._found)
            self._next = now + self._every_s
        return self._next
