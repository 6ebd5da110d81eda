"""`dino ask`, `dino chat` and `dino llm`, as people and programs meet them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydantic_ai.models
import pytest

from dino_os.workspace import Workspace
from tests.agent_core.desk import NOBODY, desk, provider
from tests.conftest import Dino
from tests.models.scripted import Calls, Dies, Hangs, ScriptedServer, Status, Text

CANARY = "canary-7Hq2vTzR9wLk3NfX8sBd"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=Text("the tide comes in")) as running:
        yield running


@pytest.fixture(autouse=True)
def here(workspace: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(pydantic_ai.models, "ALLOW_MODEL_REQUESTS", True)
    return desk(workspace, provider("near", server.url))


# --- ask -----------------------------------------------------------------------------------------


def test_a_question_and_its_answer(dino: Dino, server: ScriptedServer, here: Workspace) -> None:
    assert dino("ask", "when?").out == "the tide comes in\n"
    found = dino("ask", "when?", "--json", "--model", "other", "--system", "be brief").json
    run = here.agent_log.run(found.pop("run"))
    duration_s = found.pop("duration_s")
    assert 0 < duration_s < 60
    assert found == {
        "outcome": "ok",
        "answer": "the tide comes in",
        "provider": "near",
        "model": "scripted-1",
        "input_tokens": 7,
        "output_tokens": 3,
        "money": 0.0,
    }
    assert (run.model_wanted, run.door, run.actor) == ("other", "script", "tester")
    assert server.bodies[1]["model"] == "other"


def test_text_comes_from_files_and_from_standard_input(
    dino: Dino, server: ScriptedServer, workspace: Path
) -> None:
    (workspace / "log.txt").write_text("pump 3 failed\n")
    dino("ask", "why?", "--file", "log.txt", "--file", "-", given=b"and pump 4\n")
    dino("ask", "-", given="why, ü?\n".encode())
    dino("ask", given=b"why?")
    said = [body["messages"][0]["content"] for body in server.bodies]
    assert said[0] == (
        "why?\n\n--- log.txt ---\npump 3 failed\n--- end of log.txt ---\n\n"
        "--- - ---\nand pump 4\n--- end of - ---"
    )
    assert said[1:] == ["why, ü?", "why?"]


@pytest.mark.parametrize(
    ("args", "given", "told"),
    [
        ([], b" \n", "there is no question"),
        (["--file", "-"], b"x", "read once"),
        (["x", "--file", "none.txt"], b"", "none.txt"),
        (["x", "--file", "-"], b"\xff\xfe", "standard input: not a text"),
        (["why \udcff"], b"", "lone surrogate"),
        (["x", "--provider", "nobody"], b"", "no provider named 'nobody'"),
        (["x", "--max-tokens", "0"], b"", "max-tokens"),
    ],
)
def test_a_question_that_is_none(
    dino: Dino, server: ScriptedServer, args: list[str], given: bytes, told: str
) -> None:
    assert told in dino("ask", *args, given=given, code=2).err
    assert not server.requests


def test_a_stream_is_lines_of_json_where_json_is_asked_for(dino: Dino) -> None:
    lines = [json.loads(line) for line in dino("ask", "x", "--json", "--stream").out.splitlines()]
    assert [line.get("text") for line in lines[:-1]] == ["the ", "tide ", "comes ", "in"]
    assert lines[-1]["answer"] == "the tide comes in"


def test_a_stream_that_ends_in_the_middle_says_so(dino: Dino, server: ScriptedServer) -> None:
    server.say(Dies(2, "half an answer"))
    outcome = dino("ask", "x", "--stream", code=1)
    assert outcome.out == "half an \n"
    assert "near ended in the middle of its answer" in outcome.err


@pytest.mark.parametrize("shown", ["--stream", "--no-stream"])
def test_an_answer_that_was_cut_off_says_so(dino: Dino, server: ScriptedServer, shown: str) -> None:
    server.say(Text("half an", finish="length"))
    outcome = dino("ask", "x", shown, "--max-tokens", "2")
    assert outcome.out == "half an\n"
    assert "near: the answer is cut off at 2 tokens" in outcome.err


def test_what_a_model_says_cannot_reach_the_terminal_s_controls(
    dino: Dino, server: ScriptedServer
) -> None:
    server.say(Text("red \x1b[31m now"), Text("red \x1b[31m now"))
    for how in ("--stream", "--no-stream"):
        assert "\x1b" not in dino("ask", "x", how).out


def test_nobody_there_is_exit_4_and_a_json_error(dino: Dino, workspace: Path) -> None:
    desk(workspace, provider("dead", NOBODY))
    outcome = dino("ask", "x", "--json", code=4)
    assert outcome.out == ""
    assert outcome.error["code"] == "model_unavailable"
    assert "dead: nobody listens there" in outcome.error["message"]


@pytest.mark.parametrize(
    ("llm", "answer", "code"),
    [
        ({"budget__tokens": 10}, None, 3),
        ({}, Status(400), 1),
        ({}, Status(401), 1),
        ({"providers": []}, None, 2),
    ],
)
def test_exit_codes(dino: Dino, server: ScriptedServer, llm: Any, answer: Any, code: int) -> None:
    env = {f"DINO_LLM__{name.upper()}": json.dumps(value) for name, value in llm.items()}
    server.say(*([answer] if answer else []))
    dino("ask", "x", code=code, env=env)


def test_local_only_asks_nobody_elsewhere(dino: Dino, workspace: Path) -> None:
    desk(workspace, provider("far", "https://93.184.215.14/v1"))
    for how in (["--local-only"], ["--label", "private"]):
        outcome = dino("ask", "x", *how, "--json", code=3)
        assert "not on this machine or its network" in outcome.error["message"]


def test_a_key_comes_from_the_vault_and_shows_nowhere(
    dino: Dino, workspace: Path, server: ScriptedServer
) -> None:
    desk(workspace, provider("near", server.url, key="models"))
    outcome = dino("ask", "x", code=1)
    assert "no key 'models' in the vault" in outcome.err
    assert "dino keys set" in outcome.err or "dino llm check" in outcome.err
    dino("keys", "set", "models", given=CANARY.encode())
    shown = [dino("ask", f"is {CANARY} good?", "--json").out, dino("llm", "providers").out]
    assert server.requests[-1].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY.encode() not in b"".join(one.body for one in server.requests)
    kept = [p.read_bytes() for p in workspace.rglob("*") if p.is_file() and "vault" not in p.parts]
    assert CANARY not in "".join(shown)
    assert CANARY.encode() not in b"".join(kept)


def test_ctrl_c_is_130_and_the_run_is_cancelled(
    workspace: Path, here: Workspace, server: ScriptedServer
) -> None:
    server.say(Hangs(1))
    with at_terminal(workspace, "ask", "x") as (end, ended):
        _until(end, b"the ")
        os.write(end, b"\x03")
        _until(end, b"interrupted")
        assert ended() == 130
    assert here.agent_log.runs(1)[0].outcome == "cancelled"


# --- queue ---------------------------------------------------------------------------------------


def test_what_is_queued_is_asked_when_somebody_is_there(
    dino: Dino, workspace: Path, server: ScriptedServer
) -> None:
    desk(workspace, provider("dead", NOBODY))
    found = dino("ask", "why?", "--queue", "--json", "--system", "be brief", code=75).json
    id_ = found["queued"]
    assert "nobody listens" in found["reason"]
    assert id_ in dino("llm", "queue").out
    assert dino("llm", "queue", "run", "--json").json["failed"] == 1
    assert "waiting: no language model answered" in dino("llm", "queue", "show", id_[:6]).out
    desk(workspace, provider("near", server.url))
    assert dino("llm", "queue", "run").out == "0 answered, 0 failed, 0 given up, 1 waiting\n"
    sent = dino("llm", "queue", "run", "--all", "--json").json
    assert sent == {"answered": 1, "failed": 0, "given_up": 0, "waiting": 0}
    assert dino("llm", "queue", "show", id_).out == "the tide comes in\n"
    assert dino("llm", "queue", "list", "--state", "answered", "--json").json["questions"][0][
        "options"
    ] == {"system": "be brief"}
    assert server.bodies[0]["messages"][0]["content"] == "be brief"


def test_a_question_outlives_the_days_without_a_network(
    dino: Dino, workspace: Path, server: ScriptedServer
) -> None:
    """It is neither refused nor given up while `DINO_OFFLINE` is set."""
    off = {"DINO_OFFLINE": "1"}
    desk(workspace, provider("lan", "http://10.0.0.9/v1"))
    assert "DINO_OFFLINE is set" in dino("ask", "why?", env=off, code=4).err
    id_ = dino("ask", "why?", "--queue", "--json", env=off, code=75).json["queued"]
    assert dino("llm", "queue", "run", "--json", env=off).json["failed"] == 1
    desk(workspace, provider("near", server.url))
    assert dino("llm", "queue", "run", "--all", "--json").json["answered"] == 1
    assert dino("llm", "queue", "show", id_).out == "the tide comes in\n"


def test_the_settings_may_queue_all_that_finds_nobody(dino: Dino, workspace: Path) -> None:
    desk(workspace, provider("dead", NOBODY), queue_offline=True)
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    told = ("--system", f"use {token}", f"is {token} good?")
    id_ = dino("ask", *told, "--json", code=75).json["queued"]
    assert token.encode() not in (workspace / "memory" / "llm_queue.jsonl").read_bytes()
    assert dino("llm", "queue", "drop", id_, "--json").json["state"] == "dropped"
    assert dino("llm", "status", "--json").json["queued"] == 0


# --- chat ----------------------------------------------------------------------------------------


def test_lines_are_turns_and_a_later_chat_goes_on(
    dino: Dino, server: ScriptedServer, here: Workspace
) -> None:
    server.say(Text("one"), Text("two"), Text("three"))
    assert dino("chat", given=b"first\n\nsecond\n/quit\nnever\n").out == "one\ntwo\n"
    run = here.agent_log.runs(1)[0]
    assert (run.kind, run.outcome, run.spent.calls) == ("chat", "ok", 2)
    found = dino("chat", "--continue", run.id[:8], "--json", given=b"third\n").json
    assert found["answer"] == "three"
    said = [message["content"] for message in server.bodies[-1]["messages"]]
    assert said == ["first", "one", "second", "two", "third"]
    again = here.agent_log.run(found["run"])
    assert again.parent_run == run.id
    dino("chat", "--continue", again.id, given=b"fourth\n")
    assert len(server.bodies[-1]["messages"]) == 7
    dino("chat", "--continue", "nothing", given=b"x\n", code=2)
    assert dino("chat", given=b"").out == ""


def test_a_piped_chat_ends_at_its_first_failure(dino: Dino, server: ScriptedServer) -> None:
    server.say(Text("one"), Status(400))
    outcome = dino("chat", given=b"first\nsecond\nthird\n", code=1)
    assert outcome.out == "one\n"
    assert len(server.requests) == 2


def test_on_a_terminal_a_failed_turn_is_said_and_the_talk_goes_on(
    workspace: Path, server: ScriptedServer, here: Workspace
) -> None:
    server.say(Status(400), Text("at last"))
    with at_terminal(workspace, "chat") as (end, ended):
        for waits_for, types in (
            (b"> ", b"x\n"),
            (b"refused the request", b"y\n"),
            (b"last\r\n> ", b"\x04"),
        ):
            _until(end, waits_for)
            os.write(end, types)
        _until(end, b"goes on from here")
        assert ended() == 0
    assert here.agent_log.runs(1)[0].outcome == "ok"


@contextlib.contextmanager
def at_terminal(workspace: Path, *args: str) -> Iterator[tuple[int, Callable[[], int]]]:
    """`dino …` in a forked process at the end of a pseudo-terminal: its other end, its exit code."""
    pid, end = pty.fork()
    if pid == 0:
        sys.stdin, sys.stdout, sys.stderr = map(os.fdopen, range(3), "rww")
        os.environ |= {"DINO_HOME": str(workspace), "TERM": "dumb", "NO_COLOR": "1"}
        from dino_os.commands import dino

        code = 1
        try:
            dino([*args], prog_name="dino")
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    codes: list[int] = []

    def ended() -> int:
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return codes[0]

    try:
        yield end, ended
    finally:
        if not codes:
            os.kill(pid, signal.SIGKILL)
            ended()
        os.close(end)


def _until(end: int, text: bytes) -> None:
    shown = b""
    while text not in shown:
        assert select.select([end], [], [], 30)[0], shown
        shown += os.read(end, 4096)


# --- llm -----------------------------------------------------------------------------------------


def test_status_tells_who_is_left_out_and_what_is_spent(
    dino: Dino, workspace: Path, server: ScriptedServer
) -> None:
    desk(workspace, provider("dead", NOBODY), provider("near", server.url), budget={"calls": 9})
    dino("ask", "x")
    found = dino("llm", "--json").json
    assert [one["state"] for one in found["providers"]] == ["left out", "asked"]
    assert found["spent_today"] == {"calls": 1, "tokens": 10, "money": 0.0}
    assert found["budget"] == {"calls": 9, "tokens": None, "money": None}
    text = dino("llm", "status").out
    assert "nobody listens there; until" in text
    assert "1 of 9 calls, 10 tokens" in text


def test_check_asks_without_spending(dino: Dino, workspace: Path, server: ScriptedServer) -> None:
    server.native = {
        "/v1/models": {"data": [{"id": "near-model:latest"}]},
        "/api/ps": {"models": [{"name": "near-model", "context_length": 8192}]},
    }
    near = provider("near", server.url, kind="ollama")
    desk(workspace, provider("dead", NOBODY), near, provider("other", server.url))
    found = {one["provider"]: one for one in dino("llm", "check", "--json").json["providers"]}
    assert {name: one["ok"] for name, one in found.items()} == {
        "dead": False,
        "near": True,
        "other": False,
    }
    assert found["dead"]["why"] == "nobody listens there"
    assert (found["near"]["near"], found["near"]["reads_tokens"]) == (True, 8192)
    assert found["other"]["why"] == "it has no model 'other-model'"
    assert "8,192" in dino("llm", "check", "near").out
    dino("llm", "check", "dead", code=4)
    assert dino("llm", "status", "--json").json["spent_today"]["calls"] == 0


def test_providers_are_shown_with_the_names_of_their_keys(dino: Dino, workspace: Path) -> None:
    one = provider("far", "https://models.example/v1", key="k", price={"input": 1, "output": 2.5})
    desk(workspace, one)
    assert "1 / 2.5" in dino("llm", "providers").out
    (found,) = dino("llm", "providers", "--json").json["providers"]
    assert (found["key"], found["timeout_s"]) == ("k", 120.0)


def test_calls_of_tools_are_no_answer_to_a_question(dino: Dino, server: ScriptedServer) -> None:
    server.say(Calls([("x", {})]))
    assert dino("ask", "x").out == "\n"
