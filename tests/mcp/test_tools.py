"""Skills as tools, as the official client sees them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from dino_os.errors import SkillConflict, UnknownSkill
from dino_os.mcp import calls
from dino_os.mcp.offer import Offer
from dino_os.workspace import Workspace
from tests.mcp.conftest import asking, called, client_of, events

Write = Callable[[str], None]

SKILLS = """
    @skill(idempotent=True)
    def shout(word: str, times: int = 2) -> str:
        '''
        Shout a word.

        Args:
            word: Which.
        '''
        print("shouting", flush=True)
        return " ".join([word.upper()] * times)

    @skill
    def facts() -> dict:
        return {"n": 1}

    @skill(reads=["data"])
    def look() -> str:
        return open("data/a").read()

    @skill(writes=["out"])
    def note(text: str) -> int:
        return open("out/note", "w").write(text)

    @skill(reaches=["site.example"], keys=["k"])
    def fetch() -> None: ...

    @skill
    def broken() -> None:
        raise ValueError("it broke")

    @skill
    def endless() -> None:
        import time
        print("begun", flush=True)
        time.sleep(3600)
"""


@pytest.fixture
def skills(site: Workspace, write: Write) -> Workspace:
    write(SKILLS)
    return site


def tools(site: Workspace, **offered: Any) -> dict[str, Any]:
    listed = asking(site, lambda client: client.list_tools(), **offered)
    return {tool.name: tool for tool in listed.tools}


def test_what_only_reads_is_offered_and_what_acts_is_not(skills: Workspace) -> None:
    """Until somebody says that it may be."""
    calm = {"shout", "facts", "look", "broken", "endless", "plan_cycle"}
    assert tools(skills).keys() == calm
    assert tools(skills, allow=["note"]).keys() == {*calm, "note"}
    skills.admission.grant(skills.plugins.skills().find("fetch"), by="tester")
    assert tools(skills).keys() == {*calm, "fetch"}


def test_only_what_is_named_is_offered(skills: Workspace) -> None:
    """And a cycle where it is named too."""
    assert tools(skills, only=["shout"]).keys() == {"shout"}
    assert tools(skills, only=["shout", "plan-cycle"]).keys() == {"shout", "plan_cycle"}
    assert Offer(skills, ["shout", "note"]).left_out == ["note"]
    assert Offer(skills, ["shout", "note", "plan-cycle"], allow=["note"]).left_out == []
    with pytest.raises(UnknownSkill, match="no skill named 'shot'"):
        Offer(skills, ["shot"])
    with pytest.raises(UnknownSkill):
        Offer(skills, allow=["shot"])


def test_a_tool_is_told_by_its_signature_and_what_it_may(skills: Workspace) -> None:
    """Nothing of which is run to be told."""
    found = tools(skills, allow=["note", "fetch"])
    shout = found["shout"]
    assert shout.description == "Shout a word."
    assert shout.input_schema["properties"]["word"] == {"type": "string", "description": "Which."}
    assert shout.input_schema["required"] == ["word"]
    hints = {name: tool.annotations for name, tool in found.items()}
    assert hints["shout"].read_only_hint
    assert hints["shout"].idempotent_hint
    assert not hints["note"].read_only_hint
    assert hints["note"].destructive_hint
    assert hints["fetch"].open_world_hint
    assert not hints["shout"].open_world_hint


def test_a_skill_that_would_be_a_tool_of_ours_is_a_conflict(site: Workspace, write: Write) -> None:
    """Never renamed."""
    write("@skill\ndef plan_cycle() -> None: ...")
    with pytest.raises(SkillConflict):
        Offer(site)


def test_a_call_is_a_run_on_the_record(skills: Workspace) -> None:
    """Through the one path, and the door is known."""
    answer = called(skills, "shout", {"word": "hey"})
    assert answer.content[0].text == "HEY HEY"
    assert answer.structured_content == {"result": "HEY HEY"}
    assert not answer.is_error
    (run,) = events(skills, "runs", "run_started")
    assert run["run_id"] == answer.meta[calls.RUN_ID]
    assert run["by"].endswith("@mcp")
    assert called(skills, "facts", {}).structured_content == {"n": 1}


def test_calls_at_once_are_runs_of_their_own(skills: Workspace) -> None:
    """Some side by side, the others after them."""
    answers: list[Any] = []

    async def call(client: Client, word: str) -> None:
        answers.append(await client.call_tool("shout", {"word": word, "times": 1}))

    async def all_at_once(client: Client) -> None:
        async with anyio.create_task_group() as group:
            for word in "abcdefgh":
                group.start_soon(call, client, word)

    asking(skills, all_at_once)
    assert sorted(answer.content[0].text for answer in answers) == [*"ABCDEFGH"]
    runs = {event["run_id"] for event in events(skills, "runs", "run_finished")}
    assert runs == {answer.meta[calls.RUN_ID] for answer in answers}
    assert len(runs) == 8


def test_what_goes_wrong_is_an_answer(skills: Workspace) -> None:
    """From which a model can learn; `--allow` offers, and grants nothing."""
    wrong: list[tuple[str, dict[str, Any], str, str]] = [
        ("shout", {}, "invalid_input", "needs --word"),
        ("shout", {"word": 3}, "invalid_input", "expected str"),
        ("shout", {"word": "a", "wrod": 1}, "invalid_input", "no parameter 'wrod'"),
        ("look", {}, "denied", "dino grant look"),
        ("note", {"text": "x"}, "denied", "dino grant note"),
        ("broken", {}, "skill_failed", "it broke"),
    ]

    async def each(client: Client) -> None:
        for tool, arguments, code, said in wrong:
            answer = await client.call_tool(tool, arguments)
            assert answer.is_error
            assert said in answer.content[0].text  # type: ignore[union-attr]
            assert answer.structured_content
            assert answer.structured_content["error"]["code"] == code

    asking(skills, each, allow=["note"])


def test_what_is_not_offered_cannot_be_called(skills: Workspace) -> None:
    """Whether it is there or not."""

    async def each(client: Client) -> None:
        for tool in ("note", "nothing", "../hello", ""):
            with pytest.raises(MCPError, match="no tool named"):
                await client.call_tool(tool, {"text": "x"})

    asking(skills, each)


def test_a_fault_of_ours_is_told_by_its_kind_alone(
    skills: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text may hold anything."""

    def broken(_offer: Offer) -> None:
        raise RuntimeError("a secret")

    async def call(client: Client) -> Any:
        monkeypatch.setattr(Offer, "skills", broken)
        return await client.call_tool("shout", {"word": "a"})

    with pytest.raises(MCPError, match="RuntimeError") as fault:
        asking(skills, call)
    assert "a secret" not in str(fault.value)


