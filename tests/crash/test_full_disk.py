"""Too little of something, and the kernel itself says so: a clean no, and then it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.crash.programs.operations import OF_A_JOURNAL, OF_A_WORKSPACE

HERE = Path(__file__).resolve().parent

# A disk of its own, that nobody else sees and that goes with the process.
MOUNT = 'mount -t tmpfs -o size=2m,nr_inodes=300,mode=755 none /mnt && exec "$@"'
PRIVATE = ["unshare", "--mount", "sh", "-c", MOUNT, "sh"]


@cache
def why_no_disk() -> str:
    if os.geteuid() != 0:
        return "a disk of our own needs root"
    done = subprocess.run([*PRIVATE, "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else f"no disk of our own: {done.stderr.decode()}"


def run(kind: str, folder: Path | str, around: list[str]) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [*around, sys.executable, str(HERE / "programs" / "scarcity.py"), kind, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "USER": "tester"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    ends: dict[str, Any] = json.loads(done.stdout)
    assert ends.keys() == {*OF_A_JOURNAL, *OF_A_WORKSPACE}
    return ends


@pytest.mark.parametrize("kind", ["size", "descriptors"])
def test_a_process_that_may_not_have_more_is_told_so_and_loses_nothing(
    tmp_path: Path, kind: str
) -> None:
    """Files as large, or as many of them, as its limits allow."""
    ends = run(kind, tmp_path, [])
    assert all(ends[operation]["refused"] for operation in ("first", "batch", "snapshot")), ends


@pytest.mark.skipif(bool(why_no_disk()), reason=why_no_disk())
@pytest.mark.parametrize("kind", ["space", "names", "rights", "writing"])
def test_a_disk_that_takes_no_more_loses_nothing(kind: str) -> None:
    """Full, out of names, another's, or mounted read-only."""
    ends = run(kind, "/mnt", PRIVATE)
    assert all(ends[operation]["refused"] for operation in ("first", "snapshot", "prune")), ends
