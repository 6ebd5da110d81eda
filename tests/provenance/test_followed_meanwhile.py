"""Journals that are signed, pruned and followed by others while they are followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.provenance.following import Followed, follow
from dino_os.retention import prune_journal, rotate
from dino_os.workspace import Workspace
from engines.journal import Journal, RecordedJournal
from tests.provenance.lines import three_runs
from tests.provenance.test_provenance_following import sources

_FILES, _IN_ONE = 3, 150  # more lines than are read at once


def publish(root: Path, count: int) -> None:
    said = {"channel": "tide", "message": "x" * 500}
    journal = Journal(root / "memory" / "bus.jsonl")
    journal.append_many([("message_published", said)] * count)
    journal.close()


@pytest.fixture
def site(workspace: Path) -> Path:
    """A workspace with a key, whose bus lies in several files."""
    with (workspace / "config.yaml").open("a") as config:
        config.write(f"security: {{signing_key: {workspace / 'key'}}}\n")
    for _ in range(_FILES):
        publish(workspace, _IN_ONE)
        rotate(Workspace(workspace), ["bus"])
    Auditing(Workspace(workspace)).new_key(None)
    Auditing(Workspace(workspace)).checkpoint(["bus"])
    return workspace


def messages(root: Path) -> list[int]:
    """The lines of the bus that were taken over."""
    return [line for name, line in sources(root) if name == "bus"]


def every_message(root: Path) -> list[int]:
    lines = RecordedJournal(root / "memory" / "bus.jsonl").events()
    return [event["seq"] for event in lines if event["event_type"] == "message_published"]


def prune(root: Path) -> None:
    """All files but the last."""
    begin = RecordedJournal(root / "memory" / "bus.jsonl").live_begin()
    assert prune_journal(Workspace(root), "bus", begin.seq).files


def test_lines_pruned_under_who_follows_them_are_told_of_and_the_rest_is_taken(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dino_os.retention.follow", Followed)  # whoever prunes comes too late
    waiting = [prune]

    def meanwhile(_: int) -> None:
        while waiting and messages(site):
            waiting.pop()(site)
            publish(site, 1)

    found = follow(Workspace(site), meanwhile)
    assert not found.problems
    journal = RecordedJournal(site / "memory" / "provenance_log.jsonl")
    (gap,) = (e for e in journal.events() if e.get("kind") == "lines_pruned_unseen")
    assert 0 < gap["data"]["followed_to"] < gap["data"]["goes_on_at"]
    assert messages(site)[-1] == RecordedJournal(site / "memory" / "bus.jsonl").length() - 1
    assert len(messages(site)) == len(set(messages(site)))


def test_where_anything_was_followed_nothing_is_pruned_unseen(site: Path) -> None:
    follow(Workspace(site), most=1)
    there = every_message(site)
    prune(site)
    assert messages(site) == there


def test_who_finds_another_ahead_goes_on_from_there(site: Path) -> None:
    ahead = [Workspace(site)]

    def meanwhile(_: int) -> None:
        while ahead and messages(site):
            follow(ahead.pop(), most=1)

    follow(Workspace(site), meanwhile)
    assert not ahead
    assert messages(site) == every_message(site)


def test_signing_what_is_written_of_signatures_comes_to_an_end(workspace: Path) -> None:
    (workspace / "config.yaml").write_text(f"security: {{signing_key: {workspace / 'key'}}}\n")
    Auditing(Workspace(workspace)).new_key(None)
    three_runs(workspace)
    lines = []
    for _ in range(3):
        follow(Workspace(workspace))
        Auditing(Workspace(workspace)).checkpoint(["runs", "provenance_log"])
        lines.append(RecordedJournal(workspace / "memory" / "provenance_log.jsonl").length())
    assert lines[2] == lines[1]
    assert any(name == "checkpoints" for name, _ in sources(workspace))
