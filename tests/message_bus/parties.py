"""Processes that talk over one bus."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY, environment

PATIENCE_S = 60.0


def process(home: Path, program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs *program* in that workspace."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(party: subprocess.Popen[str]) -> str:
    assert party.stdout
    return party.stdout.readline().strip()


def ended(*parties: subprocess.Popen[str]) -> list[str]:
    """What each said until it ended, which was well."""
    said = [party.communicate(timeout=PATIENCE_S)[0] for party in parties]
    assert [party.returncode for party in parties] == [0] * len(parties)
    return said


def until(is_so: Callable[[], Any]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.002)
