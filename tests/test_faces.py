"""What skills import is the same inside a sandbox: every call goes to the broker, as it was made."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os import inside
from dino_os.errors import Denied, InvalidInput
from dino_os.face import Face
from dino_os.memory_layer import MemoryLayer
from dino_os.message_bus import MessageBus
from dino_os.scheduler import Scheduler
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, environment

HEAVY = {"sqlite3", "orjson", "msgspec", "yaml", "cronsim", "zoneinfo", "json"}
TRIGGER = {"kind": "cron", "expr": "0 9 * * *"}
WHEN = "2027-01-15T10:00:00Z"
FOUND = {"key": "k", "value": 1, "score": 0.5, "created": WHEN}
SAID = {"seq": 3, "channel": "a", "message": 1, "published": WHEN, "id": None, "headers": {}}
JOB = {
    "id": "7",
    "name": "n",
    "func": "f",
    "trigger": TRIGGER,
    "params": {},
    "next_run": WHEN,
    "last_run": None,
    "status": "scheduled",
}
# Face, method, positional arguments as users write them, what the broker is asked, its answer.
CALLS: list[tuple[type[Face], str, tuple[Any, ...], dict[str, Any], Any]] = [
    (
        MemoryLayer,
        "add",
        ("k", {"v": 1}, False),
        {"key": "k", "value": {"v": 1}, "embed": False},
        None,
    ),
    (
        MemoryLayer,
        "add_many",
        ([{"key": "k", "value": 1, "tags": ("t",)}],),
        {"items": [{"key": "k", "value": 1, "tags": ["t"]}]},
        1,
    ),
    (MemoryLayer, "tag", ("k", ("a",), ["b"]), {"key": "k", "add": ["a"], "remove": ["b"]}, ["a"]),
    (MemoryLayer, "versions", ("k",), {"key": "k"}, [{"version": 1}]),
    (MemoryLayer, "namespaces", (), {}, [""]),
    (MemoryLayer, "forget", (), {}, 1),
    (MemoryLayer, "export", (Path("x"),), {"path": "x"}, 1),
    (MemoryLayer, "import_", ("x",), {"path": "x"}, 1),
    (MemoryLayer, "check", (), {"repair": False}, {"ok": True}),
    (MemoryLayer, "stats", (), {}, {"entries": 1}),
    (MemoryLayer, "reindex", ("words",), {"model": "words"}, {"model": "words"}),
    (MemoryLayer, "get", ("k",), {"key": "k"}, {"v": 1}),
    (MemoryLayer, "delete", ("k",), {"key": "k"}, True),
    (MemoryLayer, "list", (), {}, ["k"]),
    (MemoryLayer, "search", ("q", 3), {"query": "q", "top_k": 3}, [FOUND]),
    (MemoryLayer, "get_all", (), {}, {"k": 1}),
    (MemoryLayer, "clear", (), {}, 2),
    (MemoryLayer, "backup", ("b.db",), {"path": "b.db"}, None),
    (MemoryLayer, "restore", (Path("b.db"),), {"path": "b.db"}, 2),
    (MessageBus, "publish", ("a", [1]), {"channel": "a", "message": [1]}, [2, 1]),
    (MessageBus, "publish_many", ([("a", 1)],), {"messages": [["a", 1]]}, 2),
    (MessageBus, "get_subscribers", ("a",), {"channel": "a"}, ["id"]),
    (MessageBus, "list_channels", (), {}, ["a"]),
    (MessageBus, "channel_history", ("a", 9), {"channel": "a", "limit": 9}, [SAID]),
    (MessageBus, "ping", (), {}, True),
    (MessageBus, "request", ("a", 1), {"channel": "a", "message": 1, "timeout": 5.0}, [1]),
    (MessageBus, "subscriptions", (), {}, []),
    (MessageBus, "dead_letters", ("d",), {"durable": "d"}, []),
    (MessageBus, "redeliver", ("d", 1), {"durable": "d", "seq": 1}, True),
    (MessageBus, "forget", ("d",), {"durable": "d"}, True),
    (
        Scheduler,
        "add_job",
        ("n", "f", TRIGGER),
        {"name": "n", "func": "f", "trigger": TRIGGER},
        "7",
    ),
    (Scheduler, "remove_job", ("7",), {"job_id": "7"}, True),
    (Scheduler, "list_jobs", (), {}, [JOB]),
    (Scheduler, "pause", ("7",), {"job_id": "7"}, False),
    (Scheduler, "resume", ("7",), {"job_id": "7"}, True),
    (Scheduler, "run_now", ("7",), {"job_id": "7"}, True),
    (Scheduler, "job_count", (), {}, 4),
    (Scheduler, "running_jobs", (), {}, 1),
    (Scheduler, "history", ("7", 3), {"job_id": "7", "limit": 3}, [{"due": WHEN}]),
    (Scheduler, "next_runs", ("7", 1), {"job_id": "7", "count": 1}, [WHEN]),
]
STAY_INSIDE = {"subscribe", "unsubscribe", "respond", "declare", "close", "start", "stop"}
# They name files, erase, or take long: an operator's, and not a skill's.
OPERATORS = {
    *("backup", "restore", "export", "import_", "forget", "check", "stats", "reindex"),
    *("subscriptions", "dead_letters", "redeliver"),
}
FACES: list[type[Face]] = [MemoryLayer, MessageBus, Scheduler]


class Broker:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answer: Any = None

    def call(self, part: str, method: str, /, **arguments: Any) -> Any:
        self.asked.append((part, method, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def broker(home: Path) -> Iterator[Broker]:
    broker = Broker()
    inside.connect(broker)
    yield broker
    inside.connect(None)
    # Nothing was done here, beside the parent.
    assert not (home / "memory").exists()


def methods(face: type) -> set[str]:
    return {
        name for name, _ in inspect.getmembers(face, inspect.isfunction) if not name.startswith("_")
    }


@pytest.mark.parametrize("call", CALLS, ids=[f"{c[0]._part}.{c[1]}" for c in CALLS])
def test_every_call_is_the_brokers(broker: Broker, call: Any) -> None:
    face, method, given, asked, broker.answer = call
    got = getattr(face(), method)(*given)
    assert broker.asked == [(face._part, method, asked)]
    if method == "publish":  # whom it reached, and whether it was said before
        assert got == broker.answer[0]
    elif method not in {"search", "channel_history", "list_jobs", "next_runs"}:
        assert got == broker.answer


@pytest.mark.parametrize("face", FACES)
def test_no_method_is_forgotten(face: type[Face]) -> None:
    """Each is forwarded, or stays inside by intent."""
    tried = {method for tried, method, *_ in CALLS if tried is face}
    assert tried == methods(face) - STAY_INSIDE


@pytest.mark.parametrize("face", FACES)
def test_the_part_takes_what_the_face_sends(home: Path, face: type[Face]) -> None:
    """The same names, and defaults that agree; what a skill may ask for is there."""
    part = Workspace(home).parts[face._part]()
    for tried, method, _, asked, _ in CALLS:
        if tried is face:
            inspect.signature(getattr(part, method)).bind(**asked)
            mine = inspect.signature(getattr(face, method)).parameters
            theirs = inspect.signature(getattr(part, method)).parameters
            assert all(
                theirs[name].default == mine[name].default for name in set(mine) & set(theirs)
            )
    assert methods(face) - STAY_INSIDE - OPERATORS == part.CALLS


def test_answers_become_what_users_know(broker: Broker) -> None:
    broker.answer = [FOUND]
    (result,) = MemoryLayer().search("q")
    assert (result.key, result.created.year) == ("k", 2027)
    broker.answer = [SAID]
    assert MessageBus().channel_history("a")[0].published.month == 1
    broker.answer = [JOB]
    (job,) = Scheduler().list_jobs()
    assert (job.next_run.day, job.last_run) == (15, None)


def test_defaults_are_sent_too(broker: Broker) -> None:
    broker.answer = []
    MemoryLayer().add("k", 1)
    MemoryLayer().search("q")
    MessageBus().channel_history("a")
    assert [arguments for _, _, arguments in broker.asked] == [
        {"key": "k", "value": 1, "embed": True},
        {"query": "q", "top_k": 5},
        {"channel": "a", "limit": 100},
    ]


def test_a_refusal_reaches_the_skill(broker: Broker) -> None:
    broker.answer = Denied("the skill may not")
    with pytest.raises(Denied, match="may not"):
        MemoryLayer().get("k")


def test_a_jobs_function_is_named_before_it_is_sent(broker: Broker) -> None:
    broker.answer = "7"
    assert Scheduler().add_job("n", methods_of_a_job, "cron", hour=9, tz="UTC") == "7"
    ((_, _, asked),) = broker.asked
    assert asked == {
        "name": "n",
        "func": f"{__name__}:methods_of_a_job",
        "trigger": "cron",
        "hour": 9,
        "tz": "UTC",
    }


def methods_of_a_job() -> None:
    """What a job could run."""


def test_a_skills_own_subscribers_hear_what_it_publishes(broker: Broker) -> None:
    """And count beside those of the parent; the broker learns of no callback."""
    heard: list[Any] = []
    bus = MessageBus()
    own = bus.subscribe("inside", heard.append)
    broker.answer = [2, 1]
    assert MessageBus().publish("inside", {"n": 1}) == 3
    broker.answer = [0, 0]  # it had been said before
    assert MessageBus().publish("inside", {"n": 1}, id="1") == 0
    assert heard == [{"n": 1}]
    broker.answer = ["theirs"]
    assert bus.get_subscribers("inside") == ["theirs", own]
    assert bus.list_channels() == ["inside", "theirs"]
    assert (bus.unsubscribe("inside", own), bus.unsubscribe("inside", own)) == (True, False)
    assert [method for _, method, _ in broker.asked] == [
        "publish",
        "publish",
        "get_subscribers",
        "list_channels",
    ]


def test_what_the_broker_does_not_take_nobody_hears(broker: Broker) -> None:
    heard: list[Any] = []
    MessageBus().subscribe("inside", heard.append)
    with pytest.raises(InvalidInput):
        MessageBus().publish("inside", float("nan"))
    assert broker.asked == []
    broker.answer = Denied("no")
    with pytest.raises(Denied):
        MessageBus().publish("inside", 1)
    assert heard == []
    MessageBus().unsubscribe("inside", heard.append)


def test_a_file_of_the_skills_own_is_opened_by_the_skill(broker: Broker, tmp_path: Path) -> None:
    memory = MemoryLayer(tmp_path / "skills" / "own.db")
    memory.add("k", 1)
    assert (memory.get("k"), broker.asked) == (1, [])


def test_importing_and_making_a_face_costs_nothing() -> None:
    """What it needs is imported by its first call."""
    names = [f"{face.__module__} import {face.__name__}" for face in FACES]
    code = "\n".join(
        [
            "import sys",
            *(f"from {name}" for name in names),
            "MemoryLayer(), MessageBus(), Scheduler()",
            "print(*sys.modules)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith(("engines.", "dino_os."))} == {
        *("dino_os.errors", "dino_os.face", "dino_os.inside", "dino_os.skill"),
        *("dino_os.memory_layer", "dino_os.memory_layer.result", "dino_os.message_bus"),
        *("dino_os.message_bus.lasting_face", "dino_os.scheduler", "engines.errors"),
    }
