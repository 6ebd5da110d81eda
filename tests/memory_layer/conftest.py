"""Memories to test with, what their journals say, and programs that use them and are killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dino_os.memory_layer import MemoryLayer
from engines.journal import RecordedJournal, verify
from tests.conftest import REPOSITORY, ended_at_last, environment

Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def memory(home: Path) -> MemoryLayer:
    return MemoryLayer()


@pytest.fixture
def journal(home: Path) -> Iterator[Path]:
    """The journal of every change; whatever happened, it verifies in the end."""
    path = home / "memory" / "memory_log.jsonl"
    yield path
    report = verify(path)
    assert report.ok, report.verdict


def recorded(journal: Path) -> list[dict[str, Any]]:
    """Its events but for the first, which only names it."""
    return [dict(event) for event in RecordedJournal(journal).events()][1:]


def check_sound(file: Path) -> None:
    """SQLite's own check, and that the index of words is that of the entries."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        ids = [row for table in ("entries", "words") for row in db.execute(_IDS[table])]
        assert len(ids) == 2 * len(set(ids))


_IDS = {"entries": "SELECT id, key FROM entries", "words": "SELECT rowid, key FROM words"}


@pytest.fixture
def started(home: Path) -> Iterator[Started]:
    """Start Python code in the workspace; whatever still runs at the end is ended."""

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            cwd=home,
            env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    with ended_at_last() as processes:
        yield start
