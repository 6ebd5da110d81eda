"""`kill -9` at any moment: acknowledged is durable, a batch is whole or absent."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from engines.journal import Journal, verify
from tests.crash.conftest import Start

CHUNKS, KILLS = 8, 25


def check(path: Path, acknowledged: list[str]) -> None:
    """Reopen as the next process would; every acknowledged event is there, no batch by half."""
    Journal(path).append("reopened")
    report = verify(path)
    assert report.ok, report.verdict
    events = list(Journal(path).events())
    assert len(events) == report.lines
    there = {f"{event['seq']} {event['event_hash']}" for event in events}
    assert there.issuperset(acknowledged)
    noted = [event for event in events if event["event_type"] == "noted"]
    whole = {event["batch"]: event["of"] for event in noted}
    assert Counter(event["batch"] for event in noted) == whole


def check_evidence(path: Path) -> None:
    """Each recovery says what it moved, and that is what lies in the folder."""
    recovered = [e for e in Journal(path).events() if e["event_type"] == "journal_recovered"]
    kept = {file.name: file.stat().st_size for file in path.parent.glob("*.unacknowledged-*")}
    # A first batch that was torn is set aside before there is a chain to record it in.
    unrecorded = {name for name in kept if name.startswith("shared.unacknowledged-0-")}
    assert {e["kept_in"]: e["set_aside_bytes"] for e in recovered} == {
        name: size for name, size in kept.items() if name not in unrecorded
    }


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(
    path: Path, start: Start, chunk: int
) -> None:
    """Two hundred kills in all, each followed by what the next process does: look and go on."""
    chance = random.Random(chunk)
    acknowledged: list[str] = []
    for kill in range(KILLS):
        writer = start("write", path, f"{chunk}.{kill}", 0, f"{chunk}.{kill}")
        writer.read_lines(1)
        # Nothing waits for this: it only makes the moment of the kill a random one.
        time.sleep(chance.uniform(0, 0.03))
        acknowledged += writer.kill()
        check(path, acknowledged)
    assert len(acknowledged) >= KILLS
    check_evidence(path)


@pytest.mark.parametrize("chunk", range(2))
def test_a_writer_killed_before_its_first_event_leaves_a_journal_that_can_begin(
    tmp_path: Path, start: Start, chunk: int
) -> None:
    """While it is starting, creating the file, or writing the first line."""
    chance = random.Random(chunk)
    for kill in range(10):
        path = tmp_path / f"{kill}" / "shared.jsonl"
        path.parent.mkdir()
        writer = start("write", path, kill, 0, kill)
        time.sleep(chance.uniform(0.03, 0.09))
        check(path, writer.kill())
        check_evidence(path)
