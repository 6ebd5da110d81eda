"""A clock that jumps, back or ahead: what is written stands, and what is due does not wait for it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.auditing import Auditing, checkpoint_if_due
from dino_os.workspace import Workspace
from engines.journal import Journal, RecordedJournal, Rotation, files_of, verify
from tests.crash.programs import operations

YEAR = 365 * 24 * 3600.0
MOMENTS = st.floats(0, 4e9) | st.sampled_from([0.0, 59.0, 60.0, 61.0, 2.0**31, 2.0**32])


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    root, numbers = tmp_path_factory.mktemp("clocks"), itertools.count()
    return lambda: root / str(next(numbers))


@given(moments=st.lists(MOMENTS, min_size=1, max_size=25))
@settings(max_examples=24)
def test_whatever_the_clock_says_each_event_is_there_once_and_in_its_order(
    new_folder: Callable[[], Path], moments: list[float]
) -> None:
    """With files that are sealed by their age, and a process that starts anew now and then."""
    path, written = new_folder() / "notes.jsonl", 0
    ticks = itertools.chain(moments, itertools.repeat(moments[-1]))
    while written < len(moments):
        journal = Journal(path, clock=lambda: next(ticks), rotation=Rotation(None, max_age_s=60))
        for _ in range(4):
            journal.append("noted", {"n": written})
            written += 1
    report = verify(path)
    assert report.ok, report.verdict
    events = list(RecordedJournal(path).events())
    assert [e["n"] for e in events if e["event_type"] == "noted"] == list(range(written))
    assert {e["timestamp"] for e in events} <= {*moments}
    assert len(files_of(path)) <= written + 1


def test_a_file_begun_in_the_future_is_sealed_by_its_size_all_the_same(tmp_path: Path) -> None:
    """Its age is negative until that day comes."""
    path, now = tmp_path / "notes.jsonl", [time.time() + YEAR]
    journal = Journal(path, clock=lambda: now[0], rotation=Rotation(2000, max_age_s=60))
    journal.append("noted")
    now[0] -= YEAR
    for number in range(30):
        journal.append("noted", {"n": number})
    assert len(files_of(path)) > 3
    assert verify(path).ok


@pytest.mark.parametrize(
    "jump", [-YEAR, -1.0, 0.0, YEAR], ids=["back", "a-little", "none", "ahead"]
)
def test_a_checkpoint_is_signed_when_its_time_has_come_by_whatever_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """The clock was wrong by so much when the last one was signed, and right an hour later."""
    operations.prepare_workspace(tmp_path)
    space = Workspace(tmp_path)
    auditing, path = Auditing(space), tmp_path / "memory" / "zones.jsonl"
    before = auditing.checkpoint(["zones"])
    signed_at = time.time() - jump
    os.utime(auditing.note_file("zones"), (signed_at, signed_at))
    space.zones.record_event("Quay", kind="enter")
    an_hour_later = time.time() + 3601
    monkeypatch.setattr("dino_os.auditing.time.time", lambda: an_hour_later)
    (signed,) = checkpoint_if_due(space, [path])
    assert signed.checkpoint.size == before[0].checkpoint.size + 1
    assert auditing.audit(path).ok
