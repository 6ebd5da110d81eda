"""
Power cuts, simulated: of the head any version since the last synced one may be on the disk.

The journal itself holds at least what was synced.  Whatever happened before the cut, every
acknowledged event is there afterwards, no batch is there by half, and the journal verifies.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import JournalWriteFailed
from engines.journal import Journal, verify
from engines.journal import journal as module
from engines.journal.head import Head, HeadFile


class Killed(BaseException):
    """The process ends here."""


class Machine:
    """Runs a writer, lets it fail, and knows what its disk may hold when the power goes."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.patch = patch
        self.journal = Journal(path)
        self.acknowledged: list[str] = []
        self.safe_size = 0
        self.heads: list[Head] = []  # the last synced one and all that were written since
        self.batches = 0
        write = HeadFile.write

        def watched(file: HeadFile, head: Head, *, durable: bool = False) -> None:
            write(file, head, durable=durable)
            self.heads = [head] if durable else [*self.heads, head]

        patch.setattr(HeadFile, "write", watched)

    def append(self, count: int) -> None:
        self.batches += 1
        batch = {"batch": self.batches, "of": count, "pad": "x" * 50}
        events = self.journal.append_many([("noted", batch)] * count)
        self.acknowledged += [event["event_hash"] for event in events]
        self.safe_size = self.path.stat().st_size

    def fail(self, count: int, name: str, fault: Callable) -> None:
        with self.patch.context() as patch:
            patch.setattr(
                *{"write": (module.os, "write"), "sync": (module, "sync_data")}[name], fault
            )
            with pytest.raises((JournalWriteFailed, Killed)):
                self.append(count)

    def full_disk(self, count: int) -> None:
        """Half of it fits."""
        write, room = os.write, [60 * count]

        def fault(fd: int, data: bytes) -> int:
            if not room:
                raise OSError(28, "No space left on device")
            return write(fd, data[: room.pop()])

        self.fail(count, "write", fault)

    def kill_in_write(self, count: int) -> None:
        """Half of it is written when the process ends."""
        write = os.write

        def fault(fd: int, data: bytes) -> int:
            write(fd, data[: len(data) * 2 // 3])
            raise Killed

        self.fail(count, "write", fault)
        self.journal = Journal(self.path)

    def kill_before_sync(self, count: int) -> None:
        """All of it is written when the process ends."""

        def fault(fd: int) -> None:
            raise Killed

        self.fail(count, "sync", fault)
        self.journal = Journal(self.path)

    def failed_sync(self, count: int) -> None:
        """The disk does not say that it has it, and another process goes on."""

        def fault(fd: int) -> None:
            raise OSError(5, "Input/output error")

        self.fail(count, "sync", fault)
        self.journal = Journal(self.path)

    def cut_power(self, folder: Path, head: Head, size: int) -> Path:
        """A disk on which the journal has *size* bytes and the head is *head*."""
        folder.mkdir()
        copy = folder / self.path.name
        copy.write_bytes(self.path.read_bytes()[:size])
        file = HeadFile(copy.with_suffix(".head"))
        file.lock(1)
        file.write(replace(head, boot="before the power cut"))
        file.close()
        return copy


STEPS = ("append", "full_disk", "kill_in_write", "kill_before_sync", "failed_sync")


@settings(max_examples=36)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 4)), min_size=1, max_size=8),
    arrived=st.floats(0, 1),
)
def test_what_was_acknowledged_survives_a_power_cut(
    new_path: Callable[[], Path], steps: list, arrived: float
) -> None:
    """Whatever succeeded, failed or was killed before it, and however old the head on the disk."""
    path = new_path()
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(path, patch)
        for name, count in steps:
            getattr(machine, name)(count)
        unsynced = path.stat().st_size - machine.safe_size
        for number, head in enumerate(list(machine.heads)):
            size = machine.safe_size + round(arrived * unsynced)
            check(machine.cut_power(path.parent / str(number), head, size), machine)


def check(path: Path, machine: Machine) -> None:
    """Every acknowledged event, no half batch, a sound journal."""
    before = list(Journal(path).events())
    Journal(path).append("noted", {"batch": 0, "of": 1})
    after = list(Journal(path).events())
    assert after[: len(before)] == before
    assert set(machine.acknowledged) <= {event["event_hash"] for event in before}
    noted = [event for event in after if event["event_type"] == "noted"]
    sizes = {event["batch"]: event["of"] for event in noted}
    assert Counter(event["batch"] for event in noted) == sizes
    assert verify(path).ok


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_batch_given_up_is_not_taken_for_one_under_way(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its note in the head was synced; the events acknowledged after it outlive a power cut."""
    machine = Machine(path, monkeypatch)
    machine.append(1)
    getattr(machine, step)(50)
    machine.append(1)
    oldest = machine.heads[0]
    check(machine.cut_power(path.parent / "cut", oldest, machine.safe_size), machine)
