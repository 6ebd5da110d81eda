"""
Power cuts at every moment: thousands of states of a disk, each opened by the next process.

The real code runs once per scenario while strace records what reaches the file system; `disk` works
out what may be found if the power goes in between: about 70,000 states of 1,600 kinds (at which
moment, which file or name, how torn).  Each run draws others of every kind.  In every such state what
was acknowledged is there, no batch is by half, the journal verifies and goes on, and so do its engines
and checkpoints.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from random import Random

import pytest

from engines.journal import head as head_module
from engines.journal import journal as journal_module
from tests.crash import afterwards
from tests.crash.afterwards import History, check_first, check_journal, check_workspace
from tests.crash.disk import Crash, crashes
from tests.crash.trace import Step, record

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

Check = Callable[[Path, Crash], None]

journals = [
    "first_single",
    "first_batch",
    "single",
    "batch",
    "group",
    "recovery",
    "full_disk",
    "rotation",
    "compression",
]
workspaces = [
    ("first_of_a_workspace", check_first),
    ("checkpoint", check_workspace),
    ("snapshot", check_workspace),
    ("pruning", check_workspace),
]


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder in memory where there is one: ten thousand disks are laid out in it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def settings(ground: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Those of the traced process and ours: small files, and the key outside of what is lost."""
    key = str(ground / "key")
    found = {"DINO_MEMORY__ROTATE_BYTES": "1500", "DINO_SECURITY__SIGNING_KEY": key, "USER": "ada"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def traced(scenario: str, ground: Path, settings: dict[str, str]) -> list[Step]:
    (ground / "traced").mkdir()
    return record("traced", scenario, root=ground / "traced", **settings)


def failures(found: list[Crash], ground: Path, patch: pytest.MonkeyPatch, check: Check) -> str:
    """Lay out and check each, as after another boot; what went wrong in how many, by its kind."""
    for module in (head_module, journal_module):
        patch.setattr(module, "boot_id", lambda: "after the power cut")
    wrong: dict[str, list[str]] = {}
    for number, crash in enumerate(found):
        root = crash.lay_out(ground / str(number))
        try:
            with redirect_stderr(io.StringIO()):  # recoveries are reported there
                check(root, crash)
        except Exception as error:  # noqa: BLE001  every state is looked at, and all are counted
            frames = traceback.extract_tb(error.__traceback__)
            law = [frame for frame in frames if frame.filename == afterwards.__file__][-1]
            kind = f"{law.name}:{law.lineno} {law.line}: {type(error).__name__}"
            last = [mark.said for mark in crash.said[-1:]]
            wrong.setdefault(kind, []).append(f"{error}; {crash.state.kind}, after {last}")
        shutil.rmtree(root)
    return "\n".join(
        f"{len(some)} of {len(found)}: {kind}: {some[0]}" for kind, some in wrong.items()
    )


# Of a workspace's states a run; checking one takes 20 ms, and each run draws others.
MOST = 120


@pytest.mark.parametrize("scenario", journals)
def test_a_journal_survives_a_power_cut_at_any_moment(
    ground: Path,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    chance: Random,
    *,
    scenario: str,
) -> None:
    found = crashes(traced(scenario, ground, settings), 2, chance=chance)
    assert len(found) > 25
    wrong = failures(found, ground, monkeypatch, check_journal)
    assert not wrong, wrong


@pytest.mark.parametrize(("scenario", "check"), workspaces)
def test_a_workspace_survives_a_power_cut_at_any_moment(
    ground: Path,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    chance: Random,
    *,
    scenario: str,
    check: Callable[..., None],
) -> None:
    """State, checkpoints and snapshots are those of the lines, and nothing handed out is taken back."""
    steps = traced(scenario, ground, settings)
    found = crashes(steps, 1, chance=chance)
    assert len(found) > 20
    found = chance.sample(found, min(len(found), MOST))
    wrong = failures(found, ground, monkeypatch, partial(check, history=History.of(steps)))
    assert not wrong, wrong
