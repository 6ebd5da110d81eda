"""A run gone through again by its record: the same way, or where it goes another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ToolCallPart

from dino_os.agent import loop
from dino_os.agent.approvals import decide
from dino_os.agent.calls import Calls
from dino_os.agent.limits import Limits
from dino_os.agent.replay import replay
from dino_os.agent.running import run_goal
from dino_os.errors import InvalidInput, ReplayDiffers
from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.workspace import Workspace
from engines.agent_log import AgentLog, ModelCall, Step, ToolCall
from engines.filed import FiledBroken
from tests.agent.kit import Operator, Turn, call, say
from tests.agent.transcripts import Recorded

FOUND = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
WAYS: dict[str, tuple[Sequence[Turn], list[bool], str]] = {
    "an answer at once": ([[say("no need")]], [], "ok_no_action"),
    "a call": ([[say("I add."), call("add", a=1)], [say("2")]], [], "ok"),
    "several calls": ([[call("add", a=1), call("add", a=2)], [say("2, 3")]], [], "ok"),
    "the same name for the calls of two steps": (
        [[call("add", "c", a=1)], [call("add", "c", a=2)], [say("2, 3")]],
        [],
        "ok",
    ),
    "a call that fails": ([[call("broken")], [say("no")]], [], "error"),
    "a long result": ([[call("much", size=40_000)], [say("long")]], [], "ok"),
    "what fits nothing": (
        [[call("add", a="x")], [call("ad", a=1)], [call("add", a=1)], [say("2")]],
        [],
        "ok",
    ),
    "no JSON, and what is no tool, by one name": (
        [[ToolCallPart("add", "no {", "c")], [call("nobody", "c")], [say("no")]],
        [],
        "ok_no_action",
    ),
    "nothing that fits, for ever": ([[call("add", a="x")]] * 9, [], "error"),
    "its limit": ([[call("add", a=1)]] * 9, [], "blocked"),
    "a call that people allow": (
        [[call("add", a=1), call("save", text="x")], [say("done")]],
        [True],
        "ok",
    ),
    "one that they refuse": ([[call("save", text="x")], [say("no")]], [False], "denied"),
    "what looks like a secret": (
        [[call("echo", text=f"token {FOUND}")], [say(f"it says {FOUND}")]],
        [],
        "ok",
    ),
}
MORE = '''
@skill
def echo(text: str) -> dict:
    """Say it again."""
    print(text)
    return {"password": text, "said": [text] * 3}
'''


@pytest.fixture
def home(home: Workspace) -> Workspace:
    with (home.root / "skills" / "mine.py").open("a") as file:
        file.write(MORE)
    fresh = Workspace(home.root)
    fresh.admission.grant(fresh.plugins.skills().find("save"), by="tester")
    return fresh


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on no skill may run, and nothing may be written."""

    def fall_silent() -> None:
        def never(*_: Any, **__: Any) -> Any:
            raise AssertionError("a replay does nothing")

        monkeypatch.setattr(Sandbox, "run", never)
        monkeypatch.setattr(Calls, "call", never)

    return fall_silent


def bytes_of(home: Workspace) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in home.memory.rglob("*") if file.is_file()}


@pytest.mark.parametrize("way", WAYS)
def test_whichever_way_a_run_went_it_goes_again(
    home: Workspace, quiet: Callable[[], None], way: str
) -> None:
    """Without a model, skills or people; and the record stays as it is."""
    turns, answers, outcome = WAYS[way]
    model = Recorded(home, *turns)
    ended = run_goal(home, "goal " * 90, model=model, watch=Operator(*answers), limits=Limits(6))
    assert ended.outcome == outcome
    quiet()
    before = bytes_of(home)
    again = replay(Workspace(home.root), ended.run)
    assert (again.end, again.steps) == (outcome, ended.steps)
    assert again.calls == len(ended.calls)
    assert bytes_of(home) == before


def test_a_run_that_was_parked_goes_again_as_far_as_it_came(
    home: Workspace, quiet: Callable[[], None]
) -> None:
    """Twice, in other processes, with calls that have one name."""
    turns = [[call("save", "c", text="1")], [call("save", "c", text="2")], [say("done")]]
    run = run_goal(home, "save", model=Recorded(home, *turns)).run
    assert replay(home, run).end == "waiting"
    for _ in range(2):
        other = Workspace(home.root)
        [waits] = other.agent_log.waiting()
        decide(other, waits.id, approved=True, model=Recorded(other, *turns))
    assert (home.root / "out" / "saved").read_text() == "1\n2\n"
    quiet()
    again = replay(home, run)
    assert (again.end, again.steps, again.calls) == ("ok", 3, 2)


def test_a_run_whose_model_did_not_answer_goes_as_far(home: Workspace) -> None:
    def dies(_: Any) -> Any:
        raise InvalidInput("no more")

    ended = run_goal(home, "add", model=Recorded(home, [call("add", a=1)], dies))
    assert ended.outcome == "error"
    assert replay(home, ended.run).end == "unanswered"


def changed(steps: list[Step], kind: type, number: int, **changes: Any) -> list[Step]:
    at = [n for n, step in enumerate(steps) if isinstance(step, kind)][number]
    return [*steps[:at], replace(steps[at], **changes), *steps[at + 1 :]]


def _without_the_last_answer(steps: list[Step]) -> list[Step]:
    return steps[:-1]


def _another_result(steps: list[Step]) -> list[Step]:
    return changed(steps, ToolCall, 0, result={"data": 3})


def _other_arguments(steps: list[Step]) -> list[Step]:
    return changed(steps, ToolCall, 0, arguments={"a": 7})


def _another_end(steps: list[Step]) -> list[Step]:
    [*_, last] = [step for step in steps if isinstance(step, ModelCall)]
    [said] = last.response
    part = {**said["parts"][0], "content": "3"}
    return changed(steps, ModelCall, -1, response=[{**said, "parts": [part]}])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_without_the_last_answer, "the end"),
        (_another_result, r"step 2: .*content.*is on record"),
        (_other_arguments, "another call"),
        (_another_end, "step 2: the end"),
    ],
)
def test_what_is_not_as_it_was_is_found(
    home: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[Step]], list[Step]],
    where: str,
) -> None:
    """In the record, at the step where it begins to matter."""
    run = run_goal(home, "add", model=Recorded(home, [call("add", a=1)], [say("2")])).run
    steps = home.agent_log.steps(run)
    monkeypatch.setattr(AgentLog, "steps", lambda *_: change(steps))
    with pytest.raises(ReplayDiffers, match=where):
        replay(home, run)


def test_another_dino_is_told_apart(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_goal(home, "add", model=Recorded(home, [call("add", a=1)], [say("2")])).run
    monkeypatch.setattr(loop, "INSTRUCTIONS", "Do as you like.")
    with pytest.raises(ReplayDiffers, match=r"step 1: .*instructions"):
        replay(home, run)


def test_what_cannot_be_gone_through_again_says_so(home: Workspace) -> None:
    log = home.agent_log
    run = log.begin("ask", "why", actor="a", door="b")
    with pytest.raises(InvalidInput, match="kind 'ask'"):
        replay(home, run)
    run = log.begin("run", "why", actor="a", door="b")
    with pytest.raises(InvalidInput, match="nothing to go through"):
        replay(home, run)
    ended = run_goal(home, "m", model=Recorded(home, [call("much", size=9000)], [say("x")]))
    for file in (home.memory / "transcripts").iterdir():
        file.write_text("1")
    with pytest.raises(FiledBroken):
        replay(home, ended.run)
