"""Real worker processes: however a task ends them, it is told, and nothing else is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.resource_engine import Lease, ResourceEngine, Workers, calling, forking, workers
from tests.resource_engine import functions
from tests.resource_engine.kit import Hands, error, events, state, task, until

NAMES = ("add", "note", "hang", "hang_deaf", "stubborn", "once_then", "bad", "forks")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not end when asked has a moment, not five seconds."""
    monkeypatch.setattr(workers, "GRACE_S", 0.3)


@pytest.fixture
def engine(working: ResourceEngine) -> ResourceEngine:
    for name in NAMES:
        working.register(name, getattr(functions, name))
    return working


def call(name: str, /, task_id: str = "t", **params: Any) -> dict[str, Any]:
    return {"task_id": task_id, "payload": {"call": name, "params": params}}


def alive(pid: int) -> bool:
    """Whether that process runs; one that has ended and nobody asked after does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def written(file: Path, lines: int = 1) -> list[str]:
    def there() -> list[str]:
        found = file.read_text().splitlines() if file.exists() else []
        return found if len(found) >= lines else []

    found: list[str] = until(there, f"{lines} lines in {file.name}")
    return found


@contextlib.contextmanager
def cycling(engine: ResourceEngine) -> Iterator[threading.Thread]:
    """`run_cycle` in a thread, while the test deals with what it started."""
    thread = threading.Thread(target=engine.run_cycle)
    thread.start()
    yield thread
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_function_gets_its_parameters_and_its_result_is_kept(engine: ResourceEngine) -> None:
    engine.submit_task(task(**call("add", a=2, b=3)))
    assert engine.run_cycle() == 1
    found = engine.task("t")
    assert found is not None
    assert (found.state, found.outcome, found.result, found.error) == ("succeeded", "ok", 5, None)


@pytest.mark.parametrize(
    ("how", "message", "kind"),
    [
        ("raise", "no such gauge", "ValueError"),
        ("surrogate", "caf?", "ValueError"),
        ("sys.exit", "that was it", "SystemExit"),
        (
            "object",
            "its result is not JSON: Object of type object is not JSON serializable",
            "TypeError",
        ),
        ("huge", "its result is not JSON: Integer exceeds 64-bit range", "TypeError"),
        ("nan", "its result is not JSON: Out of range float values", "TypeError"),
        ("deep", "its result is not JSON: maximum recursion depth exceeded", "TypeError"),
        ("nested", "its result is not JSON: Recursion limit reached", "TypeError"),
        ("interrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("fatal", "broken for good", "Fatal"),
    ],
)
def test_what_a_function_does_wrong_is_its_failure_and_the_worker_goes_on(
    engine: ResourceEngine, how: str, message: str, kind: str
) -> None:
    engine.submit_tasks(
        [task(**call("bad", how=how), max_attempts=1), task(**call("add", "after", a=1, b=1))]
    )
    engine.run_cycle()
    assert state(engine, "t") == "dead"
    assert error(engine, "t")["type"] == kind
    assert message in error(engine, "t")["message"]
    assert state(engine, "after") == "succeeded"


def test_where_it_went_wrong_is_told(engine: ResourceEngine) -> None:
    engine.submit_tasks(
        [
            task(**call("bad", how="raise"), max_attempts=1),
            task(**call("add", "wrong", a=1), max_attempts=1),
        ]
    )
    engine.run_cycle()
    assert error(engine, "t")["where"].startswith("functions.py:")
    assert "missing 1 required positional argument" in error(engine, "wrong")["message"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("segfault", "its worker was killed by SIGSEGV"),
        ("kill", "its worker was killed by SIGKILL"),
        ("exit", "its worker exited with code 3"),
    ],
)
def test_a_worker_that_dies_with_its_task_is_replaced_and_the_task_runs_again(
    engine: ResourceEngine, tmp_path: Path, how: str, told: str
) -> None:
    engine.submit_task(task(**call("once_then", file=str(tmp_path / "was"), how=how)))
    assert [engine.run_cycle(), engine.run_cycle()] == [1, 1]
    found = engine.task("t")
    assert found is not None
    assert (found.state, found.attempts, found.result) == ("succeeded", 2, "well")
    (failed,) = events(tmp_path / "engine_state.jsonl", "task_failed")
    assert failed["error"] == {"message": told, "type": "WorkerLost"}


def test_a_function_says_when_to_be_tried_again(engine: ResourceEngine, tmp_path: Path) -> None:
    engine.submit_task(task(**call("once_then", file=str(tmp_path / "was"), how="later")))
    assert [engine.run_cycle(), engine.run_cycle()] == [1, 1]
    found = engine.task("t")
    assert found is not None
    assert (found.state, found.attempts, found.result) == ("succeeded", 2, "well")


def test_what_a_function_prints_and_leaks_is_its_workers_affair(
    engine: ResourceEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.submit_tasks(task(**call("bad", f"t{n}", how="leak")) for n in range(3))
    engine.submit_task(task(**call("bad", "p", how="print")))
    engine.run_cycle()
    engine.stop()
    assert [one.state for one in engine.tasks()] == ["succeeded"] * 4
    assert functions._LEAKED == []


def test_a_worker_that_is_killed_is_another_attempt(engine: ResourceEngine, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    engine.submit_task(task(**call("hang", file=str(file)), at_most_once=True))
    engine.start()
    with cycling(engine):
        (pid,) = written(file)
        os.kill(int(pid), signal.SIGKILL)
    assert state(engine, "t") == "dead"
    assert error(engine, "t")["message"] == "its worker was killed by SIGKILL"


@pytest.mark.parametrize("name", ["hang", "hang_deaf", "stubborn"])
def test_what_takes_too_long_is_asked_to_end_and_then_ended(
    engine: ResourceEngine, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "pids"
    engine.submit_task(task(**call(name, file=str(file)), timeout_s=0.3, max_attempts=1))
    engine.run_cycle()
    found = engine.task("t")
    assert found is not None
    if name == "stubborn":
        assert (found.state, found.result) == ("succeeded", "done")
    else:
        assert (found.state, found.outcome) == ("dead", "timeout")
        assert found.error == {"message": "it was stopped after 0.3 s", "type": "Timeout"}
    assert not alive(int(file.read_text()))


@pytest.mark.parametrize("name", ["hang", "hang_deaf"])
def test_what_is_cancelled_while_it_runs_is_stopped(
    engine: ResourceEngine, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "pids"
    engine.submit_task(task(**call(name, file=str(file))))
    with cycling(engine):
        (pid,) = written(file)
        assert ResourceEngine(tmp_path / "engine_state.jsonl").cancel("t")
    assert state(engine, "t") == "cancelled"
    assert not alive(int(pid))


@pytest.mark.parametrize("then", ["hang", "segfault", "kill", "return"])
def test_what_a_task_started_ends_with_its_worker(
    engine: ResourceEngine, tmp_path: Path, then: str
) -> None:
    """Also where the child keeps the worker's socket: the worker's end is seen at once."""
    file = tmp_path / "child"
    limits = {"timeout_s": 1.0 if then == "hang" else 60.0, "at_most_once": True, "max_attempts": 1}
    engine.submit_task(task(**call("forks", file=str(file), then=then), **limits))
    before = time.monotonic()
    engine.run_cycle()
    assert time.monotonic() - before < 50, "it was noticed when its time was up, or never"
    wanted = {"hang": "timeout", "return": "ok"}.get(then, "error")
    found = engine.task("t")
    assert found is not None
    assert found.outcome == wanted
    engine.stop()
    child = int(written(file)[0])
    until(lambda: not alive(child), "an end of the child")


def test_the_bundle_of_a_worker_that_dies_goes_back_but_for_what_had_begun(
    engine: ResourceEngine, tmp_path: Path
) -> None:
    quick = Workers(forking(calling(engine.functions)))
    hands = Hands.of(engine)
    engine.submit_tasks(
        [
            task(**call("add", "a", a=1, b=1)),
            task(**call("bad", "b", how="exit")),
            task(**call("add", "c", a=1, b=1)),
            task(**call("add", "d", a=1, b=1)),
        ]
    )
    ids = ["a", "b", "c", "d"]
    tasks = {one.task_id: one for one in engine.tasks()}
    leases = hands.claim(room=4, size=4)
    lease = Lease(leases[0].number, tuple(tasks[one] for one in ids))
    quick.start(lease)
    ended = []
    back: dict[int, list[str]] = {}

    def both() -> bool:
        ended.extend(quick.collect())
        back.update(quick.take_returned())
        return not quick.busy

    until(both, "an end")
    assert [(one.task_id, one.outcome, one.lost) for one in ended] == [
        ("a", "ok", False),
        ("b", "error", True),
    ]
    assert back == {lease.number: ["c", "d"]}
    quick.close()


def test_quick_tasks_are_handed_over_together_and_all_end_once(
    engine: ResourceEngine, tmp_path: Path
) -> None:
    """With one among them whose worker dies each time."""
    for number in range(60):
        how = "exit" if number == 30 else ""
        engine.submit_task(task(**call("bad", f"t{number}", how=how)))
    for _ in range(10):
        engine.run_cycle()
    states = {one.task_id: (one.state.value, one.attempts) for one in engine.tasks()}
    assert states.pop("t30") == ("dead", 3)
    assert set(states.values()) == {("succeeded", 1)}
    granted = events(tmp_path / "engine_state.jsonl", "lease_granted")
    assert max(len(event["tasks"]) for event in granted) > 1
    assert all(pool.allocated == 0 for pool in engine.pools.values())


def test_a_process_that_cannot_be_started_holds_nothing_up_for_ever(
    engine: ResourceEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tasks go back without an attempt; it is not tried again in the same instant."""
    engine.submit_task(task(**call("add", a=1, b=1)))
    engine.start()
    crew = engine._crew
    assert crew is not None
    launch, tries = crew._workers._launch, []

    def refuse(far: object) -> int:
        tries.append(far)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(crew._workers, "_launch", refuse)
    for _ in range(20):
        crew.turn()
    assert len(tries) == 1
    found = engine.task("t")
    assert found is not None
    assert (found.state, found.attempts) == ("queued", 0)
    monkeypatch.setattr(crew._workers, "_launch", launch)
    until(lambda: engine.run_cycle() and state(engine, "t") == "succeeded", "a worker")


