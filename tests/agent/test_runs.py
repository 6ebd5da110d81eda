"""Runs of models with skills, from a goal to one recorded outcome."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelTimeoutError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from dino_os.agent.calls import MOST_TOLD
from dino_os.agent.limits import Limits
from dino_os.agent.running import run_goal
from dino_os.errors import AgentBlocked, AgentFailed, Denied, InvalidInput, UnknownSkill
from dino_os.tool_sandbox.sandbox import Outcome, Sandbox
from dino_os.workspace import Workspace
from engines.agent_log import ToolCall
from tests.agent.kit import Operator, Script, call, run_here, say


def calls_of(home: Workspace, run: str) -> list[ToolCall]:
    return [step for step in home.agent_log.steps(run) if isinstance(step, ToolCall)]


def test_a_goal_is_reached_with_a_skill(home: Workspace) -> None:
    """On the one path, through the door "model"; what was said, done and told is on record."""
    script = Script([say("I add them."), call("add", a=1, b=2)], [say("It is 3.")])
    watch = Operator()
    ended = run_goal(home, "what is 1 + 2?", model=script, skills=["add"], watch=watch).check()

    assert (ended.outcome, ended.output, ended.steps) == ("ok", "It is 3.", 2)
    assert watch.heard == [("said", "I add them."), ("add", "ok")]
    assert "3" in str(script.told)
    run = home.agent_log.run(ended.run)
    assert (run.outcome, run.skills, run.limits["max_steps"]) == ("ok", ("add",), 20)
    [made] = calls_of(home, ended.run)
    assert (made.skill, made.arguments, made.outcome) == ("add", {"a": 1, "b": 2}, "ok")
    lines = map(json.loads, (home.memory / "runs.jsonl").read_text().splitlines())
    began = next(line for line in lines if line["event_type"] == "run_started")
    assert (began["run_id"], began["parent_run"]) == (made.skill_run, ended.run)
    assert began["by"].endswith("@model")
    assert home.agent_log.output(ended.run) == "It is 3."


def test_an_answer_without_a_deed_is_told_apart(home: Workspace) -> None:
    ended = run_goal(home, "do it", model=Script([say("I have done it!")]))
    assert ended.check().outcome == "ok_no_action"
    assert home.agent_log.run(ended.run).outcome == "ok_no_action"


def test_what_fails_is_told_and_counts_as_nothing_done(home: Workspace) -> None:
    script = Script([call("broken")], [say("It did not work.")])
    ended = run_goal(home, "try", model=script)
    assert ended.outcome == "error"
    assert "LookupError: no such gauge" in script.told[0]
    with pytest.raises(AgentFailed, match="no call of a skill"):
        ended.check()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [({"text": [math.nan]}, "not a finite number"), ({"text": ["x" * 90_000]}, "text")],
    ids=["no number", "long"],
)
def test_what_no_record_could_hold_is_no_argument(
    home: Workspace, arguments: dict[str, Any], why: str
) -> None:
    """The model is told, in a few words; nobody is asked about it."""
    script = Script([call("save", **arguments)], [say("x")])
    assert run_goal(home, "save", model=script).outcome == "ok_no_action"
    assert why in str(script.told[0])
    assert len(str(script.told[0])) < 4000


def test_a_skill_that_was_not_granted_what_it_asks_for_is_not_put_to_anybody(
    home: Workspace, saved: Path
) -> None:
    home.admission.revoke("save", by="tester")
    script = Script([call("save", text="x")], [say("I may not.")])
    ended = run_goal(home, "save", model=script, watch=Operator())
    assert ended.outcome == "denied"
    assert "dino grant save" in script.told[0]
    assert not saved.exists()
    with pytest.raises(Denied):
        ended.check()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"a": "one"}, "expected int"),
        ({}, "needs --a"),
        ({"a": 1, "c": 2}, "no parameter 'c'"),
    ],
)
def test_a_model_may_correct_its_arguments(
    home: Workspace, wrong: dict[str, Any], said: str
) -> None:
    script = Script([call("add", **wrong)], [call("add", a=1)], [say("2")])
    watch = Operator()
    ended = run_goal(home, "add", model=script, watch=watch)
    assert ended.outcome == "ok"
    assert said in watch.heard[0][1]
    assert said in str(script.seen[1][-1])
    assert [made.arguments for made in calls_of(home, ended.run)] == [{"a": 1}]


def test_but_not_for_ever(home: Workspace) -> None:
    ended = run_goal(home, "add", model=Script(*[[call("add", a="one")]] * 9))
    assert (ended.outcome, ended.steps) == ("error", 3)
    assert "could not go on" in str(ended.error)


def test_a_tool_that_is_not_there_is_named_to_the_model(home: Workspace) -> None:
    script = Script([call("ad", a=1)], [call("rm", path="/")], [call("add", a=1)], [say("2")])
    assert run_goal(home, "add", model=script, skills=["add"]).outcome == "ok"
    assert "add" in str(script.seen[1][-1])
    assert run_goal(home, "add", model=Script(*[[call("rm", path="/")]] * 9)).outcome == "error"


def test_it_stops_at_its_limit_of_steps(home: Workspace) -> None:
    ended = run_goal(home, "add", model=Script(*[[call("add", a=1)]] * 9), limits=Limits(3))
    assert (ended.outcome, ended.steps, len(ended.calls)) == ("blocked", 3, 3)
    with pytest.raises(AgentBlocked, match="limit of steps"):
        ended.check()


def test_it_stops_at_its_limit_of_tokens(home: Workspace) -> None:
    def answer(messages: list[Any], info: AgentInfo) -> ModelResponse:
        return ModelResponse([call("add", a=1)], usage=RequestUsage(input_tokens=60))

    ended = run_goal(
        home, "add", model=lambda run, **terms: FunctionModel(answer), limits=Limits(9, 100)
    )
    assert (ended.outcome, len(ended.calls)) == ("blocked", 1)
    assert "limit of tokens" in str(ended.error)


def test_of_a_long_result_the_model_gets_the_beginning(home: Workspace) -> None:
    script = Script([call("much", size=3 * MOST_TOLD)], [say("long")])
    ended = run_goal(home, "much", model=script)
    told = str(script.told[0])
    assert MOST_TOLD // 2 < len(told) < 1.5 * MOST_TOLD
    assert "left_out_characters" in told
    assert len(str(calls_of(home, ended.run)[0].result)) < 1.5 * MOST_TOLD


def test_many_skills_are_found_by_what_they_do(workspace: Path, home: Workspace) -> None:
    more = "".join(f'\n@skill\ndef other_{n}() -> int:\n    """Some thing."""\n' for n in range(9))
    (workspace / "skills" / "more.py").write_text(f"from dino_os import skill\n{more}")
    script = Script([call("find_skill", query="add two numbers")], [call("add", a=1)], [say("2")])
    assert run_goal(home, "something thing", model=script).outcome == "ok"
    assert [len(offered) for offered in script.offered] == [8, 8, 8]
    assert "add" not in script.offered[0]
    assert "add" in script.offered[1]


def test_a_skill_that_takes_too_long_is_stopped_and_told_of(
    workspace: Path, home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the run holds where the skill's own is longer."""

    def timed(sandbox: object, policy: Any, job: Any, **how: Any) -> Outcome:
        error = {"message": f"it was stopped after {policy.limits.timeout_s:g} s"}
        return Outcome("timeout", ok=False, code=-9, walls=[], error=error)

    monkeypatch.setattr(Sandbox, "run", timed)
    script = Script([call("add", a=1)], [say("too slow")])
    ended = run_goal(home, "add", model=script, limits=Limits(5, timeout_s=2.5))
    assert [made.outcome for made in ended.calls] == ["timeout"]
    assert "it was stopped after 2.5 s" in script.told[0]


