"""`kill -9` of workers, owner and server while tasks are under way: each result is recorded once."""

from __future__ import annotations

import random
from pathlib import Path

from tests.cluster.servers import needs_server
from tests.cluster.task_site import hammer, site

pytestmark = needs_server

TASKS, KILLS = 1500, 8


def test_each_result_is_recorded_once_whoever_is_killed(tmp_path: Path) -> None:
    """As 50,000 are by `python -m tests.cluster.task_site`."""
    with site(tmp_path) as found:
        hammer(found, TASKS, KILLS, random.Random(5), every_s=0.6, takes_s=0.004)
    assert found.killed.total() > 3
    verdict = found.judged(TASKS)
    assert verdict.results == TASKS
    assert verdict.by.total() == TASKS
    assert "owner" not in verdict.by
