"""The one loop: duties have their turns when their journal changes, in time, and after tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dino_os.work import service, wake
from dino_os.work.duty import Duty
from dino_os.work.service import Service
from dino_os.workspace import Workspace
from engines.errors import JournalBusy
from engines.journal import Journal
from engines.resource_engine import Task
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
