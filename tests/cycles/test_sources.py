"""What each source gives, what of it is new, and what becomes of a source that cannot be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import DinoError, InvalidInput
from dino_os.planning import feeds, files
from dino_os.planning.cycle_report import CycleReport
from dino_os.web_calls import Unreachable
from dino_os.workspace import Workspace
from engines.journal import files_of
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.cycles.conftest import Run
from tests.cycles.duty import ALERTS, CALLS, DROPS, alert, check, drop, payload, write_duty
from tests.cycles.receiver import Receiver
from tests.desk import SIGNAL, calls_text, contents

needs_sandbox = pytest.mark.skipif(not shutil.which("bwrap"), reason="no bubblewrap")
RECORD = {"id": "W-1", "place": "Mole", "net": "North", "kind": "alarm", "hours": 1}


def ids(report: CycleReport) -> list[str | None]:
    return [signal.task_identifier for signal in report.intake.signals]


def source(report: CycleReport, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = report.as_dict()["sources"][index]
    return found


def why(report: CycleReport) -> list[tuple[str, str, int]]:
    return [(row.source, row.file, row.line) for row in report.intake.rejected]


# --- files -------------------------------------------------------------------------------------


def test_a_file_is_counted_once_until_it_changes(duty: Path, run: Run) -> None:
    """And each time where it is told so."""
    assert ids(run()) == ["C-1", "C-2"]
    again = run()
    assert (again.outcome, source(again)["outcome"]) == ("ok_no_action", "unchanged")
    (duty / "calls.csv").write_text(calls_text([check("C-9")]))
    assert ids(run()) == ["C-9"]
    kept = {**CALLS, "done": "keep"}
    assert ids(run(sources=[kept])) == ids(run()) == ["C-1", "C-2"]


def test_each_file_of_a_pattern_is_counted_once(duty: Path, run: Run) -> None:
    drop(duty, "a.csv", [check("A")])
    drop(duty, "b.csv", [check("B")])
    first = run(sources=[DROPS])
    assert ids(first) == ["A", "B"]
    drop(duty, "c.csv", [check("C")])
    assert ids(run()) == ["C"]


def test_what_was_counted_is_moved_and_the_next_of_that_name_is_new(duty: Path, run: Run) -> None:
    """Also where it is the same to the byte; nothing that lies there already is overwritten."""
    moving = {**DROPS, "done": "move-to done/today"}
    for number in range(3):
        drop(duty, "a.csv", [check("A", hours="2" if number == 2 else "1")])
        report = run(sources=[moving])
        assert (ids(report), report.moved) == (["A"], 1)
    assert sorted(path.name for path in (duty / "done/today").iterdir()) == ["a-2.csv", "a.csv"]
    assert list((duty / "in").iterdir()) == []


def test_a_file_that_cannot_be_moved_is_told_and_not_counted_again(duty: Path, run: Run) -> None:
    drop(duty, "a.csv", [check("A")])
    (duty / "done").write_text("in the way")
    first = run(sources=[{**DROPS, "done": "move-to done"}])
    assert ids(first) == ["A"]
    assert "could not be moved" in first.not_moved[0]
    (duty / "done").unlink()
    second = run()
    assert (ids(second), second.moved, second.not_moved) == ([], 1, [])


def test_what_was_moved_below_the_pattern_is_not_looked_at_again(duty: Path, run: Run) -> None:
    """It was counted there, and it is the only one there is."""
    drop(duty, "a.csv", [check("A")])
    moving = {**DROPS, "glob": "in/**/*.csv", "done": "move-to in/done"}
    assert [ids(run(sources=[moving])), ids(run()), ids(run())] == [["A"], [], []]
    assert contents(duty / "in") == {"done/a.csv": calls_text([check("A")]).encode()}


@pytest.mark.parametrize("kind", ["file", "alertmanager"])
def test_a_file_that_lies_where_it_is_to_go_stays_there(duty: Path, run: Run, kind: str) -> None:
    """By whatever name the folder is called."""
    text = payload(alert("A")) if kind == "alertmanager" else calls_text([check("A")])
    (duty / "in").mkdir()
    (duty / "also").symlink_to("in")
    (duty / "in" / "a.csv").write_text(text)
    odd = {"name": "odd", kind: "in/a.csv", "map": "map.yaml", "done": "move-to also"}
    if kind == "alertmanager":
        odd["map"] = "alerts.yaml"
    assert [ids(run(sources=[odd])), ids(run()), ids(run())] == [["A"], [], []]
    assert (duty / "in" / "a.csv").read_text() == text


def test_a_link_is_no_copy(duty: Path, run: Run) -> None:
    """One in the folder may lead to the very file; one that is counted is moved as what it names."""
    text = calls_text([check("A")])
    drop(duty, "a.csv", [check("A")])
    (duty / "done").mkdir()
    (duty / "done" / "a.csv").symlink_to("../in/a.csv")
    (duty / "far.csv").write_text(calls_text([check("B")]))
    (duty / "in" / "b.csv").symlink_to("../far.csv")
    assert ids(run(sources=[{**DROPS, "done": "move-to done"}])) == ["A", "B"]
    assert (duty / "done" / "a-2.csv").read_text() == text
    assert not (duty / "done" / "b.csv").is_symlink()
    assert (duty / "done" / "b.csv").read_text() == (duty / "far.csv").read_text()
    assert list((duty / "in").iterdir()) == []


def test_a_name_that_cannot_be_written_down_is_that_files_problem(duty: Path, run: Run) -> None:
    drop(duty, "a.csv", [check("A")])
    odd = os.fsencode(duty / "in") + b"/b\xff.csv"
    try:
        Path(os.fsdecode(odd)).write_text(calls_text([check("B")]))
    except OSError:
        pytest.skip("this disk has no such names")
    report = run(sources=[DROPS])
    assert ids(report) == ["A"]
    (problem,) = source(report)["problems"]
    assert problem.endswith("/in/b\\xff.csv: its name is not UTF-8; rename it")
    Path(os.fsdecode(odd)).rename(duty / "in" / "b.csv")
    assert ids(run()) == ["B"]


# --- what is remembered of files ---------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read to be told apart."""
    found: list[str] = []

    def read_bytes(path: Path) -> bytes:
        found.append(path.name)
        return path.read_bytes()

    monkeypatch.setattr(files, "read_bytes", read_bytes)
    return found


