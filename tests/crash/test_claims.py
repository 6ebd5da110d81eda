"""Decisions of many processes: made under the lock, after catching up, so never twice."""

from __future__ import annotations

import random
from pathlib import Path

from engines.journal import Journal
from tests.crash.conftest import Start


def claims_in(path: Path) -> list[tuple[int, str]]:
    events = Journal(path).events()
    return [(e["item"], e["who"]) for e in events if e["event_type"] == "claimed"]


def test_each_item_is_claimed_exactly_once(path: Path, start: Start) -> None:
    """By one of four processes, and each got what it was told it got."""
    claimers = {str(number): start("claim", path, number, 200) for number in range(4)}
    told = {who: [int(item) for item in claimer.finish()] for who, claimer in claimers.items()}
    claims = claims_in(path)
    assert [item for item, _ in claims] == list(range(200))
    assert told == {who: [item for item, owner in claims if owner == who] for who in claimers}


def test_a_killed_claimer_neither_loses_nor_doubles_a_claim(path: Path, start: Start) -> None:
    """What it was told is recorded; at most the claim under way is recorded without its knowing."""
    chance = random.Random(1)
    others = {str(number): start("claim", path, number, 300) for number in range(2)}
    told = {}
    for life in range(6):
        victim = start("claim", path, f"victim-{life}", 300)
        for _ in range(chance.randrange(1, 10)):
            victim.next_line()  # there may be nothing left to claim
        told[f"victim-{life}"] = victim.kill()
    for who, claimer in others.items():
        told[who] = claimer.finish()
    claims = claims_in(path)
    assert [item for item, _ in claims] == list(range(300))
    for who, items in told.items():
        owned = [str(item) for item, owner in claims if owner == who]
        assert owned[: len(items)] == items
        assert len(owned) - len(items) <= (1 if who.startswith("victim") else 0)
