"""Timing of things against each other: taken in turns, so that both meet the same machine."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence


def run(command: Sequence[str], **options: object) -> None:
    subprocess.run(command, check=True, capture_output=True, **options)  # type: ignore[call-overload]


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, work in contestants.items():
            taken = timed(work)
            if turn:
                seconds[name].append(taken)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def verdict(ratio: float, limit: float, *, at_least: bool) -> str:
    good = ratio >= limit if at_least else ratio <= limit
    return (
        f"{'ok' if good else 'MISSED'} (asked: {'at least' if at_least else 'at most'} {limit:g})"
    )
