"""What a node says of tasks that it ran: one answer that is of no use costs no other."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dino_os.cluster.answers import Home, outcome_of
from dino_os.cluster.jobs import decode_outcome
from engines.resource_engine import ResourceEngine, Task
from tests.cluster.servers import Server, needs_server
from tests.cluster.task_nodes import Node, call, nodes
from tests.resource_engine.functions import nested

HOME = Home("owner", "0" * 32, 7, "t")


def ended(outcome: str, **more: Any) -> Task:
    task = Task("t@owner", payload={"call": "f"})
    task.outcome = outcome
    for name, value in more.items():
        setattr(task, name, value)
    return task


@pytest.mark.parametrize("result", [nested(201), nested(253), 2**70])
def test_what_the_owner_could_not_record_fails_once_where_it_ran(
    tmp_path: Path, result: Any
) -> None:
    engine = ResourceEngine(tmp_path / "engine_state.jsonl")
    said = decode_outcome(outcome_of(HOME, ended("ok", result=result), engine, 900_000))
    assert (said.task, said.outcome, said.final) == ("t", "error", True)
    assert (said.error or {})["type"] == "ResultBroken"


def test_what_it_can_record_travels(tmp_path: Path) -> None:
    engine = ResourceEngine(tmp_path / "engine_state.jsonl")
    said = decode_outcome(outcome_of(HOME, ended("ok", result=nested(200)), engine, 900_000))
    assert (said.outcome, said.result) == ("ok", nested(200))


@needs_server
def test_a_bad_answer_is_an_error_and_the_others_of_its_report_count(
    tmp_path: Path, server: Server
) -> None:
    with nodes(tmp_path, server, (0, 2)) as found:
        owner = found.owner
        names = ["good", "deep", "odd", "huge", "wrong"]
        owner.resources.submit_tasks([call(name, "slowly", n=1, s=30.0) for name in names])
        found.until(lambda: owner.resources.depth()["running"] == len(names))
        said = [
            {"result": 1},
            {"result": nested(230)},
            {
                "outcome": "error",
                "error": {"message": {"a": [1]}, "type": 7, "x" * 3000: "y" * 3000},
                "retry_after_s": 1e300,
                "final": True,
            },
            {"result": 2**70},
            {"outcome": "perhaps"},
        ]
        _tell(owner, [{"task": name, **one} for name, one in zip(names, said, strict=True)])
        found.until(found.ended(len(names)))
        tasks = {name: owner.resources.task(name) for name in names}
        errors = {name: task.error or {} for name, task in tasks.items() if task}
        assert owner.state("good") == "succeeded"
        assert {owner.state(name) for name in names[1:]} == {"dead"}
        assert {errors[name]["type"] for name in ("deep", "huge", "wrong")} == {"ResultBroken"}
        assert errors["odd"] == {"message": '{"a":[1]}', "type": "7", "x" * 2000: "y" * 2000}


def _leases(owner: Node) -> dict[str, int]:
    offering = owner.traffic._offering
    return {task: lease for lease, out in offering._out.items() for task in out.tasks}


def _tell(owner: Node, said: list[dict[str, Any]]) -> None:
    offering, leases = owner.traffic._offering, _leases(owner)
    outcomes = [
        {"session": offering.name, "lease": leases[one["task"]], "outcome": "ok", **one}
        for one in said
    ]
    body = json.dumps({"node": "worker-1", "ended": [*outcomes, {"of": "none"}]}).encode()
    offering.take_report(SimpleNamespace(), body)  # type: ignore[arg-type]
