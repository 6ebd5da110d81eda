"""`dino run --once-per`: rule 11, a run that several crons start happens once in so long."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.run_once import Once, RunLedger
from engines.journal import Journal
from tests.conftest import Dino
from tests.skills.conftest import Write

NOTE = '''
from pathlib import Path

@skill(writes=["out/"])
def note(fail: bool = False, wait: bool = False) -> str:
    """Note a line."""
    if wait:
        while not Path("out/go").exists():
            pass
    if fail:
        raise RuntimeError("the pen is dry")
    with Path("out/notes").open("a") as file:
        file.write("x")
    return "noted"
'''
ONCE = ("--once-per", "24h", "--key", "daily")


@pytest.fixture
def desk(workspace: Path, write: Write, dino: Dino) -> Path:
    (workspace / "out").mkdir()
    write(NOTE)
    dino("grant", "note")
    return workspace


def notes(desk: Path) -> str:
    file = desk / "out" / "notes"
    return file.read_text() if file.exists() else ""


def test_rule_11_a_second_run_within_the_time_is_not_made(desk: Path, dino: Dino) -> None:
    """Exit 0: cron is told of nothing that is as it should be."""
    assert dino("run", "note", *ONCE).out == "noted\n"
    assert "not run: it ended well at" in dino("run", "note", *ONCE).out
    told = dino("run", "note", *ONCE, "--json").json
    assert (told["outcome"], told["key"]) == ("ok_no_action", "daily")
    assert notes(desk) == "x"
    dino("run", "note", "--once-per", "24h", "--key", "other")
    dino("run", "note")
    assert notes(desk) == "xxx"


def test_one_that_failed_does_not_count(desk: Path, dino: Dino) -> None:
    dino("run", "note", "--fail", *ONCE, code=1)
    assert dino("run", "note", *ONCE).out == "noted\n"


def test_without_a_key_it_goes_by_skill_and_parameters(desk: Path, dino: Dino) -> None:
    for arguments in ((), (), ("--no-fail",)):
        dino("run", "note", *arguments, "--once-per", "1h")
    assert notes(desk) == "xx"


def test_one_under_way_keeps_others_out(
    desk: Path, dino: Dino, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """Exit 4, with who it is; killed, it holds up nobody."""
    first = started("run", "note", "--wait", *ONCE)
    while not list((desk / "memory" / "once").glob("*.lock")):
        assert first.poll() is None
    while "busy" not in (told := dino("run", "note", *ONCE, "--no-wait", code=None)).err:
        assert notes(desk) == ""
    assert told.code == 4
    assert str(first.pid) in told.err
    first.kill()
    first.wait()
    assert dino("run", "note", *ONCE).out == "noted\n"


def test_the_key_alone_is_refused(desk: Path, dino: Dino) -> None:
    assert "--once-per" in dino("run", "note", "--key", "daily", code=2).err
    for empty in ("", "  "):
        refused = dino("run", "note", "--once-per", "24h", "--key", empty, code=2)
        assert "--key must not be empty" in refused.err


@pytest.mark.parametrize(("later_s", "counts"), [(0, True), (59, True), (60, False), (-1, False)])
def test_how_long_ago_is_the_clocks_to_say(tmp_path: Path, later_s: float, counts: bool) -> None:
    """One of the future, by a clock that was set back since, is of no known age."""
    now = [1_800_000_000.0]
    journal = Journal(tmp_path / "runs.jsonl", clock=lambda: now[0])
    ledger = RunLedger(journal, clock=lambda: now[0])
    once = Once(ledger, tmp_path, "daily", 60.0, by="ada")
    once.count("run-1")
    now[0] += later_s
    with once.turn() as last:
        assert (last is not None) == counts
