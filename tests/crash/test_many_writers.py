"""Several processes on one journal: one chain, each event once, whoever dies in between."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from engines.journal import Journal, verify
from tests.crash.conftest import Siege, Start

CHUNKS, KILLS = 2, 60


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


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_eight_writers_are_killed_one_after_the_other(siege: Siege, chunk: int) -> None:
    """Each is replaced at once, so that there are always seven to go on with what it left."""
    chance = random.Random(chunk)
    living = [siege.start(f"{chunk}.{number}") for number in range(8)]
    for kill in range(KILLS):
        time.sleep(chance.uniform(0, 0.02))  # it only makes the moment of the kill a random one
        siege.kill(living.pop(chance.randrange(8)))
        living.append(siege.start(f"{chunk}.{kill + 8}"))
        if kill % 20 == 0:
            siege.check()
    for life in living:
        siege.kill(life)
    siege.check()
    siege.check_signed()
