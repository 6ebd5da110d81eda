"""Several processes on one journal: one chain, each event once, whoever dies in between."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from engines.journal import Journal, verify
from tests.crash.conftest import Start


def test_several_writers_make_one_chain(path: Path, start: Start) -> None:
    """Four processes with a hundred batches each: every acknowledged event is there once."""
    writers = [start("write", path, number, 100, number) for number in range(4)]
    said = [line for writer in writers for line in writer.finish()]
    report = verify(path)
    assert report.ok, report.verdict
    events = list(Journal(path).events())
    assert sorted(said, key=lambda line: int(line.split()[0])) == [
        f"{event['seq']} {event['event_hash']}" for event in events[1:]
    ]
    assert len({event["batch"] for event in events[1:]}) == 400
    for number in range(4):
        batches = [e["batch"] for e in events[1:] if e["writer"] == str(number) and e["i"] == 0]
        assert batches == [f"{number}-{batch}" for batch in range(100)]


@pytest.mark.parametrize("seed", range(2))
def test_writers_go_on_while_one_of_them_is_killed_again_and_again(
    path: Path, start: Start, seed: int
) -> None:
    """The others set aside what it left, wherever it was."""
    chance = random.Random(seed)
    others = [start("write", path, number, 60, number) for number in range(3)]
    acknowledged = []
    for life in range(8):
        victim = start("write", path, f"victim-{life}", 0, life)
        victim.read_lines(chance.randrange(1, 15))
        acknowledged += victim.kill()
    acknowledged += start("write", path, "survivor", 40, seed).finish()
    for writer in others:
        acknowledged += writer.finish()
    Journal(path).append("reopened")
    report = verify(path)
    assert report.ok, report.verdict
    events = list(Journal(path).events())
    there = Counter(f"{event['seq']} {event['event_hash']}" for event in events)
    assert [line for line in acknowledged if there[line] != 1] == []
    noted = [event for event in events if event["event_type"] == "noted"]
    whole = {event["batch"]: event["of"] for event in noted}
    assert Counter(event["batch"] for event in noted) == whole
    for writer, batches in [*(("012"[n], 60) for n in range(3)), ("survivor", 40)]:
        assert len({e["batch"] for e in noted if e["writer"] == writer}) == batches
