"""`kill -9` at any moment, hundreds of times: acknowledged is durable, a batch whole or absent."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from engines.journal import RecordedJournal
from tests.crash.conftest import Siege
from tests.crash.nursery import Nursery
from tests.crash.programs.lives import DOING

CHUNKS, KILLS = 5, 50
FRESH_CHUNKS, FRESH_KILLS = 1, 40


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(
    siege: Siege, chance: random.Random, chunk: int
) -> None:
    """Starting, writing, sealing, packing, signing; after each kill the next looks and goes on."""
    killed_while: Counter[str] = Counter()
    for kill in range(KILLS):
        life = siege.start(f"{chunk}.{kill}")
        if kill % 4:
            life.wait_until_it_speaks()
        # Nothing waits for this: it only makes the moment of the kill a random one.
        time.sleep(chance.uniform(0, 0.015))
        killed_while[siege.kill(life)] += 1
        siege.check()
    siege.check_signed()
    assert killed_while.total() == KILLS
    # How many of the seven depends on the disk: where it takes no time nobody dies writing to it.
    assert len(killed_while) >= len(DOING) // 2, killed_while
    assert len(RecordedJournal(siege.path).sealed()) > 5


@pytest.mark.parametrize("chunk", range(FRESH_CHUNKS))
def test_a_writer_killed_before_its_first_event_leaves_a_journal_that_can_begin(
    tmp_path: Path, nursery: Nursery, chance: random.Random, chunk: int
) -> None:
    """While it is starting, creating the file, or writing the first line."""
    for kill in range(FRESH_KILLS):
        folder = tmp_path / f"{kill}"
        folder.mkdir()
        siege = Siege(folder / "shared.jsonl", nursery)
        life = siege.start(f"{chunk}.{kill}")
        time.sleep(chance.uniform(0, 0.006))
        siege.kill(life)
        siege.check()
