"""`dino agent` and `dino approve`, with a server of models that is asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.kit import SKILLS
from tests.conftest import Dino
from tests.models.scripted import Calls, ScriptedServer, Status, Text


@pytest.fixture
def server(workspace: Path, dino: Dino) -> Iterator[ScriptedServer]:
    """The only provider of a workspace with skills, of which `save` is granted what it asks for."""
    with ScriptedServer() as server:
        (workspace / "config.yaml").write_text(
            "llm:\n  providers:\n"
            f"    - {{name: here, base_url: '{server.url}', model: m, "
            "price: {input: 1000, output: 2000}}\n"
        )
        (workspace / "skills" / "mine.py").write_text(f"from dino_os import skill\n{SKILLS}")
        (workspace / "out").mkdir()
        dino("grant", "save")
        yield server


def test_a_goal_is_reached(dino: Dino, server: ScriptedServer) -> None:
    """The answer is on standard output, what was done and what it cost on standard error."""
    server.say(Calls([("add", {"a": 1, "b": 2})], text="I add them."), Text("It is 3."))
    done = dino("agent", "run", "what is 1 + 2?", "--skills", "add,much")
    assert done.out == "It is 3.\n"
    for told in ("I add them.", '→ add {"a": 1, "b": 2}', "← add ok", "ok: 2 steps, 1 call, 20"):
        assert told in done.err
    tools = server.bodies[0]["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["add", "much"]
    assert tools[0]["function"]["parameters"]["required"] == ["a"]


def test_where_nobody_is_there_it_waits(
    dino: Dino, server: ScriptedServer, workspace: Path
) -> None:
    server.say(Calls([("save", {"text": "hi"})]), Text("It is saved."))
    run = dino("agent", "run", "save it", "--json", code=75).json
    [waiting] = run["waiting"]
    assert (run["state"], waiting["arguments"]) == ("parked", {"text": "hi"})
    listed = dino("approve")
    for told in (waiting["id"], "save", '"text": "hi"', "it may read and change out"):
        assert told in listed.out
    assert dino("agent").out.count("parked") == 1
    assert not (workspace / "out" / "saved").exists()

    done = dino("approve", waiting["id"])
    assert done.out == "It is saved.\n"
    assert (workspace / "out" / "saved").read_text() == "hi\n"
    assert dino("approve", "--json").json == {"waiting": []}
    dino("approve", waiting["id"], code=2)

    replayed = dino("agent", "replay", run["run"][:8])
    assert replayed.out == "the same: 2 steps, 1 call, ok\n"
    shown = dino("agent", "show", run["run"][:8]).out
    for told in ("save it", "here m: ok", "allowed by tester", "It is saved."):
        assert told in shown
    document = dino("agent", "show", run["run"], "--json").json
    assert [step["step"] for step in document["steps"]] == [
        "model_call",
        "approval",
        "tool_call",
        "model_call",
    ]
    assert document["spent"]["tokens"] == 20


def test_a_call_that_waits_can_be_refused(
    dino: Dino, server: ScriptedServer, workspace: Path
) -> None:
    server.say(Calls([("save", {"text": "hi"})]), Text("I was not let."))
    run = dino("agent", "run", "save it", "--json", code=75).json
    done = dino("approve", run["waiting"][0]["id"], "--deny", "--json")
    assert done.json["outcome"] == "denied"
    assert not (workspace / "out" / "saved").exists()


def test_arguments_that_are_no_json_are_told_and_may_be_mended(
    dino: Dino, server: ScriptedServer
) -> None:
    server.say(Calls([("add", '{"a": 1')]), Calls([("add", {"a": 1})]), Text("2"))
    done = dino("agent", "run", "add")
    assert "✗ add: its arguments are no JSON object" in done.err
    assert "← add ok" in done.err


def test_it_says_how_it_ended(dino: Dino, server: ScriptedServer) -> None:
    server.say(Text("I have done it."))
    assert "ok_no_action" in dino("agent", "run", "do it").err
    server.say(*[Calls([("add", {"a": 1})])] * 2)
    stopped = dino("agent", "run", "add", "--max-steps", 2, "--json", code=1)
    assert stopped.json["outcome"] == "blocked"
    assert stopped.error["code"] == "agent_blocked"
    server.say(Calls([("slow", {})]), Text("It takes too long."))
    slow = dino("agent", "run", "wait", "--timeout", "0.5s", "--json", code=1).json
    assert [call["outcome"] for call in slow["calls"]] == ["timeout"]
    server.say(Status(400))
    dino("agent", "run", "add", code=1)
    assert [run["outcome"] for run in dino("agent", "list", "--json").json["runs"]] == [
        "error",
        "error",
        "blocked",
        "ok_no_action",
    ]


def test_settings_that_are_of_no_skill_are_told(
    dino: Dino, server: ScriptedServer, workspace: Path
) -> None:
    with (workspace / "config.yaml").open("a") as file:
        file.write("agent: {skills: {sav: deny}}\n")
    server.say(Text("x"))
    assert "names no skill here: 'sav' (did you mean 'save'" in dino("agent", "run", "do it").err


def test_what_is_asked_for_wrongly(dino: Dino, server: ScriptedServer) -> None:
    dino("agent", "run", "x", "--skills", "nobody", code=2)
    dino("agent", "run", "x", "--skills", ",", code=2)
    dino("agent", "run", " ", code=2)
    dino("agent", "run", "x", "--max-steps", 0, code=2)
    dino("approve", "--deny", code=2)
    dino("approve", "nothing", code=2)
    dino("agent", "show", "nothing", code=2)
    assert server.asked == []
