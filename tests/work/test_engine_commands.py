"""`dino engine`: every verb, for people and for programs, and what it says to mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.resource_engine import ResourceEngine, Task, table
from tests.conftest import Dino
from tests.resource_engine.kit import until
from tests.skills.conftest import Write

Start = Callable[..., "subprocess.Popen[str]"]
SKILLS = """
import os, sys, time
from dino_os import Fatal, RetryLater

@skill
def greet(name: str, times: int = 1) -> str:
    return " ".join([name] * times)

@skill
def fails(how: str = "error"):
    if how == "later":
        raise RetryLater(3600, "busy")
    if how == "fatal":
        raise Fatal("broken for good")
    if how == "exit":
        os._exit(3)
    if how == "segfault":
        import ctypes
        ctypes.string_at(0)
    raise ValueError("no such gauge")

@skill(retries=2)
def tried():
    raise ValueError("no such gauge")

@skill
def slow(file: str):
    open(file, "w").write("begun")
    time.sleep(600)

@skill
def quick(file: str):
    open(file, "w").write("begun")
    while not os.path.exists(file + ".go"):
        time.sleep(0.01)
    return "done"

@skill
def mine():
    return [os.environ.get(f"DINO_{name}") for name in ("TASK_ID", "ATTEMPT", "IDEMPOTENCY_KEY")]
