"""Calls that people are to decide: on a terminal, or later and in another process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ToolCallPart

from dino_os.agent.approvals import decide
from dino_os.agent.endings import Ended
from dino_os.agent.limits import Limits
from dino_os.agent.running import go_on, run_goal
from dino_os.errors import AgentFailed, Denied, UnknownSkill
from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.workspace import Workspace
from engines.agent_log import Approval, NoSuchApproval, State, ToolCall, WrongState
from tests.agent.kit import Operator, Script, call, run_here, say

SAVES = ([say("I write it down."), call("save", text="hi")], [say("It is saved.")])


def parked(home: Workspace, script: Script, **how: Any) -> Ended:
    ended = run_goal(home, "save it", model=script, **how)
    assert (ended.outcome, ended.as_dict()["state"]) == (None, "parked")
    return ended


def other(home: Workspace) -> Workspace:
    """As another process sees it."""
    return Workspace(home.root)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


# --- on a terminal ---------------------------------------------------------------------------


def test_a_call_is_shown_with_its_arguments_and_why(home: Workspace, saved: Path) -> None:
    watch = Operator(True)
    ended = run_goal(home, "save", model=Script(*SAVES), watch=watch)
    assert ended.outcome == "ok"
    [asked] = watch.asked
    assert (asked.skill, asked.arguments) == ("save", {"text": "hi"})
    assert asked.why == "it may read and change out"
    assert lines(saved) == ["hi"]
    [decided] = [s for s in home.agent_log.steps(ended.run) if isinstance(s, Approval)]
    assert (decided.approved, decided.used) == (True, True)
    assert f"{decided.by}@{decided.door}" == home.operator


def test_a_call_that_is_refused_is_not_made(home: Workspace, saved: Path) -> None:
    script = Script(*SAVES)
    ended = run_goal(home, "save", model=script, watch=Operator(False))
    assert ended.outcome == "denied"
    assert script.told == ["not run: the operator refused it"]
    assert lines(saved) == []
    [made] = [s for s in home.agent_log.steps(ended.run) if isinstance(s, ToolCall)]
    assert (made.outcome, made.skill_run) == ("denied", None)


def test_each_call_is_decided_by_itself(home: Workspace, saved: Path) -> None:
    """The result of one that needs nobody is there as well, in the order of the calls."""
    both = [call("save", text="1"), call("add", a=1), call("save", text="2")]
    script = Script(both, [say("done")])
    watch = Operator(False, True)
    assert run_goal(home, "save", model=script, watch=watch).outcome == "ok"
    assert lines(saved) == ["2"]
    assert len(script.seen) == 2
    assert len(script.told) == 3


def test_each_call_can_be_asked_for(home: Workspace) -> None:
    watch = Operator(True)
    script = Script([call("add", a=1)], [say("2")])
    limits = Limits(9, ask_each=True)
    assert run_goal(home, "add", model=script, watch=watch, limits=limits).outcome == "ok"
    assert watch.asked[0].why == "each call is to be approved (--approve)"


def test_what_the_settings_allow_is_asked_for_once_untrusted_text_is_there(
    workspace: Path, home: Workspace, saved: Path
) -> None:
    (workspace / "config.yaml").write_text("agent:\n  skills:\n    save: allow\n    add: deny\n")
    script = Script([call("save", text="1")], [call("save", text="2")], [say("done")])
    watch = Operator(True)
    assert run_goal(other(home), "save", model=script, watch=watch).outcome == "ok"
    assert [asked.arguments["text"] for asked in watch.asked] == ["2"]
    refused = Script([call("add", a=1)], [say("no")])
    assert run_goal(other(home), "add", model=refused).outcome == "denied"
    assert "agent.skills" in refused.told[0]


# --- parked ----------------------------------------------------------------------------------


def test_where_nobody_is_there_the_run_is_parked_and_goes_on_later(
    home: Workspace, saved: Path
) -> None:
    first = [call("add", a=1), call("save", text="hi")]
    script = Script(first, [say("It is saved.")])
    ended = parked(home, script, limits=Limits(7, timeout_s=5.0))
    assert home.agent_log.run(ended.run).state is State.PARKED
    assert lines(saved) == []
    [waiting] = ended.waiting

    there = other(home)
    assert [one.id for one in there.agent_log.waiting()] == [waiting.id]
    gone_on = decide(there, waiting.id, approved=True, model=script)
    assert (gone_on.outcome, gone_on.output, gone_on.steps) == ("ok", "It is saved.", 2)
    assert [made.skill for made in gone_on.calls] == ["add", "save"]
    assert lines(saved) == ["hi"]
    assert len(script.seen) == 2  # nothing was asked twice
    assert home.agent_log.run(ended.run).outcome == "ok"


def test_a_parked_call_can_be_refused(home: Workspace, saved: Path) -> None:
    script = Script(*SAVES)
    [waiting] = parked(home, script).waiting
    ended = decide(other(home), waiting.id, approved=False, model=script)
    assert ended.outcome == "denied"
    assert "refused" in script.told[0]
    assert lines(saved) == []


def test_what_was_done_before_it_was_parked_counts(home: Workspace) -> None:
    script = Script([call("add", a=1)], *SAVES)
    [waiting] = parked(home, script).waiting
    assert decide(other(home), waiting.id, approved=False, model=script).outcome == "ok"


def test_a_run_may_be_parked_again(home: Workspace, saved: Path) -> None:
    script = Script([call("save", text="1")], [call("save", text="2")], [say("done")])
    [first] = parked(home, script).waiting
    again = decide(other(home), first.id, approved=True, model=script)
    assert lines(saved) == ["1"]
    [second] = again.waiting
    assert second.arguments == {"text": "2"}
    assert decide(other(home), second.id, approved=True, model=script).outcome == "ok"
    assert lines(saved) == ["1", "2"]


def test_it_goes_on_when_the_last_is_decided(home: Workspace, saved: Path) -> None:
    script = Script([call("save", text="1"), call("save", text="2")], [say("done")])
    first, second = parked(home, script).waiting
    still = decide(other(home), second.id, approved=True, model=script)
    assert [one.id for one in still.waiting] == [first.id]
    assert lines(saved) == []
    assert decide(other(home), first.id, approved=False, model=script).outcome == "ok"
    assert lines(saved) == ["2"]


def test_the_limits_of_a_run_hold_when_it_goes_on(home: Workspace) -> None:
    script = Script([call("save", text="1")], *[[call("add", a=1)]] * 9)
    [waiting] = parked(home, script, limits=Limits(3)).waiting
    ended = decide(other(home), waiting.id, approved=True, model=script)
    assert (ended.outcome, ended.steps) == ("blocked", 3)


def test_an_approval_is_decided_once(home: Workspace, saved: Path) -> None:
    script = Script([call("save", text="1")], [call("save", text="2")], [say("done")])
    [waiting] = parked(home, script).waiting
    decide(other(home), waiting.id, approved=True, model=script)
    for approved in (True, False):
        with pytest.raises(WrongState, match="allowed by"):
            decide(other(home), waiting.id, approved=approved, model=script)
    assert lines(saved) == ["1"]
    with pytest.raises(NoSuchApproval):
        decide(home, "gone", approved=True, model=script)


def test_of_two_who_approve_at_once_one_does(home: Workspace, saved: Path) -> None:
    script = Script(*SAVES)
    [waiting] = parked(home, script).waiting
    start, ends = Barrier(2), list[object]()

    def approve() -> None:
        there = other(home)
        start.wait()
        try:
            ends.append(decide(there, waiting.id, approved=True, model=script).outcome)
        except (WrongState, NoSuchApproval) as error:
            ends.append(type(error))

    threads = [Thread(target=approve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "ok" in ends
    assert ends.count("ok") == 1
    assert lines(saved) == ["hi"]


# --- what was approved is what is done -------------------------------------------------------


def test_a_skill_that_changed_since_is_not_run(home: Workspace, saved: Path) -> None:
    script = Script(*SAVES)
    [waiting] = parked(home, script).waiting
    file = home.skills_folder / "mine.py"
    file.write_text(file.read_text() + "\n# another\n")
    there = other(home)
    there.admission.grant(there.plugins.skills().find("save"), by="tester")
    with pytest.raises(Denied, match="has changed"):
        decide(there, waiting.id, approved=True, model=script)
    assert [one.id for one in there.agent_log.waiting()] == [waiting.id]
    assert decide(there, waiting.id, approved=False, model=script).outcome == "denied"
    assert lines(saved) == []


def test_nor_one_that_changes_behind_the_approval(home: Workspace, saved: Path) -> None:
    script = Script(*SAVES)
    ended = parked(home, script)
    home.agent_log.decide(ended.waiting[0].id, True, by="ada", door="terminal")
    file = home.skills_folder / "mine.py"
    file.write_text(file.read_text() + "\n# another\n")
    there = other(home)
    there.admission.grant(there.plugins.skills().find("save"), by="tester")
    assert go_on(there, ended.run, model=script).outcome == "denied"
    assert "source" in script.told[0]
    assert lines(saved) == []


def test_other_arguments_than_were_shown_are_not_taken(
    home: Workspace, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever alters the stored messages: what the approval covers is on record."""
    script = Script([call("save", "c1", text="hi")], [say("done")])
    [waiting] = parked(home, script).waiting
    there = other(home)
    stored = there.agent_log.messages(waiting.run)
    assert stored[-1]["parts"][0]["args"] == {"text": "hi"}
    stored[-1]["parts"][0]["args"] = {"text": "all your secrets"}
    monkeypatch.setattr(there.agent_log, "messages", lambda run: stored)
    ended = decide(there, waiting.id, approved=True, model=script)
    assert ended.outcome == "denied"
    assert "other arguments" in script.told[0]
    assert lines(saved) == []


