"""A replication that is killed, at any point, goes on where it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, environment
from tests.replication.kit import Pair, leaves, put

Mortal = Callable[[str, Path, str, int], int]


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    """Replicate in a process that is killed at that step; the signal that ended it, 0 for none."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("mortal.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=str(REPOSITORY)),
    )
    assert process.stdin
    assert process.stdout

    def order(way: str, store: Path, url: str, step: int) -> int:
        told = {"way": way, "store": str(store), "url": url, "step": step}
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield order
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def test_killed_at_any_step(pair: Pair, mortal: Mortal, way: str) -> None:
    """Everything comes over, what did is not asked about again, and no document is there twice."""
    source, target = pair.ends(way)
    url = f"{pair.couch.url}/db"
    for step in range(way == "pull", 1000, 2):
        put(source, "all", f"d{step % 7}", f"new{step}", step=step)
        source.put_local("kept", {"n": step})  # the file is whole: it can be written
        ended = mortal(way, pair.here.path, url, step)
        assert ended in {0, signal.SIGKILL}
        assert leaves(target).keys() <= leaves(source).keys()
        if not ended:
            break
    assert step > 20  # and every other one before that
    assert pair.same()
    assert pair.go(way).missing_checked == 0
    assert target.conflicts() == []
