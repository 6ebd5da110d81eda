"""Many real processes at one queue: every task ends once, and nothing is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from engines.resource_engine import ResourceEngine
from tests.conftest import REPOSITORY
from tests.resource_engine.hammer import COUNT
from tests.resource_engine.kit import events
from tests.resource_engine.referee import Referee

SIZES = {"compute": 10, "storage": 100, "network": 20, "database": 5}


def test_each_task_ends_once_whoever_submits_works_and_cancels(tmp_path: Path) -> None:
    roles = [("submit", 1), ("submit", 2), ("work", 3), ("work", 4), ("cancel", 5)]
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                REPOSITORY / "tests/resource_engine/hammer.py",
                tmp_path,
                role,
                str(n),
            ],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        )
        for role, n in roles
    ]
    assert [process.wait(timeout=120) for process in processes] == [0] * len(roles)
    path = tmp_path / "engine_state.jsonl"
    engine = ResourceEngine(path)
    assert engine.verify_hash_chain()
    referee = Referee(SIZES, 300.0)
    for event in events(path):
        referee.read(event, event["timestamp"])
    assert len(referee.ended) == COUNT
    assert set(referee.ended.values()) == {1}
    assert not any(pool.allocated for pool in engine.pools.values())
    assert engine.sessions() == []
    ran = Counter((tmp_path / "ran").read_text().split())
    done = {t.task_id for t in engine.tasks(state="succeeded")}
    assert {f"t{n}" for n in ran} >= done
    assert max(ran.values()) == 1, "nobody was killed, so nothing ran twice"
