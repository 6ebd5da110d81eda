"""`AgentCore` for programs and skills, sessions of several turns, and what becomes of them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dino_os import inside
from dino_os.agent_core import AgentCore
from dino_os.agent_core.core import OPTIONS, Core
from dino_os.agent_core.messages import from_record
from dino_os.agent_core.session import Session, Wanted
from dino_os.agent_core.waiting import pieces, result_of
from dino_os.errors import Denied, InvalidInput, ModelError, ModelTimedOut, ModelUnavailable
from dino_os.workspace import Workspace
from tests.agent_core.desk import NOBODY, desk, provider
from tests.models.scripted import Dies, Hangs, ScriptedServer, Text


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=Text("the tide comes in")) as running:
        yield running


@pytest.fixture
def here(home: Path, server: ScriptedServer) -> Workspace:
    return desk(home, provider("near", server.url, kind="ollama"))


# --- programs ------------------------------------------------------------------------------------


def test_a_program_asks_as_users_write_it(here: Workspace, server: ScriptedServer) -> None:
    core = AgentCore()
    assert core.run("hi", system="be brief", temperature=0.1) == "the tide comes in"
    assert list(core.run_stream("hi")) == ["the ", "tide ", "comes ", "in"]
    asked = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert core.chat(asked) == "the tide comes in"
    assert server.bodies[2]["messages"] == asked
    assert server.bodies[0]["messages"][0] == {"role": "system", "content": "be brief"}
    runs = here.agent_log.runs()
    assert [(run.kind, run.outcome) for run in runs] == [("ask", "ok")] * 3


def test_a_program_may_name_its_own_provider(here: Workspace) -> None:
    with ScriptedServer(always=Text("mine")) as own:
        assert AgentCore(model="m", base_url=own.url).run("hi") == "mine"
        assert own.bodies[0]["model"] == "m"
    assert AgentCore("near", model="other").run("hi") == "the tide comes in"
    with pytest.raises(InvalidInput, match="asked for a model"):
        AgentCore(base_url=NOBODY).run("hi")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"max_tokens": "9"}, "max_tokens: expected int"),
        ({"max_tokens": -1}, "max_tokens must be at least 1"),
        ({"given": 1}, "no option 'given'"),
    ],
)
def test_an_option_that_is_none_is_refused(
    here: Workspace, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        AgentCore().run("hi", **options)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": "x"}],
        [{"role": "bot", "content": "x"}],
        [{"role": "user"}],
    ],
)
def test_messages_that_are_none_are_refused(here: Workspace, messages: list[Any]) -> None:
    with pytest.raises(InvalidInput):
        AgentCore().chat(messages)
    assert here.agent_log.runs() == []


def test_where_an_event_loop_runs_already_a_program_may_ask_too(here: Workspace) -> None:
    async def main() -> str:
        return AgentCore().run("hi")

    assert asyncio.run(main()) == "the tide comes in"


# --- skills --------------------------------------------------------------------------------------


class Recorded:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def call(self, part: str, method: str, /, **arguments: Any) -> Any:
        self.asked.append((part, method, arguments))
        return "said"


def test_inside_a_sandbox_every_call_is_the_broker_s() -> None:
    broker = Recorded()
    inside.connect(broker)
    try:
        core = AgentCore("near", "m")
        assert core.run("hi", system="s") == "said"
        assert list(core.run_stream("hi")) == ["said"]
        core.chat([{"role": "user", "content": "x"}])
        with pytest.raises(Denied, match="only the providers of the settings"):
            AgentCore(api_key="k-123456", model="m", base_url=NOBODY).run("hi")
        with pytest.raises(Denied):
            AgentCore(model="m", base_url=NOBODY).run("hi")
    finally:
        inside.connect(None)
    own = {"provider": "near", "model": "m"}
    assert broker.asked == [
        ("agent_core", "run", {"prompt": "hi", **own, "system": "s"}),
        ("agent_core", "run", {"prompt": "hi", **own}),
        ("agent_core", "chat", {"messages": [{"role": "user", "content": "x"}], **own}),
    ]


SKILL = """
from dino_os import skill
from dino_os.agent_core import AgentCore

@skill
def ask(prompt: str) -> str:
    "Ask a model."
    return AgentCore().run(prompt)