"""


# Each was an internal error, or taken for something else.
WRONG = [
    ('"key": ["a"]', "$.key: expected str"),
    ('"key": ""', "$.key: expected str of length >= 1"),
    ('"key": "a\\u0000b"', "key must be one line"),
    ('"key": "\\ud800"', "tasks.jsonl:2"),
    ('"batch": {}', "$.batch: expected str"),
    ('"source": {}', "$.source: expected str"),
    ('"priority": ""', "$.priority: expected str of length >= 1"),
    ('"task_id": 7', "$.task_id: expected str"),
    ('"after": 5', "$.after: expected array"),
    ('"after": "abc"', "$.after: expected array"),
    ('"after": [5]', "$.after[0]: expected str"),
    ('"max_attempts": 0', "$.max_attempts: expected int >= 1"),
    ('"max_attempts": true', "$.max_attempts: expected int"),
    ('"params": ""', "$.params: expected object"),
    ('"params": []', "$.params: expected object"),
    ('"at_most_once": "no"', "$.at_most_once: expected bool"),
    ('"timeout": ""', "--timeout: expected a time"),
    ('"timeout": 0', "--timeout: expected a time"),
    ('"delay": [1]', "$.delay: expected int | float | str"),
    ('"start_within": 0', "--start-within: expected a time"),
]


@pytest.fixture
def skills(write: Write, workspace: Path) -> Path:
    write(SKILLS)
    (workspace / "out").mkdir()
    grants = "{slow: {writes: [out/]}, quick: {writes: [out/]}}"
    (workspace / "config.yaml").write_text(f"sandbox: {{grants: {grants}}}\n")
    file = workspace / "skills" / "mine.py"
    text = file.read_text()
    for name in ("slow", "quick"):
        text = text.replace(f"@skill\ndef {name}", f'@skill(writes=["out/"])\ndef {name}')
    file.write_text(text)
    return workspace


def queue(workspace: Path) -> ResourceEngine:
    return ResourceEngine(workspace / "memory" / "engine_state.jsonl")


def begun(file: Path) -> None:
    until(file.exists, "a start of the skill")


def test_a_workspace_where_nothing_was_submitted(dino: Dino, workspace: Path) -> None:
    assert "nobody works; `dino engine work` does" in dino("engine").out
    found = dino("engine", "status", "--json").json
    assert (found["tasks_queued"], found["running"], found["sessions"]) == (0, False, [])
    assert dino("engine", "list").out == "no tasks\n"
    assert dino("engine", "dead").out == "no dead letters\n"
    assert dino("engine", "list", "--json").json == {"tasks": []}
    assert dino("engine", "--json").json.keys() == found.keys()
    assert dino("engine", door="execute").code == 0
    assert not (workspace / "memory" / "engine_state.jsonl").exists()


def test_submitted_worked_off_and_shown(dino: Dino, skills: Path) -> None:
    params = json.dumps({"name": "Ada", "times": 2})
    sent = dino("engine", "submit", "greet", "--params", params, "--id", "one", "--key", "k",
                "--batch", "night", "--priority", "high", "--timeout", "30s", "--json")  # fmt: skip
    assert sent.json == {"task_ids": ["one"], "known": []}
    again = dino("engine", "submit", "greet", "--params", params, "--key", "k")
    assert again.out == "one\n1 task had been submitted before\n"
    dino("engine", "submit", "mine", "--id", "two", "--after", "one")
    dino("engine", "submit", "fails", "--id", "bad", "--params", '{"how": "segfault"}')
    dino("engine", "submit", "fails", "--id", "again", "--params", '{"how": "later"}', "--max-attempts", 2)  # fmt: skip
    dino("engine", "submit", "tried", "--id", "tried", "--params", "{}")
    dino("engine", "submit", "greet", "--id", "later", "--params", params, "--in", "1h")
    waits = {one["task_id"]: one["state"] for one in dino("engine", "list", "--json").json["tasks"]}
    assert (waits["two"], waits["later"], waits["one"]) == ("waiting", "delayed", "queued")
    done = dino("engine", "work", "--once", "--workers", 1, "--json").json
    assert done["attempts"] >= 5
    assert done["left"]["delayed"] >= 2
    one = dino("engine", "show", "one", "--json").json
    assert (one["state"], one["result"], one["priority"]) == ("succeeded", "Ada Ada", "high")
    assert one["finished_at"].endswith("Z")
    assert dino("engine", "show", "two", "--json").json["result"] == ["two", "1", "two"]
    bad = dino("engine", "show", "bad", "--json").json
    assert (bad["state"], bad["attempts"]) == ("dead", 1)
    assert "SIGSEGV" in bad["error"]["message"]
    later = dino("engine", "show", "again", "--json").json
    assert (later["state"], later["attempts"], later["error"]["type"]) == (
        "delayed",
        1,
        "RetryLater",
    )
    assert dino("engine", "show", "tried", "--json").json["max_attempts"] == 3
    assert dino("engine", "show", "night").out == "night: 1 total, 1 succeeded\n"
    assert dino("engine", "show", "night", "--json").json["succeeded"] == 1
    assert "SIGSEGV" in dino("engine", "dead").out
    assert dino("engine", "retry", "one", "--json").json == {"changed": [], "unchanged": ["one"]}
    assert dino("engine", "retry", "--all").out == "1 task queued again\n"
    cancelled = dino("engine", "cancel", "bad", "one", "later").out
    assert cancelled == "2 tasks cancelled\none: had ended already\n"
    assert (
        dino("engine", "list", "--state", "cancelled", "--json").json["tasks"][0]["task_id"]
        == "later"
    )
    assert "bad" in dino("engine", "show", "ba").out, "the beginning of an id is enough"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["submit", "gret"], "did you mean 'greet'"),
        (["submit", "greet"], "name"),
        (["submit", "greet", "--params", '{"name": 5}'], "name"),
        (["submit", "greet", "--params", "{"], "--params: not JSON"),
        (["submit", "greet", "--params", "[1]"], "--params: expected a JSON object"),
        (["submit", "mine", "--after", "nothing"], "waits for 'nothing', which is not there"),
        (["submit", "mine", "--in", "soon"], "--in"),
        (["submit", "mine", "--in", "99999999d"], "not_before"),
        (["submit", "mine", "--start-within", "99999999d"], "start_by"),
        (["submit"], "name a SKILL, or tasks with --file"),
        (["submit", "mine", "--file", "x"], "name a SKILL, or tasks with --file"),
        (["submit", "--file", "nothing.jsonl"], "nothing.jsonl"),
        (["show", "nothing"], "no task or batch 'nothing'"),
        (["cancel", "nothing"], "no task 'nothing'"),
        (["retry", "nothing"], "no task 'nothing'"),
        (["retry"], "name tasks, or --all"),
        (["submit", "mine", "--key", ""], "key must not be empty"),
        (["submit", "mine", "--id", ""], "a task's id must not be empty"),
        (["submit", "mine", "--timeout", ""], "--timeout: expected a time"),
        (["submit", "mine", "--key", "a\nb"], "key must be one line"),
        (["submit", "mine", "--key", "k" * 1001], "key must be one line of at most 1000"),
        (["work", "--workers", "0"], "--workers"),
    ],
)  # fmt: skip
def test_mistakes_are_told_and_change_nothing(
    dino: Dino, skills: Path, arguments: list[str], told: str
) -> None:
    assert told in dino("engine", *arguments, code=2).err
    assert queue(skills).tasks() == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"skill": "greet"}', "tasks.jsonl:2:"),
        ('{"skill": "greet", "params": {"name": "x"}, "prioritee": 1}', "no member 'prioritee' (did you mean 'priority'?)"),
        ('{"skill": "greet", "params": {"name": "x"}, "priority": "higher"}', "no priority 'higher'"),
        ('{"params": {}}', 'it names no "skill"'),
        ("[1]", "tasks.jsonl:2"),
        ('{"skill": ', "tasks.jsonl:2"),
        ('{"skill": "greet", "params": {"name": "x"}, "after": ["nothing"]}', "waits for 'nothing'"),
        ('{"skill": 5}', "$.skill: expected str"),
        ('{"skill": ""}', "$.skill: expected str of length >= 1"),
        *((f'{{"skill": "mine", {member}}}', told) for member, told in WRONG),
    ],
)  # fmt: skip
def test_a_file_with_one_bad_line_submits_nothing(
    dino: Dino, skills: Path, line: str, told: str
) -> None:
    good = '{"skill": "greet", "params": {"name": "Ada"}, "task_id": "good"}'
    (skills / "tasks.jsonl").write_text(f"{good}\n{line}\n")
    assert told in dino("engine", "submit", "--file", "tasks.jsonl", code=2).err
    assert queue(skills).tasks() == []


def test_null_in_a_file_is_as_if_it_were_not_there(dino: Dino, skills: Path) -> None:
    names = ("params", "task_id", "key", "priority", "after", "source", "timeout", "delay")
    more = ("start_within", "max_attempts", "at_most_once", "batch")
    line = {"skill": "tried"} | dict.fromkeys((*names, *more))
    (skills / "tasks.jsonl").write_text(json.dumps(line) + "\n")
    dino("engine", "submit", "--file", "tasks.jsonl", "--batch", "night", "--max-attempts", 2)
    (one,) = queue(skills).tasks()
    told = (one.batch, one.max_attempts, one.priority.name, one.after, one.at_most_once)
    assert told == ("night", 2, "NORMAL", (), False)


def test_what_is_known_already_is_told(dino: Dino, skills: Path) -> None:
    dino("engine", "submit", "mine", "--id", "A1", "--key", "k")
    again = dino("engine", "submit", "mine", "--id", "A1")
    assert again.out == "A1\n1 task had been submitted before\n"
    lines = [{"skill": "mine", "task_id": one} for one in ("A1", "A2")]
    lines.append({"skill": "mine", "task_id": "A3", "key": "k"})
    (skills / "tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = dino("engine", "submit", "--file", "tasks.jsonl", "--json").json
    assert found == {"task_ids": ["A1", "A2", "A1"], "known": ["A1", "A1"]}
    dino("engine", "work", "--once")
    waited = dino("engine", "submit", "mine", "--id", "A1", "--wait").out
    assert waited.startswith("1 task had been submitted before\n")


def test_all_names_are_checked_before_anything_changes(dino: Dino, skills: Path) -> None:
    for name in ("A1", "A2", "B1"):
        dino("engine", "submit", "fails", "--id", name, "--params", '{"how": "fatal"}')
    assert "no task 'nosuch'" in dino("engine", "cancel", "A1", "nosuch", code=2).err
    assert "2 tasks begin with 'A'" in dino("engine", "cancel", "B1", "A", code=2).err
    assert {one.state for one in queue(skills).tasks()} == {"queued"}
    dino("engine", "work", "--once")
    assert "no task 'nosuch'" in dino("engine", "retry", "A1", "nosuch", code=2).err
    assert {one.state for one in queue(skills).tasks()} == {"dead"}
    told = dino("engine", "retry", "B", "B1", "A1", "--json").json
    assert told == {"changed": ["B1", "A1"], "unchanged": []}, "the beginning of an id is enough"
    assert dino("engine", "cancel", "B", "A1", "A2").out == "3 tasks cancelled\n"


def test_a_large_result_is_in_show_and_not_in_list(dino: Dino, skills: Path) -> None:
    params = json.dumps({"name": "x" * 70_000})
    dino("engine", "submit", "greet", "--id", "big", "--params", params)
    dino("engine", "submit", "greet", "--id", "small", "--params", '{"name": "Ada"}')
    dino("engine", "work", "--once")
    (small, big) = dino("engine", "list", "--json").json["tasks"]
    assert (small["result"], small["result_sha256"], small["result_bytes"]) == ("Ada", None, None)
    file = skills / "memory" / "results" / f"{big['result_sha256']}.json"
    assert (big["result"], big["result_bytes"]) == (None, file.stat().st_size)
    assert dino("engine", "show", "big", "--json").json["result"] == "x" * 70_000
    assert "x" * 70_000 in dino("engine", "show", "big").out
    file.unlink()
    missing = dino("engine", "show", "big", "--json", code=1)
    assert missing.error["code"] == "result_broken"
    assert file.name in missing.error["message"]
    assert dino("engine", "list").code == 0
    # Where the operator allows none but the smallest:
    (skills / "config.yaml").write_text("resources: {result_bytes: 1}\n")
    dino("engine", "submit", "greet", "--id", "tiny", "--params", '{"name": "A"}')
    dino("engine", "work", "--once")
    assert dino("engine", "list", "--json").json["tasks"][0]["result_bytes"] == 3


def test_a_file_is_submitted_once_however_often(dino: Dino, skills: Path) -> None:
    lines = [
        {"skill": "greet", "params": {"name": f"n{n}"}, "task_id": f"t{n}", "after": ["t0"] if n else []}
        for n in range(5)
    ]  # fmt: skip
    (skills / "tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    first = dino("engine", "submit", "--file", "tasks.jsonl", "--batch", "night").out
    assert first == "5 tasks are in the queue\n"
    dino("engine", "submit", "--file", "tasks.jsonl", "--batch", "night")
    assert dino("engine", "show", "night", "--json").json["total"] == 5


def test_waiting_exits_as_the_task_did(dino: Dino, started: Start, skills: Path) -> None:
    (skills / "out" / "q.go").touch()
    work = started("engine", "work", "--workers", "1")
    ok = dino("engine", "submit", "mine", "--wait", "--json")
    assert ok.json["state"] == "succeeded"
    dino("engine", "submit", "fails", "--params", '{"how": "fatal"}', "--wait", code=1)
    slow = json.dumps({"file": "out/slow"})
    dino("engine", "submit", "slow", "--params", slow, "--timeout", "1s", "--wait", code=124)
    work.send_signal(signal.SIGTERM)
    out, err = work.communicate(timeout=30)
    assert (work.returncode, err) == (0, "")
    assert out.splitlines()[-1].startswith("3 attempts ended")
    assert queue(skills).sessions() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_what_runs_come_to_its_end(
    started: Start, dino: Dino, skills: Path, number: int
) -> None:
    work = started("engine", "work", "--workers", "1")
    dino("engine", "submit", "quick", "--id", "q", "--params", '{"file": "out/q"}')
    dino("engine", "submit", "mine", "--id", "next")
    begun(skills / "out" / "q")
    work.send_signal(number)
    (skills / "out" / "q.go").touch()
    work.communicate(timeout=30)
    assert work.returncode == 0
    states = {one.task_id: one.state.value for one in queue(skills).tasks()}
    assert states == {"q": "succeeded", "next": "queued"}


def test_the_second_signal_stops_it_and_it_runs_again_elsewhere(
    started: Start, dino: Dino, skills: Path
) -> None:
    work = started("engine", "work", "--workers", "1")
    dino("engine", "submit", "slow", "--id", "s", "--params", '{"file": "out/s"}')
    begun(skills / "out" / "s")
    work.send_signal(signal.SIGINT)
    work.send_signal(signal.SIGTERM)  # another one: two of a kind may arrive as one
    work.communicate(timeout=30)
    found = queue(skills).task("s")
    assert found is not None
    assert (found.state, found.attempts) == ("delayed", 1)
    assert found.next_retry is not None
    assert queue(skills).sessions() == []


def test_a_killed_session_loses_its_tasks_to_another_at_once(
    started: Start, dino: Dino, skills: Path
) -> None:
    """The kernel says that it is gone: nobody waits for its lease to end."""
    work = started("engine", "work", "--workers", "1")
    dino("engine", "submit", "quick", "--id", "q", "--params", '{"file": "out/q"}')
    begun(skills / "out" / "q")
    os.kill(work.pid, signal.SIGKILL)
    work.wait()
    (skills / "out" / "q.go").touch()
    until(lambda: queue(skills).sessions()[0]["lost"] == "its processes have ended", "an end")
    dino("engine", "work", "--once", timeout_s=30)
    found = queue(skills).task("q")
    assert found is not None
    assert (found.state, found.attempts, found.result) == ("succeeded", 2, "done")


def test_drained_from_elsewhere_it_finishes_and_leaves(
    started: Start, dino: Dino, skills: Path
) -> None:
    work = started("engine", "work", "--workers", "1")
    dino("engine", "submit", "quick", "--id", "q", "--params", '{"file": "out/q"}')
    begun(skills / "out" / "q")
    assert dino("engine", "drain", "--json").json == {"sessions": 1}
    (skills / "out" / "q.go").touch()
    work.communicate(timeout=30)
    assert work.returncode == 0
    assert queue(skills).task("q").state == "succeeded"  # type: ignore[union-attr]


def test_cancelled_while_it_runs(started: Start, dino: Dino, skills: Path) -> None:
    work = started("engine", "work", "--workers", "1")
    dino("engine", "submit", "slow", "--id", "s", "--params", '{"file": "out/s"}')
    begun(skills / "out" / "s")
    assert dino("engine", "cancel", "s", "--json").json == {"changed": ["s"], "unchanged": []}
    until(lambda: queue(skills).task("s").state == "cancelled", "an end")  # type: ignore[union-attr]
    work.send_signal(signal.SIGTERM)
    work.communicate(timeout=30)
    assert work.returncode == 0


def test_what_functions_print_is_no_part_of_the_answer(dino: Dino, workspace: Path) -> None:
    (workspace / "mine.py").write_text("def aloud():\n    print('said aloud')\n    return 1\n")
    (workspace / "config.yaml").write_text("resources: {functions: ['mine:aloud']}\n")
    engine = ResourceEngine(workspace / "memory" / "engine_state.jsonl")
    engine.submit_task(Task("t", payload={"call": "mine:aloud"}))
    done = dino("engine", "work", "--once", "--json")
    assert done.json["attempts"] == 1
    assert engine.task("t").result == 1  # type: ignore[union-attr]


def test_a_task_older_than_those_remembered_is_still_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino_os.commands.tasks import find, find_all
    from dino_os.workspace import Workspace

    monkeypatch.setattr(table, "_KEPT", 1)
    workspace = Workspace(home)
    engine: Any = workspace.resources
    engine.submit_tasks([Task("a"), Task("b"), Task("c")])
    name = engine.join()
    for _ in range(3):
        (lease,) = engine.exchange(name, room=1).leases
        from engines.resource_engine import Ended

        engine.exchange(name, ended=[Ended(lease.tasks[0].task_id, lease.number, "ok")])
    assert engine.task("a") is None
    assert (find(workspace, "a").state, find(workspace, "a").attempts) == ("succeeded", 1)
    engine.submit_task(Task("ab"))
    assert find(workspace, "a").task_id == "a", "it is not taken for the one that begins so"
    assert find_all(workspace, ["a", "ab"]) == ["a", "ab"]
    engine.leave(name)
