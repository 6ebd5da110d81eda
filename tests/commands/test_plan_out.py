"""`dino plan-cycle --out FILE`: the whole plan in a file, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Dino, environment
from tests.desk import contents

OLD = b"an older plan"
# A disk that fills up between the record and the file.
FULL = """
import os, engines.durable
def full(path, content):
    raise OSError(28, os.strerror(28))
engines.durable.replace_file = full
from dino_os.commands import dino
dino(prog_name="dino")
"""


def test_the_file_holds_what_json_shows(desk: Path, dino: Dino) -> None:
    """The same document, over lines for people; and the terminal's text beside it."""
    shown = dino("plan-cycle", "scenario.yaml", "--json", "--out", "plan.json").json
    assert json.loads((desk / "plan.json").read_text()) == shown
    assert (
        "the whole plan is in plan.json"
        in dino("plan-cycle", "scenario.yaml", "--out", "plan.json").out
    )
    assert json.loads((desk / "plan.json").read_text())["cycle"] == 2


def test_an_older_file_is_replaced_and_nothing_else_is_left(desk: Path, dino: Dino) -> None:
    """With the rights it had; through a link, where that leads."""
    (desk / "plans").mkdir()
    real, link = desk / "plans" / "plan.json", desk / "latest.json"
    real.write_bytes(OLD)
    real.chmod(0o600)
    link.symlink_to(real)
    dino("plan-cycle", "scenario.yaml", "--dry-run", "--out", link)
    assert json.loads(real.read_text())["scenario"] == "desk"
    assert real.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert [path.name for path in real.parent.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("nowhere/plan.json", "--out nowhere/plan.json: no folder nowhere"),
        ("scenario.yaml/plan.json", "no folder scenario.yaml"),
        (".", "--out .: cannot be written"),
        ("", "--out .: cannot be written"),
        ("skills", "--out skills: cannot be written"),
        ("/dev/null", "--out /dev/null: cannot be written"),
        ("memory", "--out memory: cannot be written"),
        ("memory/cycles.jsonl", "is kept for the record"),
        ("memory/plan.json", "is kept for the record"),
        ("skills/../memory/zones.head", "is kept for the record"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_recorded(
    desk: Path, dino: Dino, out: str, message: str
) -> None:
    """A plan that is recorded and then lost would have to be planned again."""
    dino("zone", "import", "zones.yaml")
    before = contents(desk)
    outcome = dino("plan-cycle", "scenario.yaml", "--out", out, code=2)
    assert message in outcome.err
    assert outcome.out == ""
    assert contents(desk) == before


def test_a_disk_that_fills_up_meanwhile_leaves_the_older_file(desk: Path, dino: Dino) -> None:
    """The cycle stands, and the message says where to find it."""
    (desk / "plan.json").write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-c", FULL, "plan-cycle", "scenario.yaml", "--out", "plan.json"],
        cwd=desk,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "dino: --out plan.json: No space left on device",
        "      cycle 1 is recorded all the same: `dino cycle show 1 --json`",
    ]
    assert (desk / "plan.json").read_bytes() == OLD
    assert len(dino("cycle", "show", 1, "--json").json["tasks"]) == 2
