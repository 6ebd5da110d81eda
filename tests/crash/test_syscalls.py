"""
Every system call that touches a file, made to fail or made the last: nothing acknowledged is lost.

After Tessera's fault tests.  Each operation is listed call by call; then it is done again for each
call, in a workspace as it was before, and that one call meets its fault.  Where the same file is
looked at in the same way several times, each run draws which of them fails.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from engines.errors import DinoError
from tests.crash import strace
from tests.crash.aftermath import check_after, check_end
from tests.crash.nursery import Life, Nursery
from tests.crash.programs.operations import OF_A_JOURNAL, OF_A_WORKSPACE, prepare, settle
from tests.crash.strace import Call

pytestmark = pytest.mark.skipif(bool(strace.why_not()), reason=strace.why_not())

# A full disk speaks where something is written, made or brought to the disk.
TAKING_SPACE = {"write", "pwrite64", "fsync", "fdatasync", "rename", "link", "mkdir", "ftruncate"}
# Killed before any other call, a process leaves what it leaves when killed before the next of these.
CHANGING = TAKING_SPACE | {"truncate", "unlink", "chmod", "utimensat"}
OPENING = ("O_CREAT", "O_TRUNC")


class Fault(NamedTuple):
    """What strace is told, and the calls that can meet it; None is all."""

    how: str
    calls: set[str] | None = None

    def befalls(self, call: Call) -> bool:
        opens = call.name == "openat" and any(flag in call.text for flag in OPENING)
        return self.calls is None or call.name in self.calls or opens


FAULTS = {
    "EIO": Fault("error=EIO"),
    "ENOSPC": Fault("error=ENOSPC", TAKING_SPACE),
    "KILL": Fault("signal=KILL", CHANGING),
}


# Beyond appending, rotating, signing and snapshots, reads that fail are left to `test_full_disk`.
ONLY_CHANGES = {"pack", "checkpoint_of_the_whole", "prune", "replace_key"}
SHARES = {("checkpoint", "EIO"): 2}


def cases() -> list[tuple[str, str, int]]:
    return [
        (operation, fault, share)
        for operation in (*OF_A_JOURNAL, *OF_A_WORKSPACE)
        for fault in FAULTS
        for share in range(SHARES.get((operation, fault), 1))
    ]


def apart(calls: list[Call], chance: Random) -> list[Call]:
    """All that change something; of those that look at the same file in the same way any one."""
    looks: dict[str, list[Call]] = {}
    for call in calls:
        changes = FAULTS["KILL"].befalls(call)
        looks.setdefault(f"{call.name} {call.number}" if changes else call.kind, []).append(call)
    return [chance.choice(some) for some in looks.values()]


class Stage:
    """A prepared workspace, of which every attempt gets one as new."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self._folder = folder
        self._nursery = nursery
        self._prepared = folder / "prepared"

    def begin(self, operation: str, name: str) -> tuple[Path, Life]:
        """A folder, and a process that has stopped just before it does the operation there."""
        if not self._prepared.exists():
            self._prepared.mkdir()
            prepare(operation, self._prepared)
        folder = self._folder / name
        shutil.copytree(self._prepared, folder)
        settle(folder)
        return folder, self._nursery.start("operations", operation, folder, stopped=True)

    def calls_of(self, operation: str) -> list[Call]:
        folder, life = self.begin(operation, f"{operation}-listed")
        calls = strace.calls_of(life, self._folder / "log")
        assert life.said[-1] == {"end": "done"}, life.said
        shutil.rmtree(folder)
        return calls

    def attempt(self, operation: str, call: Call, fault: str) -> None:
        folder, life = self.begin(operation, f"{operation}-{call.name}-{call.number}")
        code = strace.inject(life, self._folder / "log", call, fault)
        said = life.said
        if code == 0:
            check_end(operation, said[-1])
        check_after(folder, operation, said)
        shutil.rmtree(folder)


@pytest.fixture
def stage(tmp_path: Path, nursery: Nursery) -> Stage:
    return Stage(tmp_path, nursery)


@pytest.mark.parametrize(("operation", "fault", "share"), cases())
def test_whichever_call_fails_nothing_is_lost_and_the_next_process_goes_on(
    stage: Stage, chance: Random, operation: str, fault: str, share: int
) -> None:
    """In each case a *share* of the calls, so that the cases take about as long as one another."""
    meant = FAULTS["KILL" if operation in ONLY_CHANGES and fault == "EIO" else fault]
    calls = [call for call in stage.calls_of(operation) if meant.befalls(call)]
    calls = apart(calls, chance)[share :: SHARES.get((operation, fault), 1)]
    assert len(calls) > 3
    calls = chance.sample(calls, max(4, len(calls) // 2))  # the others in other runs
    wrong = []
    for call in calls:
        try:
            stage.attempt(operation, call, FAULTS[fault].how)
        except (AssertionError, DinoError, OSError) as error:
            wrong.append(f"{call.name} {call.number}: {call.text}: {error!r}")
    assert not wrong, "\n".join(wrong)
