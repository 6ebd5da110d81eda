"""The examples in the help of `audit` can be typed as they stand, and work."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from dino_os import commands
from dino_os.audit_report import About, make_report
from dino_os.auditing import Auditing
from tests.audit.office import ZONE, inside_door, with_zones
from tests.commands.test_help import walk
from tests.conftest import Dino

# What stands for something of the reader's own, and what it is here.
OWN = {
    "dino.local/6f…+2c…+AZ…": "site.vkey",
    "dino.local/6f…": "dino.local/other",
    "other-site.vkey": "other.vkey",
    "zones.vkey": "site.vkey",
    "/mnt/usb/zones.note": "held.note",
    "/mnt/usb/memory": "memory",
    "/mnt/usb/2026-11": "stick/2026-11",
    "1204": "42",
    "2408": "46",
    "../other": ".",
    "site-a.vkey": "site.vkey",
    "2026-11-01": "2020-01-01",
    "2026-12-01": "2120-01-01",
}
RUN, ORDER = "540c5c3eeeb14eae9beb02a9b81c514f", "4f50af0cc2094b68"
# Need another machine, a second terminal, or what is said elsewhere about them.
ELSEWHERE = re.compile(r"submit|serve|--follow|sql|key new|key rotate|accept|cosign")


def examples() -> list[str]:
    """Each line, without the pipe that it may go into."""
    found = {
        line.strip().partition(" | ")[0].partition(" > ")[0]
        for _, command in walk(commands.audit, ("audit",))
        for line in (command.epilog or "").replace("Example:", "").splitlines()
        if line.strip().startswith("audit ")
    }
    return sorted(line for line in found if not ELSEWHERE.search(line))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with zones and runs, signed twice, and what one would have of it elsewhere."""
    root = tmp_path_factory.mktemp("made")
    (root / "config.yaml").write_text("security:\n  signing_key: w.key\n")
    site = with_zones(root, 40)
    auditing = Auditing(site)
    key = auditing.new_key(None)
    (root / "site.vkey").write_text(f"{key}\n")
    (root / "other.vkey").write_text(f"{key.as_witness()}\n")
    auditing.checkpoint(["zones"])
    for _ in range(4):
        site.zones.record_event(ZONE, kind="enter", note="Mission")
    site.journal("runs").append("ran", {"run_id": RUN})
    for name in ("orders", "engine_state"):
        site.journal(name).append("noted", {"order_id": ORDER})
    auditing.checkpoint()
    for name in ("run.zip", "november.zip"):
        (root / name).write_bytes(make_report(site, About("run", RUN)).content)
    shutil.copy(auditing.note_file("zones"), root / "held.note")
    (root / "line-41.tlog-proof").write_text(str(auditing.prove("zones", 41)))
    return root


@pytest.fixture
def inside(
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Dino:
    return inside_door(shutil.copytree(made, tmp_path / "w"), capsys, monkeypatch)


def test_the_examples_are_seen() -> None:
    assert len(examples()) >= 20
    assert "audit prove zones 41 --out line-41.tlog-proof" in examples()


@pytest.mark.parametrize("line", examples())
def test_an_example_works(inside: Dino, line: str) -> None:
    for text, own in OWN.items():
        line = line.replace(text, own)
    outcome = inside(*shlex.split(line)[1:])
    assert outcome.err == ""
