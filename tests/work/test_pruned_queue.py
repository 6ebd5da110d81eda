"""What is recalled of tasks whose first lines were pruned from the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines.resource_engine import Lease, Task, table
from tests.resource_engine.kit import Hands

CONFIG = """
memory: {rotate_bytes: 100000, compress: false}
security: {signing_key: w.key}
resources: {result_bytes: 100}
"""


def prune_all(root: Path) -> None:
    """All that lies before the next line."""
    site = Workspace(root)
    journal = site.resources.journal
    site.resources.save_snapshot()
    with journal.locked():
        journal.rotate()  # type: ignore[union-attr]
    site.resources.reserve("somebody", {"storage": 1})  # a line of the new file
    Auditing(site).checkpoint()
    prune_journal(Workspace(root), "engine_state", before=journal.end.seq)
    left = [event for events, _ in journal.read(journal.begin()) for event in events]
    assert "task_submitted" not in {event["event_type"] for event in left}


@pytest.fixture
def root(workspace: Path) -> Path:
    (workspace / "config.yaml").write_text(CONFIG)
    Auditing(Workspace(workspace)).new_key(None)
    return workspace


def test_one_that_was_begun_before_and_ended_after_is_recalled_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_KEPT", 1)
    engine = Workspace(root).resources
    hands = Hands.of(engine)
    engine.submit_tasks([Task("a", batch="night"), Task("b")])
    (lease,) = hands.claim(size=2)
    prune_all(root)
    hands.end(lease, result="a" * 200)
    hands.end(Lease(lease.number, lease.tasks[1:]), result=1)
    engine.submit_tasks([Task("other"), Task("another")])
    assert hands.run() == "other"
    assert hands.run() == "another"
    for seen in (engine, Workspace(root).resources):
        assert seen.task("a") is None
        found = seen.recall("a")
        assert found is not None
        told = (found.state, found.batch, found.attempts, found.lease, found.result)
        assert told == ("succeeded", "night", 1, None, "a" * 200)


def test_one_that_was_forgotten_before_is_recalled_no_more(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines are gone; that is no error, and neither are lines about it that remained."""
    monkeypatch.setattr(table, "_KEPT", 1)
    engine = Workspace(root).resources
    hands = Hands.of(engine)
    engine.submit_tasks([Task("a"), Task("b"), Task("c")])
    for _ in range(3):
        hands.run()
    prune_all(root)
    engine.submit_task(Task("d"))
    assert engine.recall("a") is None
    assert engine.recall("d") is not None


def test_without_the_state_that_was_kept_there_is_nothing_to_recall(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_KEPT", 1)
    engine = Workspace(root).resources
    hands = Hands.of(engine)
    engine.submit_task(Task("a"))
    (lease,) = hands.claim()
    prune_all(root)
    hands.end(lease)
    engine.submit_tasks([Task("other"), Task("another")])
    hands.run()
    hands.run()
    base = root / "memory" / "engine_state.base"
    assert engine.recall("a") is not None
    base.write_text("{}")
    assert engine.recall("a") is None
