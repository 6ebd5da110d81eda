"""Stores to test with, a clock that is set by hand, and what their journals say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engines.journal import Journal, RecordedJournal, verify
from engines.latent_cache import DocumentStore


class Clock:
    """Seconds since the epoch, as it is told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """The journal of every change; whatever happened, it verifies in the end."""
    path = tmp_path / "cache_log.jsonl"
    yield path
    if path.exists():
        report = verify(path)
        assert report.ok, report.verdict


@pytest.fixture
def store(tmp_path: Path, log: Path, clock: Clock) -> Iterator[DocumentStore]:
    with DocumentStore(tmp_path / "documents.db", Journal(log), clock=clock) as found:
        yield found


@pytest.fixture
def stores(tmp_path: Path, clock: Clock) -> Iterator[Any]:
    """Make a store without a journal: `stores("a")`."""
    made: list[DocumentStore] = []

    def make(name: str = "a", **settings: Any) -> DocumentStore:
        made.append(DocumentStore(tmp_path / f"{name}.db", clock=clock, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def recorded(log: Path) -> list[dict[str, Any]]:
    """Its events but for the first, which only names it."""
    return [dict(event) for event in RecordedJournal(log).events()][1:]


def written(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The documents that *events* tell of, one by one or many of a transaction."""
    found: list[Mapping[str, Any]] = []
    for event in events:
        if event["event_type"] == "documents_changed":
            found += (dict(zip(event["columns"], row, strict=True)) for row in event["documents"])
        elif event["event_type"] in {"document_written", "document_deleted"}:
            found.append(event)
    return found


def revision(name: str, rev: str, *before: str, **more: Any) -> dict[str, Any]:
    """A document as it comes from elsewhere: its revision, and the hashes before it."""
    start, hash_ = rev.split("-")
    history = {"start": int(start), "ids": [hash_, *before]}
    return {"_id": name, "_rev": rev, "_revisions": history, **more}
