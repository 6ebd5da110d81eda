"""The record itself is bad: torn, edited, not to be written, or the disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Dino, Outcome, environment
from tests.desk import contents

PLAN = ("plan-cycle", "scenario.yaml")
JOURNALS = ("cycles", "sectors", "zones")
SMALL_DISK = """
import resource, sys
sys.dont_write_bytecode = True  # half a .pyc would stay and break the next process
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
from dino_os.commands import dino
dino(prog_name="dino")
"""


def told(outcome: Outcome) -> str:
    """The message, which is a line or two and nothing else."""
    lines = outcome.err.splitlines()
    assert outcome.out == ""
    assert 1 <= len(lines) <= 2
    assert lines[0].startswith("dino: ")
    return lines[0]


@pytest.mark.parametrize("name", JOURNALS)
def test_a_torn_tail_heals_and_is_told(desk: Path, dino: Dino, name: str) -> None:
    """What was never acknowledged is kept aside; the next cycle goes on behind what was."""
    dino(*PLAN)
    journal, tail = desk / "memory" / f"{name}.jsonl", b'{"seq":9,"event_type":"zo'
    whole = journal.read_bytes()
    journal.write_bytes(whole + tail)
    assert f"{journal}:{len(whole.splitlines()) + 1}" in dino("hashchain", code=1).out
    outcome = dino(*PLAN, "--json")
    assert outcome.json["cycle"] == 2
    assert outcome.err.startswith(
        f"dino: {name}.jsonl: {len(tail)} bytes that were never acknowledged were moved to {name}."
    )
    (aside,) = (desk / "memory").glob(f"{name}.unacknowledged-*")
    assert aside.read_bytes() == tail
    assert journal.read_bytes().startswith(whole)
    assert dino("hashchain", "--json").json["ok"]


@pytest.mark.parametrize("name", JOURNALS)
def test_an_edited_journal_is_refused_and_not_touched(desk: Path, dino: Dino, name: str) -> None:
    """Nothing is decided on a record that does not stand: exit 1, and the place is named."""
    dino(*PLAN)
    journal = desk / "memory" / f"{name}.jsonl"
    data = bytearray(journal.read_bytes())
    data[data.index(b"\n") + 30] ^= 1
    journal.write_bytes(data)
    before = contents(desk)
    outcome = dino(*PLAN, code=1)
    assert told(outcome).startswith(f"dino: {journal}:2: ")
    assert "audit hashchain" in outcome.err
    assert dino(*PLAN, "--json", code=1).error["code"] == "journal_broken"
    assert f"{journal}:2: " in dino(*PLAN, "--dry-run", code=1).err
    assert contents(desk) == before


def test_a_lost_journal_is_not_begun_anew(desk: Path, dino: Dino) -> None:
    """Its head remembers it."""
    dino(*PLAN)
    (desk / "memory" / "zones.jsonl").unlink()
    before = contents(desk)
    assert "missing: the file is gone" in told(dino(*PLAN, code=1))
    assert "BROKEN  zones" in dino("hashchain", code=1).out
    assert contents(desk) == before


@pytest.mark.parametrize(
    "arguments", [PLAN, (*PLAN, "--dry-run"), ("zone", "add", "A", "--boundary", 0, 1, 0, 1)]
)
def test_a_file_in_the_place_of_the_memory_is_told(
    desk: Path, dino: Dino, arguments: tuple[object, ...]
) -> None:
    """A workspace in which nothing can be recorded."""
    (desk / "memory").write_text("not a folder")
    before = contents(desk)
    message = told(dino(*arguments, code=1))
    assert str(desk / "memory") in message
    assert message.endswith("Not a directory")
    assert contents(desk) == before


def test_a_memory_that_cannot_be_looked_into_does_not_pass_for_empty(
    desk: Path, dino: Dino
) -> None:
    """An auditor is not told that all is well."""
    assert dino("hashchain").out == "no journals yet\n"
    (desk / "memory").write_text("not a folder")
    assert told(dino("hashchain", code=1)) == f"dino: {desk / 'memory'}: Not a directory"
    assert dino("status", code=1).out.startswith(f"{desk}: NOT HEALTHY\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_memory_without_the_right_to_write_is_told(desk: Path, dino: Dino) -> None:
    """What was recorded can still be read."""
    dino(*PLAN)
    memory = desk / "memory"
    for path in (*memory.iterdir(), memory):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = contents(desk)
    assert told(dino(*PLAN, code=1)).endswith("Permission denied")
    assert dino(*PLAN, "--dry-run", "--json").json["cycle"] == 2
    assert contents(desk) == before
    memory.chmod(0o755)


@pytest.mark.parametrize("history", [0, 1], ids=["new-workspace", "with-history"])
@pytest.mark.parametrize("room", [40, 385, 700, 1100, 1500, 2000, 3000])
def test_a_full_disk_leaves_a_record_that_verifies(
    desk: Path, dino: Dino, room: int, history: int
) -> None:
    """Wherever it fills up: the cycle is wholly there or wholly absent, the next one goes on."""
    for _ in range(history):
        dino(*PLAN)
    command = [sys.executable, "-c", SMALL_DISK, str(room), *PLAN]
    env = environment(PYTHONPATH=str(REPOSITORY))
    done = subprocess.run(command, cwd=desk, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        assert done.returncode == 1
        message = told(Outcome(done.returncode, done.stdout, done.stderr))
        assert "File too large; nothing was recorded" in message
    assert dino("hashchain", "--json").json["ok"]
    planned = len(dino("cycle", "list", "--json").json["cycles"])
    assert planned == history + (done.returncode == 0)
    report = dino(*PLAN, "--json").json
    assert report["cycle"] == planned + 1
    assert report["zone_snapshots"]["Mole"]["occupancy"] == planned + 1
    assert dino("hashchain", "--json").json["ok"]
