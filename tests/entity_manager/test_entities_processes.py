"""Many processes on one record, killed at any moment: nothing leaks, nothing is lost or doubled."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engines.entity_manager import TRANSITIONS, EntityManager, EntityState
from engines.journal import RecordedJournal, verify
from engines.resource_engine import PoolLimits, ResourceEngine, ResourceType
from tests.conftest import REPOSITORY, ended_at_last, environment
from tests.entity_manager.office import Office, offices
from tests.entity_manager.things import Clock

PROGRAMS = Path(__file__).parent / "programs"
ASLEEP = {EntityState.HIBERNATING, EntityState.DEACTIVATED}
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    def begin(program: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / f"{program}.py"), *map(str, arguments)],
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    with ended_at_last() as processes:
        yield begin


def killed(process: subprocess.Popen[str]) -> list[str]:
    """What it had said by then."""
    process.kill()
    assert process.stdout
    return [line for line in process.stdout.readlines() if line.endswith("\n")]


def check_moves(path: Path) -> int:
    """Every recorded move is one of the table; how many there were."""
    states: dict[str, EntityState] = {}
    moves = 0
    for event in RecordedJournal(path).events():
        if event["event_type"] == "entity_spawned":
            assert event["entity_id"] not in states
            states[event["entity_id"]] = EntityState.HIBERNATING
        elif "command" in event:
            was = states[event["entity_id"]]
            after = TRANSITIONS[was, event["command"]]
            assert event["event_type"] == f"entity_{after}"
            states[event["entity_id"]] = after
            moves += 1
    return moves


def check_pools(folder: Path) -> None:
    """After reconciling, who is awake holds what it needs, and nobody else holds anything."""
    room = {ResourceType.COMPUTE: PoolLimits(3, 3, 3)}  # as in programs/lives.py
    pools = ResourceEngine(folder / "engine_state.jsonl", limits=room)
    manager = EntityManager(folder / "entities.jsonl", pools)
    manager.reconcile()
    assert manager.reconcile() == []
    with manager.deciding(), pools.deciding():  # what was cut off in writing is set aside
        pass
    awake = {e.entity_id for e in manager.list_entities() if e.state not in ASLEEP}
    assert {e.state for e in manager.list_entities()} & {EntityState.AWAKENING} == set()
    assert set(pools._reserved) == {f"entity:{entity_id}" for entity_id in awake}
    assert len(awake) <= 3


def test_whoever_is_killed_between_the_two_journals_leaks_nothing(
    tmp_path: Path, start: Start
) -> None:
    """Three at once, all killed five times; each acknowledged command is on record."""
    chance = random.Random(5)
    numbers = count()
    said: Counter[str] = Counter()
    for _ in range(5):
        lives = [start("lives", tmp_path, next(numbers)) for _ in range(3)]
        for life in lives:
            assert life.stdin
            life.stdin.write("go\n")
            life.stdin.flush()
        # Nothing waits for this: it only makes the moment of the kill a random one.
        time.sleep(chance.uniform(0.05, 0.15))
        said.update(line.strip() for life in lives for line in killed(life))
        check_pools(tmp_path)
    recorded = Counter(
        f"{event['entity_id']} {event['command']}"
        for event in RecordedJournal(tmp_path / "entities.jsonl").events()
        if "command" in event
    )
    assert said <= recorded
    assert said.total() > 24
    assert check_moves(tmp_path / "entities.jsonl") > 24
    assert verify(tmp_path / "entities.jsonl").ok
    assert verify(tmp_path / "engine_state.jsonl").ok


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["reserve", "release"])
def test_a_crash_at_either_side_of_either_call_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, moment: str
) -> None:
    """By the next process's `reconcile`: it is awake and holds, or asleep and holds nothing."""

    class Crash(BaseException):
        pass

    pools = ResourceEngine(tmp_path / "engine_state.jsonl")
    manager = EntityManager(tmp_path / "entities.jsonl", pools)
    manager.spawn("e", "worker", {"compute": 1})
    if call == "release":
        assert manager.awaken("e")
    real = getattr(pools, call)

    def crash(*arguments: Any) -> None:
        if moment == "after":
            real(*arguments)
        raise Crash

    monkeypatch.setattr(pools, call, crash)
    with pytest.raises(Crash):
        (manager.awaken if call == "reserve" else manager.hibernate)("e")
    check_pools(tmp_path)
    state = EntityManager(tmp_path / "entities.jsonl").list_entities()[0].state
    assert state.value == ("active" if call == "reserve" else "hibernating")


def test_what_took_the_room_meanwhile_leaves_the_cut_off_one_asleep(tmp_path: Path) -> None:
    """It is not awake without its resources."""

    class Crash(BaseException):
        pass

    def crash(*_: object) -> bool:
        raise Crash

    pools = ResourceEngine(tmp_path / "engine_state.jsonl")
    manager = EntityManager(tmp_path / "entities.jsonl", pools)
    manager.spawn("e", "worker", {"database": 5})
    with ExitStack() as stack:
        stack.callback(setattr, pools, "reserve", pools.reserve)
        pools.reserve = crash  # type: ignore[method-assign]
        with pytest.raises(Crash):
            manager.awaken("e")
    assert ResourceEngine(tmp_path / "engine_state.jsonl").reserve("other", {"database": 1})
    assert manager.reconcile() == ["e"]
    (entity,) = manager.list_entities()
    assert (entity.state.value, entity.reason) == ("hibernating", "not free: 5 database")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    clock = Clock()
    clock.now = time.time()
    yield from offices(tmp_path, clock)


def test_messages_are_tasks_each_once_with_services_killed_at_any_moment(
    office: Office, start: Start
) -> None:
    """Two services at once, and three entities on the channel, while messages come."""
    chance = random.Random(9)
    for name in "xyz":
        office.entity(name, skill="read", channel="c")
    sent = []
    for number in range(6):
        services = [start("duties", office.root) for _ in range(2)]
        for _ in range(3):
            sent.append([number, len(sent)])
            office.publish(sent[-1])
            time.sleep(chance.uniform(0.0, 0.02))  # only makes the moments random
        for service in services:
            killed(service)
    office.after_crash()
    office.days_work(turns=200)
    for name in "xyz":
        tasks = office.resources.tasks(source=f"entity:{name}")
        assert [task.payload["params"]["message"] for task in tasks] == sent
        assert {task.state.value for task in tasks} == {"succeeded"}
        entity = office.manager.get_entity(name)
        assert entity
        assert (entity.tasks_completed, entity.tasks_failed) == (len(sent), 0)
    assert check_moves(office.root / "memory" / "entities.jsonl") == 6
