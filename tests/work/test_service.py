"""The one loop: duties have their turns when their journal changes, in time, and after tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from dino_os import wake
from dino_os.cluster.countersign_duty import CountersignDuty
from dino_os.cluster.duty import ClusterDuty
from dino_os.metrics.duty import MetricsDuty
from dino_os.nav.health import HealthDuty
from dino_os.offline.duty import SyncDuty
from dino_os.offline.upkeep import UpkeepDuty
from dino_os.work import service, turns
from dino_os.work.duties import duties_of
from dino_os.work.duty import Duty
from dino_os.work.service import Service
from dino_os.workspace import Workspace
from engines.errors import JournalBroken, JournalBusy
from engines.journal import Journal
from engines.resource_engine import Ended, Task
from tests.resource_engine.kit import until


class Watching(Duty):
    """A duty that notes its turns; its journal has begun."""

    def __init__(self, file: Path, wants: Callable[[], float | None] = lambda: None) -> None:
        Journal(file).append("begun")
        self.watches = [file]
        self.turns: list[float] = []
        self.wants = wants
        self.fails = 0

    def turn(self) -> float | None:
        if self.fails:
            self.fails -= 1
            raise JournalBusy("somebody holds it")
        self.turns.append(time.time())
        return self.wants()


@contextmanager
def serving(home: Path, *duties: Watching, workers: int | None = 0) -> Iterator[Service]:
    found = Service(Workspace(home), duties, workers=workers, grace_s=1.0)
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.end()
    thread.join(timeout=30)
    assert not thread.is_alive()


@pytest.fixture(params=["told of changes", "looking"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "looking":
        monkeypatch.setattr(wake, "_watch", lambda folder: None)


@pytest.mark.usefixtures("_either_way")
def test_a_duty_has_a_turn_at_first_and_when_its_journal_changes(home: Path) -> None:
    file = home / "memory" / "mine.jsonl"
    duty = Watching(file)
    with serving(home, duty):
        until(lambda: duty.turns, "a first turn")
        before = len(duty.turns)
        Journal(file).append("something")
        until(lambda: len(duty.turns) > before, "a turn for the change")


def test_a_change_of_others_journals_is_nothing_to_it(home: Path) -> None:
    mine, other = (Watching(home / "memory" / f"{name}.jsonl") for name in ("mine", "other"))
    with serving(home, mine, other):
        until(lambda: mine.turns and other.turns, "first turns")
        Journal(other.watches[0]).append("something")
        until(lambda: len(other.turns) > 1, "a turn for the change")
    assert len(mine.turns) == 1


@pytest.mark.usefixtures("_either_way")
def test_a_duty_has_a_turn_at_the_time_it_asked_for(home: Path) -> None:
    asked: list[float] = []

    def soon() -> float | None:
        if asked:
            return None
        asked.append(time.time() + 0.2)
        return asked[0]

    duty = Watching(home / "memory" / "mine.jsonl", soon)
    with serving(home, duty):
        until(lambda: any(turn >= asked[0] for turn in duty.turns[1:]), "a turn then")


def test_a_turn_that_could_not_be_taken_is_taken_later(home: Path) -> None:
    """Neither its own change nor that of the duty behind it is forgotten."""
    first, second = (Watching(home / "memory" / f"{name}.jsonl") for name in ("a", "b"))
    serving = Service(Workspace(home), [first, second], workers=0)
    try:
        serving._take_turns(set(), all_of_them=False)
        first.fails = 1
        with pytest.raises(JournalBusy):
            serving._take_turns({"a.head", "b.head"}, all_of_them=False)
        serving._take_turns(set(), all_of_them=False)
    finally:
        serving._close()
    assert (len(first.turns), len(second.turns)) == (2, 2)


def test_a_duty_has_a_turn_after_tasks_ended(home: Path) -> None:
    duty = Watching(home / "memory" / "mine.jsonl")
    workspace = Workspace(home)
    with serving(home, duty, workers=1):
        until(lambda: duty.turns, "a first turn")
        before = len(duty.turns)
        workspace.resources.submit_task(Task("t"))
        until(lambda: workspace.resources.task("t").state == "succeeded", "an end")  # type: ignore[union-attr]
        until(lambda: len(duty.turns) > before, "a turn behind it")


def test_once_takes_what_duties_submit_and_ends(home: Path) -> None:
    workspace = Workspace(home)
    left = ["a", "b"]

    def submit() -> float | None:
        if left:
            workspace.resources.submit_task(Task(left.pop()))
        return None

    duty = Watching(home / "memory" / "mine.jsonl", submit)
    assert Service(workspace, [duty], workers=1).run(once=True) == 2
    assert {task.state.value for task in workspace.resources.tasks()} == {"succeeded"}
    assert workspace.resources.sessions() == []


def test_a_duty_whose_journal_has_not_begun_has_no_turns(home: Path) -> None:
    """Nothing is opened for what nobody uses."""
    duty = Watching(home / "memory" / "mine.jsonl")
    duty.watches = [home / "memory" / "later.jsonl"]
    other = Watching(home / "memory" / "other.jsonl")
    with serving(home, duty, other):
        until(lambda: other.turns, "a turn of the other's")
        assert duty.turns == []
        Journal(duty.watches[0]).append("begun")
        until(lambda: duty.turns, "a turn, now that there is something")


def test_it_is_ended_from_another_thread_while_it_waits(home: Path) -> None:
    with serving(home, workers=0) as found:
        assert found._crew is None
    assert service.LOOK_EVERY_S < 1


# --- duties that fail ----------------------------------------------------------------------------


class Failing(Watching):
    """A duty whose record cannot be read, until it is mended."""

    def __init__(self, file: Path, error: Exception) -> None:
        super().__init__(file)
        self.error: Exception | None = error
        self.tried = 0

    def turn(self) -> float | None:
        self.tried += 1
        if self.error:
            raise self.error
        return super().turn()


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(turns, "_LONGEST_PAUSE_S", 0.02)


@pytest.mark.usefixtures("_short_pauses", "_either_way")
@pytest.mark.parametrize("error", [JournalBroken("a line of it does not stand"), KeyError("oops")])
def test_a_duty_that_fails_stops_neither_the_others_nor_the_tasks(
    home: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """It is told of once, tried again and again, and goes on once it can."""
    failing = Failing(home / "memory" / "a.jsonl", error)
    other = Watching(home / "memory" / "b.jsonl")
    workspace = Workspace(home)
    workspace.resources.submit_task(Task("t"))
    with serving(home, failing, other, workers=1):
        until(lambda: workspace.resources.task("t").state == "succeeded", "an end")  # type: ignore[union-attr]
        until(lambda: other.turns and failing.tried > 3, "more tries")
        assert failing.turns == []
        failing.error = None
        until(lambda: failing.turns, "a turn once it is mended")
    assert capsys.readouterr().err.count("dino: a: ") == 1


def test_its_pauses_grow_to_a_minute_and_no_change_cuts_them_short(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: now[0]))
    duty = Failing(home / "memory" / "a.jsonl", JournalBroken("a line of it does not stand"))
    found = turns.Turns(duty)
    pauses = []
    for _ in range(9):
        found.take()
        pauses.append(found.paused_s)
        found.hear({"a.head"})
        assert not found.is_due(time.time())
        assert not found.finish()
        now[0] += found.paused_s
        assert found.is_due(time.time())
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    duty.error = None
    found.take()
    assert (found.error, found.paused_s) == (None, 0)
    duty.error = JournalBroken("again")
    found.take()
    assert found.paused_s == 1


def test_once_does_all_else_and_ends_with_the_first_error(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(home)
    failing = [
        Failing(home / "memory" / f"{name}.jsonl", JournalBroken(f"{name} does not stand"))
        for name in ("a", "b")
    ]

    def submit() -> None:
        workspace.resources.submit_task(Task("t"))

    other = Watching(home / "memory" / "c.jsonl", submit)
    with pytest.raises(JournalBroken, match="a does not stand"):
        Service(workspace, [*failing, other], workers=1).run(once=True)
    found = workspace.resources.task("t")
    assert found
    assert found.state.value == "succeeded"
    assert capsys.readouterr().err == "dino: b: b does not stand\n"


def test_what_went_well_at_last_is_no_failure_of_the_whole(home: Path) -> None:
    """One that could finish after all."""
    duty = Failing(home / "memory" / "a.jsonl", JournalBroken("for a moment"))
    serving = Service(Workspace(home), [duty], workers=0)
    try:
        serving._take_turns(set(), all_of_them=True)
        duty.error = None
        serving._duties[0]._paused_until = 0.0
        serving._take_turns(set(), all_of_them=True)
        serving._raise_first()
    finally:
        serving._close()
    assert len(duty.turns) == 1


# --- tasks that others run, and a clock that is set ----------------------------------------------


def test_duties_learn_of_the_end_of_tasks_that_others_run_and_of_nothing_else(home: Path) -> None:
    """That tasks are submitted and begin is recorded more often, and nothing to them."""
    duty = Watching(home / "memory" / "mine.jsonl")
    duty.watches = [*duty.watches, home / "memory" / "engine_state.jsonl"]
    resources = Workspace(home).resources
    resources.submit_task(Task("t"))
    found = Service(Workspace(home), [duty], workers=0)
    try:
        found._take_turns({"engine_state.head"}, all_of_them=False)
        before = len(duty.turns)
        resources.submit_task(Task("u"))
        session = resources.join(slots=1)
        (lease,) = resources.exchange(session, room=1).leases
        found._take_turns({"engine_state.head"}, all_of_them=False)
        assert len(duty.turns) == before
        resources.exchange(session, ended=[Ended("t", lease.number, outcome="ok")])
        resources.leave(session)
        found._take_turns({"engine_state.head"}, all_of_them=False)
        assert len(duty.turns) == before + 1
    finally:
        found._close()


def test_a_clock_that_is_set_back_makes_nobody_wait(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that a duty asked for was one of the wrong clock."""
    years = [10 * 365 * 86400.0]
    clock = SimpleNamespace(time=lambda: time.time() + years[0], monotonic=time.monotonic)
    monkeypatch.setattr(service, "time", clock)
    duty = Watching(home / "memory" / "mine.jsonl", lambda: clock.time() + 30)
    found = Service(Workspace(home), [duty], workers=0)
    try:
        found._take_turns(set(), all_of_them=False)
        found._take_turns(set(), all_of_them=False)
        assert len(duty.turns) == 1
        years[0] = 0.0
        found._take_turns(set(), all_of_them=False)
        assert len(duty.turns) == 2
    finally:
        found._close()


def test_all_there_is_to_look_after_watches_the_tasks(home: Path) -> None:
    """Each of them has tasks that others may run, but for those of networks, documents, metrics."""
    tasks = home / "memory" / "engine_state.jsonl"
    alone = HealthDuty | SyncDuty | UpkeepDuty | ClusterDuty | CountersignDuty | MetricsDuty
    found = [duty for duty in duties_of(Workspace(home)) if not isinstance(duty, alone)]
    assert len(found) == 9
    assert all(tasks in duty.watches[1:] for duty in found)
