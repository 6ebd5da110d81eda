"""The disk says no: what fails before the commit point leaves the journal as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines import durable
from engines.errors import JournalWriteFailed
from engines.journal import Journal, head, journal, verify
from tests.journal.conftest import Forge

Call = Callable[..., Any]

BATCH = [("noted", {"n": n, "pad": "x" * 200}) for n in range(100, 105)]


def fails_once(call: Call, error: int, *, on: int = 1) -> Call:
    """*call*, except that its *on*-th use raises."""
    count = 0

    def wrapped(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count == on:
            raise OSError(error, os.strerror(error))
        return call(*args)

    return wrapped


def full_after(room: int) -> Call:
    """`os.write` to a disk with *room* bytes left."""
    left = room
    write = os.write

    def wrapped(fd: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(fd, data[:left])
        left -= written
        return written

    return wrapped


drafts = pytest.mark.parametrize("drafts", [BATCH[:1], BATCH], ids=["one-event", "a-batch"])


@drafts
@pytest.mark.parametrize("room", [0, 1, 150, 300])
def test_a_full_disk_leaves_the_file_as_it_was(
    ten: Path, monkeypatch: pytest.MonkeyPatch, forge: Forge, drafts: list, room: int
) -> None:
    """What was half written is cut off again, and with room the same object goes on."""
    before, ours = ten.read_bytes(), Journal(ten)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", full_after(room))
        with pytest.raises(
            JournalWriteFailed, match="No space left on device; nothing was recorded"
        ):
            ours.append_many(drafts)
    assert ten.read_bytes() == before
    assert forge.head(ten).pending == 0
    assert verify(ten).ok
    assert ours.append("noted", {"n": "next"})["seq"] == 10
    assert verify(ten).lines == 11


def test_a_full_disk_at_the_very_beginning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal begins when there is room."""
    ours = Journal(path)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", full_after(100))
        with pytest.raises(JournalWriteFailed):
            ours.append("noted")
    assert list(Journal(path).events()) == []
    ours.append("noted")
    assert [event["event_type"] for event in Journal(path).events()] == ["journal_created", "noted"]
    assert verify(path).ok


