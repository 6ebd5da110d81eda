"""Memories to test with, what their journals say, and programs that use them and are killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal, RecordedJournal, verify
from engines.records import _open
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
    settle()
    report = verify(path)
    assert report.ok, report.verdict


def recorded(journal: Path) -> list[dict[str, Any]]:
    """
    Its events but for the first, which only names it; of changes that share a line, one each.

    What this process still has on its way there is moved first.
    """
    settle()
    return [one for event in RecordedJournal(journal).events() for one in _apart(event)][1:]


def settle() -> None:
    for store in [*_open]:
        store.settle()  # type: ignore[attr-defined]


def _apart(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if event["event_type"] != "memory_changed":
        yield dict(event)
        return
    for one in event["entries_changed"]:
        kind = next(
            (f"memory_{end}" for end in ("deleted", "expired") if end in one), "memory_added"
        )
        yield {"event_type": kind, "seq": event["seq"], **one}


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


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Started]:
    """Start a program that has a store of vectors and an index of it; none outlives the test."""

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _WITH_VECTORS + code, str(tmp_path), *map(str, args)],
            env=environment(PYTHONPATH=str(REPOSITORY), OPENBLAS_NUM_THREADS="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    with ended_at_last() as processes:
        yield start


_WITH_VECTORS = """
import sys
from pathlib import Path
from dino_os.memory_layer.vectors import VectorIndex
from tests.memory_layer.vectors_kit import Vectors, clustered
folder = Path(sys.argv[1])
vectors = Vectors(folder / "store.db")
index = VectorIndex(folder / "indexes", "words", 16)
query = clustered(1, 16, 5)[0]
"""


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine"


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[MemoryStore]:
    """A memory in a file of its own; whatever happened, it is sound in the end."""
    made = MemoryStore(folder / "m.db", Journal(folder / "log.jsonl"), clock=clock)
    yield made
    made.close()
    if made.path.exists():
        check_sound(made.path)
        assert made.check()["faults"] == []
        made.close()
