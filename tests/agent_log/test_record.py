"""The record of models: what is said once stands, in every process, and large parts by hash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.agent_log import (
    AgentLog,
    Budget,
    BudgetSpent,
    NoSuchApproval,
    NoSuchRun,
    Spent,
    State,
    WrongState,
    amount_text,
)
from engines.errors import InvalidInput
from engines.filed import FiledBroken
from engines.journal import Journal, verify

Open = Callable[[], AgentLog]
WHO: dict[str, Any] = {"actor": "ada", "door": "terminal"}
NOON = 1_800_000_000.0
HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Open:
    """The record as one more process opens it."""
    file = tmp_path / "agent_log.jsonl"
    return lambda: AgentLog(Journal(file, clock=clock), clock=clock)


def asked(log: AgentLog, run: str, **budget: Any) -> str:
    return log.reserve(run, "local", "phi", tokens=100, money=0.1, budget=Budget(**budget))


def test_a_run_is_seen_by_the_next_process(opened: Open) -> None:
    """What was said, called, approved and spent, in its order."""
    log = opened()
    run = log.begin("run", "pump it", model_wanted="phi", skills=["dock__pump"], **WHO)
    call = asked(log, run)
    log.called(call, outcome="ok", input_tokens=30, output_tokens=12, request=["q"], response=["a"])
    log.tool_called(run, "t1", "dock/pump", arguments={"n": 1}, outcome="ok", result=[1, None])
    log.finish(run, "ok", {"answer": 42})

    again = opened()
    found = again.run(run)
    assert (found.state, found.outcome, found.spent) == (State.ENDED, "ok", Spent(1, 42, 0.0))
    assert (found.tool_calls, found.tainted, found.skills) == (1, True, ("dock__pump",))
    asked_, called = again.steps(run)
    assert (asked_.as_dict()["step"], called.as_dict()["result"]) == ("model_call", [1, None])
    assert (again.messages(run), again.output(run)) == (["q", "a"], {"answer": 42})
    assert [one.id for one in again.runs(5)] == [run]
    with pytest.raises(WrongState, match="has ended"):
        again.finish(run, "error")
    with pytest.raises(WrongState, match="not under way"):
        asked(again, run)


def test_without_a_journal_it_is_the_same() -> None:
    """As long as the process lives."""
    log = AgentLog()
    run = log.begin("ask", "why?" * 200, **WHO)
    log.called(asked(log, run), outcome="error", request={"a": "x" * 9000})
    assert log.goal(run) == "why?" * 200
    assert log.messages(run) == [{"a": "x" * 9000}]


def test_lines_stay_short_however_much_is_said(opened: Open, tmp_path: Path) -> None:
    """Large parts lie in files by hash, once each, and one that was altered is found."""
    log, large = opened(), ["pump " * 20_000]
    run = log.begin("run", "goal " * 2000, limits={"steps": 3}, **WHO)
    log.called(asked(log, run), outcome="ok", request=large, response=large)
    arguments = {"text": large}
    log.tool_called(run, "t", "s", arguments=arguments, outcome="ok", result=large)
    one = log.ask_approval(run, "u", "s", arguments, "it writes")
    assert log.approval(one).arguments == arguments
    log.park(run, [large, large])
    assert max(map(len, (tmp_path / "agent_log.jsonl").read_bytes().splitlines())) < 3000

    again = opened()
    assert again.messages(run) == [large, large]
    assert again.goal(run) == "goal " * 2000
    assert again.steps(run)[0].request == large  # type: ignore[union-attr]
    files = sorted((tmp_path / "transcripts").iterdir())
    assert len(files) == 4  # the goal, the text, the arguments, the messages
    for file in files:
        file.write_text(json.dumps("another"))
    with pytest.raises(FiledBroken, match="altered"):
        again.messages(run)


@pytest.mark.parametrize(
    ("limit", "fits"), [("calls", 3), ("run_calls", 3), ("tokens", 300), ("run_tokens", 350)]
)
def test_a_budget_holds_what_is_spent_and_what_is_reserved(
    opened: Open, limit: str, fits: int
) -> None:
    """Three of a hundred tokens each fit, one that has ended and two that have not."""
    log = opened()
    run = log.begin("chat", "hello", **WHO)
    log.called(asked(log, run), outcome="ok", input_tokens=60, output_tokens=40)
    for _ in range(2):
        asked(opened(), run, **{limit: fits})
    with pytest.raises(BudgetSpent, match="is spent") as refused:
        asked(opened(), run, **{limit: fits})
    assert (refused.value.exit_code, refused.value.limit) == (3, fits)


def test_sums_of_money_are_not_off_by_their_rounding(opened: Open) -> None:
    log = opened()
    run = log.begin("run", "pay", **WHO)
    for _ in range(3):  # 0.1 + 0.1 + 0.1 > 0.3, as floats have it
        log.called(asked(log, run, money=0.3), outcome="ok", money=0.1)
    assert log.spent().money == 0.3
    with pytest.raises(BudgetSpent, match="money per day"):
        asked(log, run, money=0.3)


def test_a_new_day_has_a_new_budget_and_a_run_has_not(opened: Open, clock: Clock) -> None:
    """What was reserved and never ended may have been spent: it counts for its day."""
    log = opened()
    run = log.begin("run", "go", **WHO)
    late = asked(log, run, tokens=150)
    clock.now += HOUR
    with pytest.raises(BudgetSpent):
        asked(log, run, tokens=150)
    asked(log, run, tokens=200)
    assert log.spent().calls == 2
    clock.now += 24 * HOUR
    asked(log, run, calls=1)
    with pytest.raises(BudgetSpent, match="calls per run"):
        asked(log, run, run_calls=3)
    log.called(late, outcome="ok", input_tokens=90)  # belongs to the day on which it began
    assert (log.spent().tokens, log.spent("2027-01-15").tokens) == (0, 90)
    with pytest.raises(WrongState, match="open"):
        log.called(late, outcome="ok")


def test_a_reservation_of_the_future_counts(opened: Open, clock: Clock) -> None:
    """A clock that was set back opens no budget."""
    log = opened()
    run = log.begin("run", "go", **WHO)
    asked(log, run)
    clock.now -= 2 * HOUR
    with pytest.raises(BudgetSpent):
        asked(log, run, run_tokens=150)


def test_an_approval_covers_what_was_shown_once(opened: Open) -> None:
    """This skill, in this source, with these arguments in whatever order: then it is used up."""
    log = opened()
    run = log.begin("run", "mail", **WHO)
    shown = {"to": "ada", "n": [1, {"b": 2, "a": 1}]}
    asked_for = (run, "c1", "mail", shown, "it writes")
    one = log.ask_approval(*asked_for, source_sha256="a")
    assert log.ask_approval(*asked_for, source_sha256="a") == one
    assert [each.arguments for each in opened().waiting()] == [shown]
    with pytest.raises(WrongState, match="not given"):
        log.use(one, "mail", shown, source_sha256="a")
    opened().decide(one, True, by="ben", door="terminal")

    for other in ({**shown, "to": "eve"}, {**shown, "bcc": "eve"}, {}):
        with pytest.raises(WrongState, match="other arguments"):
            log.use(one, "mail", other, source_sha256="a")
    with pytest.raises(WrongState, match="another skill"):
        log.use(one, "pay", shown, source_sha256="a")
    with pytest.raises(WrongState, match="source"):
        log.use(one, "mail", shown, source_sha256="b")
    with pytest.raises(WrongState, match="allowed by ben"):
        log.decide(one, False, by="eve", door="model")
    assert opened().approval(one).used is False

    same = {"n": [1, {"a": 1, "b": 2}], "to": "ada"}
    opened().use(one, "mail", same, source_sha256="a")
    with pytest.raises(WrongState, match="was begun"):
        log.use(one, "mail", shown, source_sha256="a")
    assert log.waiting() == []
    assert [step.as_dict().get("used") for step in log.steps(run)] == [True]


def test_a_run_is_tainted_by_what_it_takes_in(opened: Open) -> None:
    """By a result that nobody vouches for, or by what was put before the model at once."""
    log = opened()
    run, other = (log.begin("run", "go", **WHO) for _ in range(2))
    log.tool_called(run, "c", "add", arguments={}, outcome="ok", result=2, untrusted=False)
    assert not opened().run(run).tainted
    log.tool_called(run, "d", "read", arguments={}, outcome="ok", result="?")
    log.taint(other, "memory")
    assert opened().run(run).tainted
    assert opened().run(other).tainted


def test_approvals_end_with_their_run(opened: Open) -> None:
    log = opened()
    run = log.begin("run", "mail", **WHO)
    one = log.ask_approval(run, "c1", "mail", {}, "it writes")
    log.finish(run, "cancelled")
    with pytest.raises(NoSuchApproval):
        log.decide(one, True, by="ada", door="terminal")


def test_a_parked_run_is_resumed_by_one(opened: Open) -> None:
    log = opened()
    run = log.begin("run", "mail", **WHO)
    log.park(run, [{"kind": "request"}])
    other = opened()
    other.resume(run)
    with pytest.raises(WrongState, match="not parked"):
        log.resume(run)
    assert other.run(run).state is State.RUNNING
    other.park(run, ["later"])
    assert log.messages(run) == ["later"]
    other.finish(run, "denied")  # while it is parked


def test_nobody_goes_on_from_what_a_run_was_parked_with_before(opened: Open) -> None:
    """Whoever read that, and was held up, while another resumed it and parked it again."""
    log, other = opened(), opened()
    run = log.begin("run", "mail", **WHO)
    assert log.parked(run) == 0
    log.park(run, ["first"])
    before = log.parked(run)
    other.resume(run, other.parked(run))
    other.park(run, ["first", "second"])
    with pytest.raises(WrongState, match="gone on meanwhile"):
        log.resume(run, before)
    log.resume(run, log.parked(run))
    assert log.run(run).state is State.RUNNING


_KILLED = """
import os, sys
from engines.agent_log import AgentLog
from engines.journal import Journal
log = AgentLog(Journal(sys.argv[1]))
run = log.begin("run", "go", actor="a", door="b")
log.reserve(run, "p", "m", tokens=1, money=0)
print(run, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_run_whose_process_was_killed_is_interrupted(opened: Open, tmp_path: Path) -> None:
    """It stands in the record, is shown as what it is, and can be ended by whoever sees it."""
    program = [sys.executable, "-c", _KILLED, str(tmp_path / "agent_log.jsonl")]
    run = subprocess.run(program, capture_output=True, text=True, check=False).stdout.strip()
    log = opened()
    assert log.run(run).state is State.INTERRUPTED
    assert log.steps(run)[0].outcome is None  # type: ignore[union-attr]
    with pytest.raises(WrongState, match="interrupted"):  # nobody parked it
        log.resume(run)
    log.finish(run, "error", error="its process was killed")
    assert log.run(run).state is State.ENDED


_TAKEN = """
import os, sys
from engines.agent_log import AgentLog
from engines.journal import Journal
AgentLog(Journal(sys.argv[1])).resume(sys.argv[2])
os.kill(os.getpid(), 9)
"""


def test_a_parked_run_whose_process_was_killed_can_be_taken_again(
    opened: Open, tmp_path: Path
) -> None:
    log = opened()
    run = log.begin("run", "go", **WHO)
    log.park(run, ["here"])
    program = [sys.executable, "-c", _TAKEN, str(tmp_path / "agent_log.jsonl"), run]
    assert subprocess.run(program, check=False).returncode == -9
    assert log.run(run).state is State.INTERRUPTED
    assert log.messages(run) == ["here"]
    log.resume(run)
    with pytest.raises(WrongState, match="running"):
        opened().resume(run)


_SPENDS = """
import sys
from engines.agent_log import AgentLog, Budget, BudgetSpent
from engines.journal import Journal
log, got = AgentLog(Journal(sys.argv[1])), 0
run = log.begin("run", "go", actor="a", door="b")
for _ in range(12):
    try:
        call = log.reserve(run, "p", "m", tokens=10, money=0.01, budget=Budget(tokens=150))
    except BudgetSpent:
        continue
    got += 1
    log.called(call, outcome="ok", input_tokens=7, output_tokens=3, money=0.01)
print(got)
"""


def test_processes_together_spend_no_more_than_there_is(opened: Open, tmp_path: Path) -> None:
    """Fifteen calls of ten tokens fit into a hundred and fifty, whoever gets them."""
    file = tmp_path / "agent_log.jsonl"
    program = [sys.executable, "-c", _SPENDS, str(file)]
    at_once = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    got = [int(one.communicate(timeout=60)[0]) for one in at_once]
    assert sum(got) == 15
    assert verify(file).ok
    day = AgentLog(Journal(file))
    assert sum(run.spent.tokens for run in day.runs()) == 150


@pytest.mark.parametrize(
    "wrong",
    [
        lambda log, _: log.begin("party", "x", **WHO),
        lambda log, run: log.finish(run, "fine"),
        lambda log, run: log.reserve(run, "p", "m", tokens=-1, money=0),
        lambda log, run: log.reserve(run, "p", "m", tokens=1, money=float("nan")),
        lambda log, run: log.park(run, [float("nan")]),
        lambda log, _: log.run("none"),
        lambda log, _: log.decide("none", True, by="a", door="b"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    opened: Open, wrong: Callable[[AgentLog, str], Any]
) -> None:
    log = opened()
    run = log.begin("run", "go", **WHO)
    with pytest.raises(InvalidInput):
        wrong(log, run)
    assert log.run(run).state is State.RUNNING
    assert len(log.runs()) == 1
    with pytest.raises(NoSuchRun):
        log.goal("none")


def test_what_is_recorded_is_cleaned_first(tmp_path: Path) -> None:
    """The record's own guard, whatever its callers forget."""
    journal = Journal(tmp_path / "agent_log.jsonl")

    def clean(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("hunter22", "[x]"))

    log = AgentLog(journal, clean=clean)
    run = log.begin("run", "say hunter22", **WHO)
    call = log.reserve(run, "p", "m", tokens=1, money=0)
    log.called(call, outcome="ok", why="hunter22", request=["hunter22"], response="hunter22")
    log.ask_approval(run, "c", "s", {"k": "hunter22"}, "hunter22")
    log.tool_called(run, "c", "s", arguments="hunter22", outcome="ok", result={"hunter22": 1})
    log.park(run, ["hunter22" * 900])
    log.finish(run, "error", "hunter22", error="hunter22")
    kept = [p.read_text() for p in tmp_path.rglob("*.json*")]
    assert "[x]" in "".join(kept)
    assert "hunter22" not in "".join(kept)


def test_amounts_are_told_as_people_write_them() -> None:
    amounts = (0, 1, 1.0, 100, 2_000_000, 0.25, 0.000_3)
    assert [amount_text(one) for one in amounts] == [
        *("0", "1", "1", "100", "2,000,000", "0.25", "0.0003")
    ]