def test_an_approval_is_not_one_of_a_later_call_of_the_same_name(
    home: Workspace, saved: Path
) -> None:
    """Small models name every call alike."""
    turn = [call("save", "call_0", text="hi")]
    script = Script(turn, turn, [say("done")])
    watch = Operator(True, False)
    assert run_goal(home, "save", model=script, watch=watch).outcome == "ok"
    assert len(watch.asked) == 2
    assert lines(saved) == ["hi"]


def test_nor_where_the_run_is_parked_between_them(home: Workspace, saved: Path) -> None:
    turn = [call("save", "call_0", text="hi")]
    script = Script(turn, turn, [call("add", "call_0", a=1)], [say("done")])
    [first] = parked(home, script).waiting
    [second] = decide(other(home), first.id, approved=True, model=script).waiting
    assert lines(saved) == ["hi"]
    assert second.id != first.id
    assert decide(other(home), second.id, approved=True, model=script).outcome == "ok"
    assert lines(saved) == ["hi", "hi"]


def test_the_call_of_a_skill_that_is_gone_can_be_refused(home: Workspace) -> None:
    script = Script(*SAVES)
    [waiting] = parked(home, script).waiting
    (home.skills_folder / "mine.py").unlink()
    with pytest.raises(UnknownSkill):
        decide(other(home), waiting.id, approved=True, model=script)
    assert decide(other(home), waiting.id, approved=False, model=script).outcome == "denied"


