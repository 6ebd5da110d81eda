"""
Refusals in the record: the first ones at once, the others as counts, all of them in the end.

Owns when something is told; which refusals are one kind, and how many are told, is flood's.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from typing import Any

from engines.errors import DinoError
from engines.nav_mesh.anomalies import Anomalies
from engines.nav_mesh.flood import Flood, Kind


class Refusing(Anomalies):
    """The part of the gates that records whom they refused."""

    _flood: Flood
    _ends_with_us = False

    # --- commands ----------------------------------------------------------------------------

    def flush_refusals(self) -> None:
        """Record what was counted and not told."""
        if self._flood.has_untold:
            with self.deciding():
                self._tell_refusals()

    def close(self) -> None:
        """Record what was not told; a process that ends does this by itself."""
        self.flush_refusals()

    # --- below -------------------------------------------------------------------------------

    def _note(self, kind: Kind, now: float, token_id: str | None) -> None:
        self._tell_in_time(now)
        if tell := self._flood.count(kind, now):
            self._tell(*tell, now, token_id)
        elif not self._ends_with_us:
            self._ends_with_us = True
            atexit.register(_close, weakref.ref(self), os.getpid())
        if self.alarms:
            self.raise_alarms(now)

    def _tell_in_time(self, now: float) -> None:
        if self._flood.has_untold and self._flood.is_over(now):
            self._tell_refusals()

    def _tell_refusals(self) -> None:
        for kind, count in self._flood.untold():
            self._tell(kind, count, self.clock(), None)
        if self.alarms:
            self.raise_alarms(self.clock())

    def _tell(self, kind: Kind, count: int, at: float, token_id: str | None) -> None:
        facts: dict[str, Any] = kind._asdict()
        if token_id is not None and count == 1:
            facts["token"] = token_id
        limited = facts["rule"] == "rate_limited"
        if limited:
            del facts["rule"]
        self.record("gate_limited" if limited else "gate_denied", **facts, count=count, at=at)


def _close(gates: weakref.ref[Refusing], process: int) -> None:
    found = gates()
    if found is not None and os.getpid() == process:  # a fork would tell it a second time
        with contextlib.suppress(DinoError, OSError):  # nobody is left who could be told
            found.close()