def test_a_write_in_small_pieces_is_finished(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less than it is given."""
    write = os.write
    monkeypatch.setattr(journal.os, "write", lambda fd, data: write(fd, data[:7]))
    Journal(path).append_many(BATCH)
    assert verify(path).lines == 6


@drafts
def test_a_failed_sync_poisons_the_handle(
    ten: Path, monkeypatch: pytest.MonkeyPatch, drafts: list
) -> None:
    """Nothing more is written through it; the next one recovers from what is on the disk."""
    before, ours = ten.read_bytes(), Journal(ten)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "sync_data", fails_once(durable.sync_data, errno.EIO))
        with pytest.raises(JournalWriteFailed, match="could not be synced"):
            ours.append_many(drafts)
    after = ten.read_bytes()
    for attempt in range(3):
        with pytest.raises(JournalWriteFailed, match="an earlier write failed"):
            ours.append("noted", {"n": attempt})
    assert ten.read_bytes() == after
    assert len(list(ours.events())) == 10
    told = []
    Journal(ten, on_recovery=lambda *found: told.append(found)).append("noted", {"n": "next"})
    assert told[0][1].size == len(after) - len(before)
    assert [event.get("n") for event in Journal(ten).events()][9:] == [9, None, "next"]
    assert verify(ten).ok


def test_a_file_that_cannot_be_cut_back_poisons_the_handle(
    ten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half line stays for the next process to set aside."""
    ours = Journal(ten)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", full_after(50))
        patch.setattr(journal.os, "ftruncate", fails_once(os.ftruncate, errno.EIO))
        with pytest.raises(JournalWriteFailed):
            ours.append("noted")
    with pytest.raises(JournalWriteFailed, match="an earlier write failed"):
        ours.append("noted")
    Journal(ten).append("noted")
    assert verify(ten).lines == 12


@pytest.mark.parametrize(
    ("drafts", "on"),
    [
        pytest.param(BATCH[:1], 1, id="after-an-event"),
        pytest.param(BATCH, 1, id="before-a-batch"),
        pytest.param(BATCH, 2, id="after-a-batch"),
    ],
)
def test_a_head_that_cannot_be_written_fails_the_append(
    ten: Path, monkeypatch: pytest.MonkeyPatch, drafts: list, on: int
) -> None:
    """What the head does not name was not acknowledged; the handle is poisoned."""
    ours = Journal(ten)
    with monkeypatch.context() as patch:
        patch.setattr(head.os, "pwrite", fails_once(os.pwrite, errno.EIO, on=on))
        with pytest.raises(JournalWriteFailed, match=r"notes\.head: could not be written"):
            ours.append_many(drafts)
    with pytest.raises(JournalWriteFailed, match="an earlier write failed"):
        ours.append("noted")
    assert len(list(Journal(ten).events())) == 10
    Journal(ten).append("noted", {"n": "next"})
    assert Journal(ten).tail(1)[0]["n"] == "next"
    assert verify(ten).ok


def test_a_note_of_a_batch_that_cannot_be_synced_fails_the_batch(
    ten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it half a batch could not be told from whole lines after a power cut."""
    before = ten.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(head, "sync_data", fails_once(durable.sync_data, errno.EIO))
        with pytest.raises(JournalWriteFailed):
            Journal(ten).append_many(BATCH)
    assert ten.read_bytes() == before
    Journal(ten).append_many(BATCH)
    assert verify(ten).lines == 15


def test_a_folder_that_cannot_be_synced_fails_the_first_event(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's name might not survive a power cut."""
    ours = Journal(path)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "sync_folder", fails_once(durable.sync_folder, errno.EIO))
        with pytest.raises(JournalWriteFailed):
            ours.append("noted")
    with pytest.raises(JournalWriteFailed, match="an earlier write failed"):
        ours.append("noted")
    assert list(Journal(path).events()) == []


def test_a_file_left_empty_by_a_crash_gets_its_folder_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer that created it may have died before it did so itself."""
    path.touch()
    synced = []
    monkeypatch.setattr(journal, "sync_folder", synced.append)
    Journal(path).append("noted")
    assert synced == [path.parent]


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_folder_that_takes_no_files_is_an_error_that_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """Read-only, not ours, or over quota: a sentence, not a traceback."""
    opened = os.open

    def refuse(file: Path, flags: int, *args: int) -> int:
        if flags & (os.O_CREAT | os.O_RDWR):
            raise OSError(error, os.strerror(error))
        return opened(file, flags, *args)

    with monkeypatch.context() as patch:
        patch.setattr(head.os, "open", refuse)
        with pytest.raises(JournalWriteFailed, match=os.strerror(error)) as refusal:
            Journal(path).append("noted")
    assert refusal.value.hint
    assert list(path.parent.iterdir()) == []


def test_evidence_that_cannot_be_kept_leaves_the_tail_where_it_is(
    ten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is cut before it is safe elsewhere."""
    with ten.open("ab") as file:
        file.write(b"half a line")
    before = ten.read_bytes()
    with monkeypatch.context() as patch:
        failing = fails_once(durable.sync_data, errno.ENOSPC)
        patch.setattr("engines.journal.recovery.sync_data", failing)
        with pytest.raises(JournalWriteFailed):
            Journal(ten).append("noted")
    assert ten.read_bytes() == before
    Journal(ten).append("noted")
    assert verify(ten).lines == 12


def test_an_interrupted_writer_recovers_by_itself(
    ten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the write and the head: the same object finds the file longer than it was."""
    ours = Journal(ten)
    ours.append("noted", {"n": 10})

    def interrupt(fd: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "sync_data", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ours.append("noted", {"n": 11})
    ours.append("noted", {"n": 12})
    assert [event.get("n") for event in ours.tail(3)] == [10, None, 12]
    assert verify(ten).ok


LIMITED = """
import resource, signal, sys
from engines.errors import JournalWriteFailed
from engines.journal import Journal, verify
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
acknowledged, size = 0, 0
try:
    while True:
        journal.append_many([("noted", {"n": acknowledged + n}) for n in range(5)])
        acknowledged, size = acknowledged + 5, journal.path.stat().st_size
except JournalWriteFailed as error:
    assert "File too large" in str(error), error
assert 15_000 < size == journal.path.stat().st_size < 20_000
assert verify(journal.path).lines == acknowledged + 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("noted", {"n": acknowledged})
print(acknowledged + 1)
"""


def test_a_disk_that_is_really_full_loses_nothing(path: Path) -> None:
    """The kernel itself takes half a batch and then no more."""
    root = Path(journal.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    notes = [event["n"] for event in Journal(path).events() if event["event_type"] == "noted"]
    assert notes == list(range(int(done.stdout)))
    assert verify(path).ok