@pytest.mark.parametrize("kind", ["glob", "alertmanager"])
def test_what_is_as_it_was_is_not_read_again(
    duty: Path, run: Run, reads: list[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its size, times and inode say so; where they differ its content decides."""
    monkeypatch.setattr(files, "_SETTLED_S", -1000)
    drop(duty, "a.csv", [check("QA")])
    write_duty(duty, sources=[DROPS])
    if kind == "alertmanager":
        (duty / "in" / "a.csv").write_text(payload(alert("QA")))
        write_duty(duty, sources=[{**ALERTS, "alertmanager": "in"}])
    assert ids(run()) == ["QA"]
    reads.clear()
    assert (ids(run()), reads) == ([], [])
    os.utime(duty / "in" / "a.csv", (1, 1))
    assert (ids(run()), reads) == ([], ["a.csv"])
    assert (ids(run()), reads) == ([], ["a.csv"])
    text = (duty / "in" / "a.csv").read_text()
    (duty / "in" / "a.csv").write_text(text.replace("QA", "QB"))
    os.utime(duty / "in" / "a.csv", (1, 1))
    assert ids(run()) == ["QB"]


def test_what_was_written_just_now_is_read_again(duty: Path, run: Run, reads: list[str]) -> None:
    """A second write may leave the very times of the first."""
    drop(duty, "a.csv", [check("A")])
    assert ids(run(sources=[DROPS])) == ["A"]
    reads.clear()
    assert (ids(run()), reads) == ([], ["a.csv"])


def test_of_many_new_files_a_run_takes_so_many_and_the_next_goes_on(
    duty: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many were counted before; but where each is read each time there is no going on."""
    monkeypatch.setattr(feeds, "AT_ONCE", 2)
    for name in "abcde":
        drop(duty, f"{name}.csv", [check(name)])
    first = run(sources=[DROPS])
    assert ids(first) == ["a", "b"]
    assert source(first)["problems"] == ["in/*.csv: more than 2 new files; the next run goes on"]
    assert [ids(run()), ids(run()), ids(run())] == [["c", "d"], ["e"], []]
    kept = run(sources=[{**DROPS, "done": "keep"}])
    assert source(kept)["reason"] == "in/*.csv: more than 2 files to be read each time"


def test_files_that_are_gone_are_forgotten_the_oldest_first(
    duty: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never those that are there, however many they are: they would be counted again."""
    monkeypatch.setattr(files, "_GONE", 2)
    write_duty(duty, sources=[DROPS])
    for name in "abcdef":
        drop(duty, f"{name}.csv", [check(name)])
        run()
    for name in "bcd":
        (duty / "in" / f"{name}.csv").unlink()
    assert ids(run()) == []
    content = Workspace(duty).cycle_runs.memory_of("drops").content
    assert sorted(content) == [f"in/{name}.csv" for name in "acdef"]


def test_one_broken_file_holds_up_no_other(duty: Path, run: Run) -> None:
    """It is told each time, until it is repaired; where all are required, nothing is planned."""
    drop(duty, "a.csv", [check("A")])
    broken = drop(duty, "b.csv", [])
    broken.write_text("id,id\n")
    os.mkfifo(duty / "in" / "c.csv")  # a reader would wait for ever
    report = run(sources=[DROPS])
    assert ids(report) == ["A"]
    assert "two columns are named 'id'" in source(report)["problems"][0]
    again = run()
    assert source(again)["outcome"] == "skipped"
    with pytest.raises(InvalidInput, match="two columns"):
        run(sources=[{**DROPS, "required": True}])
    broken.write_text(calls_text([check("B")]))
    assert ids(run(sources=[DROPS])) == ["B"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"file": "nowhere.csv"}, "no such file"),
        ({"file": "in"}, "not a regular file"),
        ({"file": "x.csv"}, "has no column 'place'"),
        ({"file": "x.odt"}, "no reader for files ending in '.odt'"),
    ],
)
def test_a_source_that_cannot_be_read_is_left_out_with_the_reason(
    duty: Path, run: Run, wrong: dict[str, Any], said: str
) -> None:
    (duty / "in").mkdir()
    (duty / "x.csv").write_text("name\nx\n")
    (duty / "x.odt").write_text("")
    odd = {"name": "odd", "map": "map.yaml", **wrong}
    report = run(sources=[odd, CALLS])
    assert ids(report) == ["C-1", "C-2"]
    assert source(report)["outcome"] == "skipped"
    assert said in source(report)["reason"]
    before = [path.name for path in (duty / "memory").iterdir()]
    with pytest.raises(DinoError, match=said):
        run(sources=[{**odd, "required": True}, {**CALLS, "done": "keep"}])
    assert before == [path.name for path in (duty / "memory").iterdir()]


def test_twins_are_refused_across_sources_and_rejected_records_told(duty: Path, run: Run) -> None:
    """With source, file, line and reason; one that is known stays where it was met first."""
    drop(duty, "a.csv", [check("C-1"), check("X", place="Nowhere"), check("Y", kind="odd")])
    report = run(sources=[CALLS, DROPS])
    assert ids(report) == ["C-1", "C-2"]
    reasons = {row.line: row.reason for row in report.intake.rejected}
    assert reasons[2] == "identifier 'C-1' is taken already, by line 2 of calls.csv (calls)"
    assert "'Nowhere'" in reasons[3]
    assert "'odd' is not in the table" in reasons[4]
    assert set(why(report)) == {("drops", "a.csv", line) for line in (2, 3, 4)}
    assert (source(report, 1)["records"], source(report, 1)["rejected"]) == (3, 3)


def test_signals_need_no_map(duty: Path, run: Run) -> None:
    """Those of unknown places are rejected, and hold up no other."""
    signals = [SIGNAL, {**SIGNAL, "zone": "Mol"}, {**SIGNAL, "sector": "x"}]
    (duty / "s.json").write_text(json.dumps(signals))
    report = run(sources=[{"name": "ready", "file": "s.json"}])
    assert len(report.intake.signals) == 1
    assert [row.reason for row in report.intake.rejected] == [
        "unknown zone 'Mol' (did you mean 'Mole'?)",
        "unknown sector 'x'",
    ]


def test_records_are_remembered_by_their_identifier(duty: Path, run: Run) -> None:
    """So that of a list that grows only what is new is counted."""
    growing = {**CALLS, "done": "remember-records"}
    (duty / "calls.csv").write_text(calls_text([check("A")]))
    write_duty(duty, sources=[growing])
    (duty / "calls.csv").write_text(calls_text([check("A")]))
    assert ids(run()) == ["A"]
    (duty / "calls.csv").write_text(calls_text([check("A"), check("B")]))
    report = run()
    assert (ids(report), source(report)["known"]) == (["B"], 1)


# --- skills ------------------------------------------------------------------------------------

SENSORS = """
from dino_os import skill


@skill
def sensors(place: str = "Mole", fail: bool = False) -> dict:
    if fail:
        raise ValueError("no sensor answers")
    record = {"id": "S-1", "place": place, "net": "North", "kind": "alarm", "hours": 1}
    return {"data": {"items": [record, {**record, "id": "S-2", "place": "Nowhere"}, 7]}}
"""


@needs_sandbox
def test_a_skills_result_is_records(duty: Path, run: Run) -> None:
    """Its run is on record; the same result again is nothing new; one that fails is left out."""
    (duty / "skills" / "sensors.py").write_text(SENSORS)
    sensors = {"name": "s", "skill": "sensors", "at": "data.items", "map": "map.yaml"}
    report = run(sources=[sensors])
    assert ids(report) == ["S-1"]
    assert set(why(report)) == {("s", "skill 'sensors'", line) for line in (2, 3)}
    assert run().outcome == "ok_no_action"
    assert (duty / "memory" / "runs.jsonl").read_text().count('"run_finished"') == 2
    failing = run(sources=[{**sensors, "params": {"fail": True}}])
    assert "no sensor answers" in source(failing)["reason"]
    odd = run(sources=[{**sensors, "at": "data.list"}])
    assert source(odd)["reason"] == "skill 'sensors': there is no 'data.list' in it"


def test_a_dry_run_runs_no_skill(duty: Path, run: Run) -> None:
    """What one does is recorded, and a dry run records nothing."""
    (duty / "skills" / "sensors.py").write_text(SENSORS)
    report = run(rehearsal=True, sources=[{"name": "s", "skill": "sensors", "map": "map.yaml"}])
    assert "a dry run runs no skill" in source(report)["reason"]
    assert not (duty / "memory").exists()


# --- addresses ---------------------------------------------------------------------------------


def web(receiver: Receiver, **more: Any) -> dict[str, Any]:
    http = {"url": f"{receiver.url}/calls", **more.pop("http", {})}
    return {"name": "web", "http": http, "map": "map.yaml", **more}


def test_an_address_is_asked_only_for_what_is_new(run: Run, receiver: Receiver) -> None:
    """With what it said of its last answer; that counts once the cycle is planned."""
    receiver.headers = {"ETag": '"1"', "Content-Type": "application/json"}
    receiver.body = json.dumps(
        {"calls": [RECORD, {**RECORD, "id": "W-2", "net": 5}]}, indent=1
    ).encode()
    report = run(sources=[web(receiver, at="calls")])
    assert ids(report) == ["W-1"]
    assert why(report) == [("web", "web", 10)]
    assert run().outcome == "ok_no_action"
    assert receiver.requests[-1][1]["if-none-match"] == '"1"'
    receiver.headers["ETag"] = '"2"'  # it says that it changed, and did not
    assert run().outcome == "ok_no_action"
    receiver.headers["ETag"] = '"3"'
    receiver.body = json.dumps({"calls": [{**RECORD, "id": "W-3"}]}).encode()
    assert ids(run()) == ["W-3"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv; charset=utf-8", calls_text([check("W-1")])),
        ("application/x-ndjson", json.dumps(RECORD) + "\n"),
        ("application/json", json.dumps([RECORD])),
    ],
)
def test_the_form_of_an_answer_is_what_it_says(
    run: Run, receiver: Receiver, kind: str, body: str
) -> None:
    receiver.headers, receiver.body = {"Content-Type": kind}, body.encode()
    assert ids(run(sources=[web(receiver)])) == ["W-1"]


@pytest.mark.parametrize(
    ("answer", "body", "said"),
    [
        (500, b"", "answered with status 500"),
        (302, b"", "answered with status 302, which leads to http://elsewhere/"),
        ("drop", b"", "not an answer of the web"),
        ("hang", b"", "no answer within 0.3 s"),
        (200, b"[", "web:1: not JSON"),
        (200, b"{}", "web: expected a list of records, found {}"),
        (200, b"\xff", "web: not UTF-8"),
        (200, b"x" * 1001, "more than 1,000 bytes"),
    ],
)
def test_an_address_that_gives_nothing_is_left_out_and_asked_again(
    run: Run, receiver: Receiver, answer: Any, body: bytes, said: str
) -> None:
    """Offline is normal: the others are planned."""
    receiver.answers, receiver.body = [answer], body
    receiver.headers = {"Location": "http://elsewhere/?secret"}
    asked = web(receiver, http={"timeout": "300ms", "most": "1000B"})
    report = run(sources=[asked, CALLS])
    assert ids(report) == ["C-1", "C-2"]
    assert said in source(report)["reason"]
    assert "secret" not in json.dumps(report.as_dict())
    receiver.released.set()
    receiver.answers, receiver.body = [200], json.dumps([RECORD]).encode()
    assert ids(run()) == ["W-1"]
    receiver.answers = [503]
    with pytest.raises(Unreachable) as caught:
        run(sources=[{**asked, "required": True}])
    assert caught.value.exit_code == 4


def test_what_stands_in_an_address_is_recorded_nowhere(
    duty: Path, dino: Dino, receiver: Receiver
) -> None:
    """Nor shown: a query is often a key.  That it is another address is known all the same."""
    canary = "canary-51ab"
    receiver.headers, receiver.body = {"ETag": '"1"'}, json.dumps([RECORD]).encode()
    write_duty(duty, sources=[{"http": f"{receiver.url}/calls?key={canary}", "map": "map.yaml"}])
    shown = [dino("cycle", "run", "--json"), dino("cycle", "run"), dino("cycle", "--json")]
    assert shown[0].json["sources"][0]["source"] == f"{receiver.url}/calls"
    assert [request[1].get("if-none-match") for request in receiver.requests] == [None, '"1"']
    write_duty(duty, sources=[{"http": f"{receiver.url}/calls?key=other", "map": "map.yaml"}])
    shown += [dino("cycle", "run"), dino("cycle")]
    assert "if-none-match" not in receiver.requests[-1][1]
    receiver.answers = [500]
    shown.append(dino("cycle", "run"))
    kept = b"".join(f.read_bytes() for f in (duty / "memory").rglob("*") if f.is_file())
    assert canary.encode() not in kept
    assert all(canary not in outcome.out + outcome.err for outcome in shown)


def test_a_key_goes_to_the_address_and_nowhere_else(
    duty: Path, dino: Dino, receiver: Receiver
) -> None:
    """It is in the header, and in no file, no output and no error; a dry run is handed none."""
    canary = "sk-canary-94f1d2b8"
    env = {"XDG_CONFIG_HOME": str(duty / "xdg")}
    asked = web(receiver, http={"keys": {"Authorization": {"key": "web", "prefix": "Bearer "}}})
    write_duty(duty, sources=[asked, CALLS])
    missing = dino("cycle", "run", "--json", env=env).json["sources"][0]
    assert missing["reason"] == "no key 'web' in the vault"
    set_key(duty, canary, env)
    receiver.body = json.dumps([RECORD]).encode()
    told = [dino("cycle", "run", *words, env=env) for words in (["--dry-run"], ["--json"], [])]
    assert [headers["authorization"] for _, headers, _ in receiver.requests] == [
        f"Bearer {canary}"
    ] * 2
    assert "so no key is handed out" in told[0].out
    assert told[1].json["counts"]["signals"] == 1
    shown = "".join(outcome.out + outcome.err for outcome in told)
    kept = [f.read_bytes() for f in (duty / "memory").rglob("*") if f.is_file()]
    assert canary not in shown
    assert not any(canary.encode() in data for data in kept)
    assert files_of(duty / "memory" / "security_log.jsonl")


def set_key(folder: Path, value: str, env: dict[str, str]) -> None:
    done = subprocess.run(
        command("keys", "set", "web"),
        cwd=folder,
        env=environment(PYTHONPATH=str(REPOSITORY), **env),
        input=value,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
