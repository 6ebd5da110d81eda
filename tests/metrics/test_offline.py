"""Drills in the gauge of latency tolerance: the last one counts, and hides nothing that was real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os.offline.log import OfflineLog
from engines.journal import Journal
from engines.metrics import MetricsCollector


class Cache:
    """A cache of which so many operations were sent, and so many lost."""

    def __init__(self, synced: int, lost: int) -> None:
        self._stats = {"operations_synced": synced, "operations_lost": lost}

    def get_stats(self) -> dict[str, int]:
        return self._stats


def drill(survived: int, met: int, *, ok: bool = True) -> dict[str, Any]:
    return {"ok": ok, "survived": survived, "met_outage": met}


@pytest.mark.parametrize(
    ("drills", "real", "expected"),
    [
        ([], None, None),
        ([drill(500, 500)], None, 100),
        ([drill(500, 500)], (9, 1), 90),  # no drill makes a real loss smaller
        ([drill(50, 100, ok=False)], (10, 0), 50),  # nor is one that failed hidden
        ([drill(50, 100, ok=False), drill(100, 100)], (10, 0), 100),  # the last one counts
        ([drill(100, 100, ok=False)], None, 99),  # nothing lost, and yet not survived
        ([drill(0, 0)], None, None),  # it met none
    ],
)
def test_the_gauge_shows_the_worse_of_what_was_drilled_and_what_was_real(
    tmp_path: Path,
    drills: list[dict[str, Any]],
    real: tuple[int, int] | None,
    expected: float | None,
) -> None:
    log = OfflineLog(Journal(tmp_path / "offline_log.jsonl"))
    for one in drills:
        log.simulated(**one)
    metrics = MetricsCollector(tmp_path)
    if real:
        metrics.integrate(latent_cache=Cache(*real))
    metrics.update_all()
    gauge = metrics.gauges["latency_tolerance"]
    assert gauge.measured == (expected is not None)
    assert gauge.current_value == pytest.approx(expected or 0)


def test_synchronising_is_counted(tmp_path: Path) -> None:
    log = OfflineLog(Journal(tmp_path / "offline_log.jsonl"))
    assert log.unreached("push", "https://site/desk", "refused")
    assert not log.unreached("push", "https://site/desk", "refused")
    log.synced("push", "https://site/desk", docs_written=3, ok=True)
    assert log.unreached("push", "https://site/desk", "refused")
    log.simulated(**drill(1, 2, ok=False))
    metrics = MetricsCollector(tmp_path)
    metrics.update_all()
    assert metrics.counts()["offline_log"] == {
        "syncs": 1,
        "outages": 2,
        "documents_moved": 3,
        "drills": 1,
        "drills_failed": 1,
    }
