"""
Whether the machine and the queue are well: measured, with hysteresis.

A check fails above its threshold and passes again below nine tenths of it, so that one that hovers
does not flap.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

THRESHOLDS: Mapping[str, float] = {
    "cpu": 80.0,  # percent
    "memory": 85.0,  # percent
    "disk": 90.0,  # percent
    "queue_depth": 100.0,  # tasks that could start or run
    "error_rate": 10.0,  # percent of the last attempts
}
_GOOD_AGAIN = 0.9
_A_MOMENT_S = 0.05
_read_before: set[int] = set()

Probe = Callable[[Path], Mapping[str, float]]


def machine(folder: Path) -> dict[str, float]:
    """CPU, memory and the disk of *folder* in percent, as the system counts them now."""
    import psutil  # noqa: PLC0415  where somebody asks

    # It takes two readings: the first of a process waits a moment, others look back to the last.
    interval = None if _read_before else _A_MOMENT_S
    _read_before.add(os.getpid())
    return {
        "cpu": psutil.cpu_percent(interval=interval),
        "memory": psutil.virtual_memory().percent,
        "disk": psutil.disk_usage(str(_there(folder))).percent,
    }


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it where there is none yet: the same disk."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def is_bad(check: str, value: float, *, was_bad: bool) -> bool:
    """Whether *value* fails the check, given how it was before."""
    threshold = THRESHOLDS[check]
    return value >= threshold * _GOOD_AGAIN if was_bad else value > threshold


def judged(values: Mapping[str, float], bad: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each check with its value, its threshold and whether it passes."""
    return {
        check: {
            "value": round(values[check], 2),
            "threshold": threshold,
            "healthy": not is_bad(check, values[check], was_bad=check in bad),
        }
        for check, threshold in THRESHOLDS.items()
    }