@pytest.mark.parametrize("value", [functions.nested(250), 2**70])
def test_what_an_older_journal_has_and_no_worker_can_be_handed_ends_as_an_error(
    engine: ResourceEngine, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    with monkeypatch.context() as before:
        before.setattr("engines.resource_engine.engine.check_params", lambda _: None)
        engine.submit_task(task(**call("add", a=value, b=1)))
    engine.submit_task(task(**call("add", "after", a=1, b=1)))
    engine.run_cycle()
    found = engine.task("t")
    assert found
    assert (found.state, found.attempts) == ("dead", 1)
    assert "its parameters cannot be handed over" in error(engine, "t")["message"]
    assert state(engine, "after") == "succeeded"


def test_a_function_that_nobody_registered_is_left_to_who_has_it(engine: ResourceEngine) -> None:
    engine.submit_task(task(**call("unheard_of")))
    assert engine.run_cycle() == 0
    assert state(engine, "t") == "queued"


def test_a_name_means_one_function(engine: ResourceEngine) -> None:
    engine.register("add", functions.add)
    with pytest.raises(ValueError, match="another function is registered as 'add'"):
        engine.register("add", functions.bad)


def test_a_stopped_engine_gives_back_what_ran(engine: ResourceEngine, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    engine.submit_task(task(**call("hang", file=str(file))))
    engine.start()
    assert engine._crew is not None
    engine._crew.turn()
    (pid,) = written(file)
    engine.stop()
    assert not alive(int(pid))
    assert state(engine, "t") == "delayed"
    assert engine.sessions() == []
    assert not [*(tmp_path / "engine_state.sessions").iterdir()]
