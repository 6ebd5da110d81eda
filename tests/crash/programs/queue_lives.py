"""
Those who share a queue until they are killed: one who submits, sessions that work, schedulers.

Each task notes in a file when it begins and ends, as its worker sees it.
"""

import hashlib
import os
import random
import select
import time
from collections.abc import Callable
from pathlib import Path

from dino_os.scheduler.duty import SchedulerDuty
from dino_os.workspace import Workspace
from engines.again import RetryLater
from engines.resource_engine import (
    Crew,
    ResourceEngine,
    ResourceType,
    Task,
    TaskPriority,
    calling,
    forking,
)

Say, Gate = Callable[..., None], Callable[[], None]

TASKS = 1000
LOOK = "station:look"
_PARTS = (1, 1, 2, 7, 40)


def tasks() -> list[Task]:
    """The same for every life: what was submitted already is known by its id."""
    chance = random.Random(7)
    return [
        Task(
            f"t-{number}",
            chance.choice([*TaskPriority]),
            payload={"call": "work", "params": {"number": number}},
            max_attempts=100,
            at_most_once=number % 50 == 0,
            after=(f"t-{number - 1}",) if number % 7 == 1 and number % 50 != 1 else (),
            limits={"few": 1} if number % 11 == 0 else {},
            needs={ResourceType.NETWORK: 2} if number % 13 == 0 else {},
            key=f"k-{number}",
        )
        for number in range(TASKS)
    ]


def submit(path: str, say: Say, gate: Gate) -> None:
    """Submit all in parts, as often as it takes."""
    del gate
    engine = ResourceEngine(path)
    left, chance = tasks(), random.Random(os.getpid())
    while left:
        size = chance.choice(_PARTS)
        part, left = left[:size], left[size:]
        say(submitted=engine.submit_tasks(part))
    say(done=True)


def work(path: str, slots: str, say: Say, gate: Gate) -> None:
    """Work until killed."""
    del gate
    crew = _crew(path, slots)
    say(session=crew.name)
    while True:
        _turn(crew)


def schedule(path: str, say: Say, gate: Gate) -> None:
    """Submit what falls due until killed."""
    del gate
    duty = SchedulerDuty(Workspace(Path(path).parent.parent))
    say(serving=True)
    while True:
        due = duty.turn()
        time.sleep(min(max((due or 0.0) - time.time(), 0.0), 0.01))


def work_off(path: str, say: Say, gate: Gate) -> None:
    """Work until nothing is left."""
    del gate
    crew = _crew(path, "2")
    engine = crew.engine
    while _turn(crew) or any(engine.depth().values()):
        pass
    crew.close()
    say(done=True)


def _crew(path: str, slots: str) -> Crew:
    notes = Path(path).with_name("notes")
    functions = {"work": lambda number: _work(notes, number), LOOK: _look}
    return Crew(
        ResourceEngine(path), forking(calling(functions)), runs=lambda _: True, slots=int(slots)
    )


def _turn(crew: Crew) -> int:
    moved = crew.turn()
    if not moved:
        select.select([*crew.sockets()], [], [], 0.005)
    return moved or crew.busy


def _look() -> str:
    return "the gauge is at 2.4 m"


def _work(notes: Path, number: int) -> int:
    """Between next to nothing and five milliseconds of it; some fail now and then."""
    chance = random.Random()
    _note(notes, "begin", number)
    until = time.monotonic() + chance.choice((0, 0, 0, 0.0005, 0.005))
    digest = b""
    while time.monotonic() < until:
        digest = hashlib.sha256(digest).digest()
    _note(notes, "end", number)
    if number % 17 == 0 and chance.random() < 0.3:
        raise RetryLater(0.01, "the pump is back in the yard")
    return number


def _note(notes: Path, what: str, number: int) -> None:
    fd = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{what} {number} {os.getpid()}\n".encode())
    os.close(fd)