def test_names_that_are_not_there_are_told_before_anything_begins(home: Workspace) -> None:
    with pytest.raises(UnknownSkill, match="did you mean 'add'"):
        run_goal(home, "x", model=Script(), skills=["ad"])
    for file in home.skills_folder.iterdir():
        file.unlink()
    with pytest.raises(InvalidInput, match="no skill"):
        run_goal(Workspace(home.root), "x", model=Script())
    assert home.agent_log.runs() == []


def raising(error: BaseException) -> Callable[..., FunctionModel]:
    def answer(messages: list[Any], info: AgentInfo) -> ModelResponse:
        raise error

    return lambda run, **terms: FunctionModel(answer)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ModelTimeoutError("m", "slow"), "timeout"),
        (InvalidInput("no"), "error"),
        (Denied("no"), "denied"),
    ],
)
def test_a_model_that_cannot_be_asked_ends_the_run(
    home: Workspace, error: Exception, outcome: str
) -> None:
    ended = run_goal(home, "x", model=raising(error))
    assert ended.outcome == outcome == home.agent_log.run(ended.run).outcome
    with pytest.raises(type(ended.error)):  # type: ignore[arg-type]
        ended.check()


def test_a_fault_of_ours_ends_the_run_too(home: Workspace) -> None:
    with pytest.raises(ZeroDivisionError):
        run_goal(home, "x", model=raising(ZeroDivisionError()))
    [run] = home.agent_log.runs()
    assert (run.outcome, run.error) == ("error", "ZeroDivisionError")


def test_ctrl_c_while_the_model_thinks(home: Workspace) -> None:
    async def answer(messages: list[Any], info: AgentInfo) -> ModelResponse:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        run_goal(home, "x", model=lambda run, **terms: FunctionModel(answer))
    assert home.agent_log.runs()[0].outcome == "cancelled"


def test_ctrl_c_while_a_skill_runs(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the skill at once, though the event loop is not asked."""

    def interrupted(sandbox: object, policy: Any, job: Any, **how: Any) -> Outcome:
        os.kill(os.getpid(), signal.SIGINT)
        return run_here(sandbox, policy, job)

    monkeypatch.setattr(Sandbox, "run", interrupted)
    script = Script([call("add", a=1)], [say("2")])
    with pytest.raises(KeyboardInterrupt):
        run_goal(home, "x", model=script)
    [run] = home.agent_log.runs()
    assert run.outcome == "cancelled"
    assert [made.outcome for made in calls_of(home, run.id)] == ["cancelled"]
    assert len(script.seen) == 1
