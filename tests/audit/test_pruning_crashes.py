"""Pruning that ends at any of its steps: nothing is lost, and the next attempt goes through."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines import durable
from engines.journal import RecordedJournal
from tests.audit.office import (
    audited,
    drop_snapshot,
    prune,
    state,
    zones,
)

STEPS = {
    "index-synced": ("engines.audit.tree.sync_data", durable.sync_data),
    "folder-of-the-index": ("engines.audit.tree.sync_folder", durable.sync_folder),
    "base-drafted": ("engines.audit.pruning.replace_file", durable.replace_file),
    "line-written": ("engines.journal.journal.write_all", durable.write_all),
    "line-synced": ("engines.journal.journal.sync_data", durable.sync_data),
    "base-named": ("pathlib.Path.replace", Path.replace),
    "file-removed": ("pathlib.Path.unlink", Path.unlink),
    "folder-synced": ("engines.audit.pruning.sync_folder", durable.sync_folder),
}


class Crash(BaseException):
    """The process ends here."""


def deadly(call: Callable[..., Any], moment: int, when: str) -> Callable[..., Any]:
    """*call*, of which the one numbered *moment* is the last thing that happens."""
    numbers = itertools.count(1)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        last = next(numbers) == moment
        if last and when == "before":
            raise Crash
        result = call(*args, **kwargs)
        if last:
            raise Crash
        return result

    return wrapped


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_of_pruning_loses_nothing(
    root: Path, kept: list[bytes], monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """Ended at each such call in turn: the state, the proofs, and the next attempt stand."""
    was, (target, call) = state(root), STEPS[step]
    for moment in itertools.count(1):
        trial = shutil.copytree(root, root.parent / f"trial-{moment}")
        with monkeypatch.context() as patch:
            patch.setattr(target, deadly(call, moment, when))
            try:
                prune(trial)
                break
            except Crash:
                pass
        check_nothing_is_lost(trial, was, kept)
        prune(trial)
        assert RecordedJournal(zones(trial)).begin().seq > 0
        check_nothing_is_lost(trial, was, kept)
        assert audited(trial) == []
    assert moment > 1


def check_nothing_is_lost(root: Path, was: dict[str, Any], kept: list[bytes]) -> None:
    assert set(audited(root)) <= {"torn", "unacknowledged"}  # what a crash may leave at the end
    assert state(root) == was
    drop_snapshot(root)
    assert state(root) == was
    assert Auditing(Workspace(root)).prove("zones", 7, kept[7]).line == kept[7]