def test_what_is_too_long_for_a_client_is_not_sent(
    skills: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told how long it is."""
    monkeypatch.setattr(calls, "_LONGEST_TEXT", 100)
    answer = called(skills, "shout", {"word": "a" * 60})
    assert answer.is_error
    assert "121 characters" in answer.content[0].text


def test_what_a_run_prints_is_progress(skills: Workspace) -> None:
    """For those who ask for it."""
    told: list[str | None] = []

    async def progress(_done: float, _total: float | None, message: str | None) -> None:
        told.append(message)

    asking(skills, lambda c: c.call_tool("shout", {"word": "a"}, progress_callback=progress))
    assert told == ["shouting"]


def test_a_call_that_is_cancelled_ends(skills: Workspace) -> None:
    """Its run is stopped, and recorded as cancelled."""

    async def leave() -> None:
        async with client_of(skills) as client:
            with anyio.CancelScope() as scope:

                async def stop(*_: object) -> None:
                    scope.cancel()

                await client.call_tool("endless", {}, progress_callback=stop)

    anyio.run(leave)
    until = time.monotonic() + 30
    while not (ended := events(skills, "runs", "run_finished")) and time.monotonic() < until:
        time.sleep(0.02)
    assert [event["outcome"] for event in ended] == ["cancelled"]
