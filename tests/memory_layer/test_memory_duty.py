"""The memory in a service: what waits is embedded by a task, what has expired goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.memory_layer import duty as duty_module
from dino_os.memory_layer.duty import EmbedDuty, embed
from dino_os.workspace import Workspace
from engines.resource_engine import Task
from tests.conftest import Dino

CALL = {"call": "dino_os.memory_layer.duty:embed"}


def test_without_a_memory_there_is_nothing_to_do(workspace: Path) -> None:
    assert EmbedDuty(Workspace(workspace)).turn() is None
    assert not (workspace / "memory").exists()


def test_what_waits_is_one_task_at_a_time(workspace: Path) -> None:
    here = Workspace(workspace)
    duty = EmbedDuty(here)
    here.memory_store.add("a", "the valve leaks")
    for _ in range(2):
        assert duty.turn() is not None
    [task] = here.resources.tasks(source="memory")
    assert task.payload == CALL


def test_the_task_embeds_and_then_none_is_submitted(home: Path) -> None:
    here = Workspace.shared()
    here.memory_store.add("a", "the valve leaks")
    assert here.memory_store.is_behind()
    assert embed()["embedded"] == 1
    assert not here.memory_store.is_behind()
    EmbedDuty(here).turn()
    assert here.resources.tasks(source="memory") == []


def test_what_has_expired_goes(workspace: Path) -> None:
    here = Workspace(workspace)
    store = here.memory_store
    now = store.clock()
    store.add("a", "the valve leaks", False, ttl=60)
    store.clock = lambda: now + 61
    EmbedDuty(here).turn()
    assert store.stats()["entries"] == 0
    assert store.sweep() == 0
    assert here.resources.tasks(source="memory") == []


@pytest.mark.parametrize("model", ["nosuch", "openai:x"])
def test_a_model_that_is_not_there_stops_nothing(workspace: Path, dino: Dino, model: str) -> None:
    """The next turn looks again."""
    dino("memory", "add", "a", "the valve leaks", "--ttl", "60s")
    dino("config", "set", "memory.embedder", model)
    here = Workspace(workspace)
    later = EmbedDuty(here).turn()
    assert later is not None
    assert here.resources.tasks(source="memory") == []


def test_a_pass_that_came_to_nothing_is_tried_again_later() -> None:
    """A model that cannot be reached is no reason for a task each minute."""
    now = duty_module.time.time()
    last = Task("t", started_at=now - 1, finished_at=now - 1)
    assert duty_module._next_pass([last]) == pytest.approx(now + 299, abs=1)
    last.result = {"embedded": 0}
    assert duty_module._next_pass([last]) is not None
    last.result = {"embedded": 7}
    assert duty_module._next_pass([last]) is None
    last.result, last.finished_at = None, now + 1000  # the clock was set back
    assert duty_module._next_pass([last]) is None
