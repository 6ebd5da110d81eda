"""
Reads the journals of an owner and its workers as a stranger would, and objects to what is wrong.

It shares no code with the engine: the chain, and what may happen to a task, are written here once
more, simply.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HASH = len(',"event_hash":"') + 64 + len('"}')


@dataclass
class Found:
    """
    What came of it.

    Attributes:
        results: Recorded by the owner; each once.
        by: Node → how many of them it ran.
        runs: How often the function was run, over all nodes; more than `results` where a job was
            run twice, of which one result counted.
        returned: Tasks that came back to the queue.
    """

    results: int = 0
    by: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    sessions: int = 0
    leases: int = 0
    returned: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def judge(owner: Path, workers: Sequence[Path], count: int) -> Found:
    """Hold the record of tasks t-0 … t-(*count*-1) against the rules."""
    found = _owners(lines(owner), count)
    _compare(lines(owner), {home.name: home for home in workers}, owner)
    ran: Counter[int] = Counter()
    for home in [owner, *workers]:
        log = home / "runs.log"
        ran.update(int(line) for line in (log.read_text().split() if log.exists() else ()))
    assert set(ran) == set(range(count)), "one was never run"
    found.runs = ran.total()
    return found


def lines(home: Path) -> Iterator[dict[str, Any]]:
    """The events of a node's queue; each must follow from the one before."""
    parent = None
    content = (home / "memory" / "engine_state.jsonl").read_bytes()
    for number, line in enumerate(content.splitlines(keepends=True)):
        assert line.endswith(b"}\n"), f"line {number} is torn"
        body = line.rstrip(b"\n")
        event: dict[str, Any] = json.loads(body)
        assert event["seq"] == number
        assert event["parent_hash"] == parent
        parent = hashlib.sha256(body[:-_HASH] + b"}").hexdigest()
        assert event["event_hash"] == parent
        yield event


def _owners(events: Iterable[dict[str, Any]], count: int) -> Found:
    """Each task has one end, under the lease that held it then."""
    found = Found()
    holds: dict[str, int | None] = {}
    ended: dict[str, Any] = {}
    for event in events:
        kind, task = event["event_type"], event.get("task_id")
        if kind == "task_submitted":
            assert task not in holds
            holds[task] = None
        elif kind == "session_joined":
            found.sessions += 1
        elif kind == "lease_granted":
            found.leases += 1
            for one in event["tasks"]:
                assert holds[one] is None
                assert one not in ended
                holds[one] = event["seq"]
        elif kind == "tasks_returned":
            found.returned += len(event["tasks"])
            for one in event["tasks"]:
                assert holds[one] is not None
                holds[one] = None
        elif kind == "task_failed":
            assert holds[task] is not None
            assert event["retry_at"] is not None, event
            found.failed[event["error"].get("type", "?")] += 1
            holds[task] = None
        elif kind == "task_succeeded":
            assert holds[task] is not None
            assert task not in ended, f"{task} has two results"
            ended[task] = event["result"]
            holds[task] = None
            found.by[event.get("node", "owner")] += 1
    assert ended == {f"t-{n}": n * n for n in range(count)}
    found.results = len(ended)
    return found


def _compare(events: Iterable[dict[str, Any]], workers: dict[str, Path], owner: Path) -> None:
    """What the owner says that a node ran, that node has on record, under the same lease."""
    sessions: dict[int, str] = {}
    holds: dict[str, int] = {}
    said: dict[str, set[tuple[str, str, int]]] = {name: set() for name in workers}
    for event in events:
        if event["event_type"] == "lease_granted":
            sessions[event["seq"]] = event["session"]
            holds |= dict.fromkeys(event["tasks"], event["seq"])
        elif event["event_type"] == "task_succeeded" and "node" in event:
            lease = holds[event["task_id"]]
            said[event["node"]].add((event["task_id"], sessions[lease], lease))
    for name, home in workers.items():
        origins: dict[str, dict[str, Any]] = {}
        done: set[tuple[str, str, int]] = set()
        for event in lines(home):
            if event["event_type"] == "task_submitted":
                assert event["source"] == f"peer:{owner.name}"
                assert event["task_id"] not in origins
                origins[event["task_id"]] = event["origin"]
            elif event["event_type"] == "task_succeeded":
                of = origins.pop(event["task_id"])
                done.add((of["task"], of["session"], of["lease"]))
        assert said[name] <= done, f"{name} never ran {list(said[name] - done)[:3]}"