"""


def test_a_skill_asks_where_it_may_and_its_run_is_the_parent(here: Workspace) -> None:
    (here.skills_folder / "ask.py").write_text(dedent(SKILL))
    found = here.plugins.skills().find("ask")
    refused = here.runner.run(found, {"prompt": "hi"})
    assert refused.outcome == "denied"
    assert "api_call" in str(refused.error)
    here.security.grant_permission("skill:ask", "api_call")
    run = here.runner.run(found, {"prompt": "hi"})
    assert run.check().result == "the tide comes in"
    asked = here.agent_log.runs(1)[0]
    assert (asked.kind, asked.actor, asked.parent_run) == ("skill", "skill:ask", run.run_id)


def test_a_skill_s_question_ends_with_its_run(here: Workspace, server: ScriptedServer) -> None:
    server.say(Hangs())
    began = time.monotonic()
    with pytest.raises(ModelTimedOut, match="no time left"):
        Core(here, "skill:ask", began + 0.2).run("hi")
    assert here.agent_log.runs(1)[0].outcome == "timeout"


def test_the_broker_binds_what_the_part_takes(here: Workspace) -> None:
    from dino_os.broker import Broker

    here.security.grant_permission("skill:x", "api_call")
    broker = Broker(here.parts, here.security, "skill:x")
    call = {"part": "agent_core", "method": "stream", "arguments": {"prompt": "hi"}}
    assert broker.answer(call)["error"]["type"] == "Denied"
    call |= {"method": "run", "arguments": {"prompt": "hi", "given": {"url": NOBODY}}}
    assert broker.answer(call)["error"]["type"] == "InvalidInput"
    assert "given" not in OPTIONS


def test_what_looks_like_a_secret_neither_leaves_nor_is_recorded(
    here: Workspace, server: ScriptedServer
) -> None:
    """Also in what a run is about."""
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"  # its form is one
    AgentCore().run(f"is {token} good?", system=f"never say {token}")
    sent = server.bodies[0]["messages"]
    assert all("<github_token:" in one["content"] for one in sent)
    kept = b"".join(path.read_bytes() for path in here.memory.rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert token.encode() not in server.sent


# --- several turns -------------------------------------------------------------------------------


def test_each_turn_knows_what_was_said_and_the_record_holds_it_once(
    here: Workspace, server: ScriptedServer
) -> None:
    server.say(Text("one"), Text("two"), Text("three"))
    with Session(here, "chat", "first", Wanted(system="be kind")) as session:
        assert session.say("first") == "one"
        assert "".join(session.stream("second")) == "two"
        assert session.say("third") == "three"
    roles = [message["role"] for message in server.bodies[2]["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    recorded = from_record(here.agent_log.messages(session.run))
    assert len(recorded) == 6
    assert [type(one).__name__ for one in recorded[::2]] == ["ModelRequest"] * 3
    assert here.agent_log.run(session.run).spent.calls == 3
    assert here.agent_log.output(session.run) == "three"


def test_a_turn_that_failed_was_not_said_and_one_that_was_half_shown_was(
    here: Workspace, server: ScriptedServer
) -> None:
    server.say(Dies(2, "half an answer"), Text("", finish="content_filter"), Text("ok"))
    with Session(here, "chat", "x", Wanted()) as session:
        with pytest.raises(ModelError):
            list(session.stream("first"))
        with pytest.raises(ModelError):
            session.say("second")
        assert session.say("third") == "ok"
    said = [message["content"] for message in server.bodies[-1]["messages"]]
    assert said == ["first", "half an ", "third"]


# --- cancelled -----------------------------------------------------------------------------------


def test_ctrl_c_ends_the_request_and_the_run_is_cancelled(
    here: Workspace, server: ScriptedServer
) -> None:
    server.say(Hangs(2))
    pieces_seen: list[str] = []

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not pieces_seen and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        pieces_seen.extend(Core(here).stream("hi"))
    helper.join()
    run = here.agent_log.runs(1)[0]
    assert run.outcome == "cancelled"
    (step,) = here.agent_log.steps(run.id)
    assert step.outcome == "cancelled"  # type: ignore[union-attr]
    assert step.output_tokens > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("streams", [False, True])
def test_a_generator_that_is_left_ends_its_request(
    here: Workspace, server: ScriptedServer, streams: bool
) -> None:
    server.say(Text("a b c d e f"))
    with Session(here, "ask", "x", Wanted()) as session:
        turn = session.stream("x") if streams else pieces(_forever)
        next(turn)
        turn.close()
    (run,) = here.agent_log.runs()
    assert run.outcome == "ok"
    outcomes = [step.outcome for step in here.agent_log.steps(run.id)]  # type: ignore[union-attr]
    assert outcomes in ([], ["cancelled"], ["ok"])


async def _forever(tell: Any) -> None:
    tell("now")
    await asyncio.sleep(3600)


def test_what_goes_wrong_in_the_work_is_raised_where_it_is_waited_for() -> None:
    async def fails(tell: Any) -> None:
        tell("first")
        raise ZeroDivisionError

    found = pieces(fails)
    assert next(found) == "first"
    with pytest.raises(ZeroDivisionError):
        next(found)

    async def works(tell: Any) -> int:
        tell("unheard")
        return 7

    assert result_of(works) == 7


def test_without_the_library_it_says_what_to_install(
    here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino_os.agent_core import opening

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="pydantic_ai")

    monkeypatch.setattr(opening.importlib, "import_module", missing)
    with pytest.raises(ModelUnavailable, match="pydantic_ai") as told:
        AgentCore().run("hi")
    assert told.value.hint == "pip install 'dino-os[agent]'"
    assert here.agent_log.runs() == []