def test_a_grant_that_was_taken_back_holds_when_the_run_goes_on(
    home: Workspace, saved: Path
) -> None:
    script = Script(*SAVES)
    [waiting] = parked(home, script).waiting
    home.admission.revoke("save", by="tester")
    assert decide(other(home), waiting.id, approved=True, model=script).outcome == "denied"
    assert lines(saved) == []


# --- killed ----------------------------------------------------------------------------------


def killed(work: Callable[[], object]) -> None:
    """Do *work* in a process of its own, which is killed on the way."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), 9)


STEPS = ["behind the decision", "before the call", "in the call", "behind the call"]


@pytest.mark.parametrize("when", STEPS)
def test_killed_while_it_goes_on_nothing_is_done_twice(
    home: Workspace, saved: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """What was begun and has no end is told as that: whether it was done, nobody knows."""
    script = Script(*SAVES)
    [waiting] = parked(home, script).waiting

    def in_the_call(*args: Any, **how: Any) -> Any:
        run_here(*args, **how)
        die()

    def approve() -> None:
        there = other(home)
        if when == "behind the decision":
            monkeypatch.setattr(there.agent_log, "resume", die)
        elif when == "before the call":
            monkeypatch.setattr(there.agent_log, "use", die)
        elif when == "in the call":
            monkeypatch.setattr(Sandbox, "run", in_the_call)
        dies = Script(SAVES[0], lambda messages: die())
        decide(there, waiting.id, approved=True, model=dies)

    killed(approve)
    there = other(home)
    left = State.PARKED if when == "behind the decision" else State.INTERRUPTED
    assert there.agent_log.run(waiting.run).state is left
    with pytest.raises(WrongState, match="allowed by"):
        decide(there, waiting.id, approved=False, model=script)
    ended = decide(there, waiting.id, approved=True, model=script)
    assert lines(saved) == ["hi"]
    told = str(script.told[0])
    if when == "in the call":
        assert ended.outcome == "error"
        assert "was not made again" in told
    else:
        assert ended.outcome == "ok"
        assert "saved" in told


@pytest.mark.parametrize("name", [None, "call_0"], ids=["own names", "one name for all"])
def test_a_run_that_did_more_before_it_was_killed_does_not_go_on(
    home: Workspace, saved: Path, name: str | None
) -> None:
    wrong, first = [call("add", name, a="one")], [call("save", name, text="1")]
    more = [call("add", name, a=1)]
    [waiting] = parked(home, Script(wrong, first)).waiting

    def dies(messages: list[ModelMessage]) -> list[ToolCallPart]:
        die()
        return []

    turns = (wrong, first, more)
    killed(lambda: decide(other(home), waiting.id, approved=True, model=Script(*turns, dies)))
    with pytest.raises(AgentFailed, match="without doing that again"):
        decide(other(home), waiting.id, approved=True, model=Script(*turns, [say("done")]))
    assert lines(saved) == ["1"]


def test_a_run_that_was_killed_before_it_was_parked_takes_no_decision(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> None:
        there = other(home)
        monkeypatch.setattr(there.agent_log, "park", die)
        run_goal(there, "save", model=Script(*SAVES))

    killed(begin)
    there = other(home)
    [waiting] = there.agent_log.waiting()
    with pytest.raises(WrongState, match="interrupted"):
        decide(there, waiting.id, approved=True, model=Script(*SAVES))
    assert there.agent_log.waiting() == [waiting]
    assert decide(there, waiting.id, approved=False).outcome == "denied"
    assert there.agent_log.waiting() == []
    assert there.agent_log.run(waiting.run).outcome == "denied"
