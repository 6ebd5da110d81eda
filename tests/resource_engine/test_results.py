"""Large results lie in files beside the journal, and large parameters nowhere."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import durable
from engines.errors import InvalidInput, JournalWriteFailed
from engines.journal import Journal, RehearsalJournal, VolatileJournal
from engines.resource_engine import ResourceEngine, ResultBroken, Task, table
from tests.conftest import REPOSITORY, environment
from tests.resource_engine.conftest import Open
from tests.resource_engine.functions import nested
from tests.resource_engine.kit import Hands, Time, engine_on, events, state, task

LARGE = {"text": "x" * 70_000}


def files(folder: Path) -> list[Path]:
    """Those of the results, also unfinished ones."""
    return sorted((folder / "results").iterdir()) if (folder / "results").exists() else []


def ended_with(engine: ResourceEngine, *results: Any) -> None:
    """Tasks t0, t1… that returned these."""
    hands = Hands.of(engine)
    for number, result in enumerate(results):
        engine.submit_task(task(f"t{number}"))
        hands.run(result=result)


def found(engine: ResourceEngine, task_id: str = "t0") -> Task:
    it = engine.task(task_id)
    assert it is not None
    return it


def test_a_large_result_lies_in_a_file_named_by_its_hash(open_queue: Open, tmp_path: Path) -> None:
    ended_with(open_queue(), LARGE, "small")
    (file,) = files(tmp_path)
    content = file.read_bytes()
    assert json.loads(content) == LARGE
    assert file.name == f"{sha256(content).hexdigest()}.json"
    large, small = events(tmp_path / "engine_state.jsonl", "task_succeeded")
    assert "result" not in large
    assert (large["result_sha256"], large["result_bytes"]) == (file.stem, len(content))
    assert (small["result"], "result_sha256" in small) == ("small", False)


def test_it_is_read_only_by_those_who_ask_for_it(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    ended_with(queue, LARGE)
    (file,) = files(tmp_path)
    for engine in (queue, open_queue()):
        assert found(engine).result == LARGE
        assert found(engine).as_dict()["result"] == LARGE
        (listed,) = engine.tasks()
        assert (listed.result, listed.result_sha256, listed.state) == (None, file.stem, "succeeded")
        assert listed.as_dict()["result_bytes"] == file.stat().st_size
    file.unlink()
    assert found(queue).state == "succeeded", "who asks for something else does not need it"
    assert state(open_queue(), "t0") == "succeeded"


def test_a_file_that_is_gone_or_altered_is_an_error_that_says_so(
    queue: ResourceEngine, tmp_path: Path
) -> None:
    ended_with(queue, LARGE)
    (file,) = files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content.replace(b"xx", b"xy", 1))
    with pytest.raises(ResultBroken, match=r"task 't0': .*altered") as altered:
        _ = found(queue).result
    assert str(file) in altered.value.message
    file.write_bytes(content[:-1])
    with pytest.raises(ResultBroken, match="altered"):
        found(queue).as_dict()
    file.unlink()
    with pytest.raises(ResultBroken, match="No such file"):
        _ = found(queue).result


def test_equal_results_share_a_file_and_one_that_was_altered_is_mended(
    queue: ResourceEngine, tmp_path: Path
) -> None:
    ended_with(queue, LARGE)
    (file,) = files(tmp_path)
    file.write_bytes(b"{}")
    queue.submit_task(task("again"))
    Hands.of(queue).run(result=LARGE)
    assert files(tmp_path) == [file]
    assert found(queue, "t0").result == found(queue, "again").result == LARGE


def test_the_limit_is_the_engines(open_queue: Open, tmp_path: Path) -> None:
    ended_with(open_queue(result_bytes=10), "x" * 8, "x" * 9)  # with the quotes 10 and 11 bytes
    inside, outside = events(tmp_path / "engine_state.jsonl", "task_succeeded")
    assert inside["result"] == "x" * 8
    assert outside["result_bytes"] == 11


def test_it_is_recalled_when_the_task_is_remembered_no_more(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_KEPT", 1)
    queue = open_queue()
    ended_with(queue, LARGE, 1, 2)
    assert queue.task("t0") is None
    recalled = queue.recall("t0")
    assert recalled is not None
    assert recalled.result == LARGE


def test_it_outlasts_a_snapshot(open_queue: Open) -> None:
    queue = open_queue()
    ended_with(queue, LARGE)
    queue.save_snapshot()
    assert queue.check_snapshot() is None
    assert found(open_queue()).result == LARGE


def test_what_is_submitted_anew_begins_without_the_result(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    ended_with(queue, LARGE)
    done = found(queue)
    (tmp_path / "other").mkdir()
    other = engine_on(tmp_path / "other", Time())
    assert other.submit_task(done)
    fresh = found(other)
    assert (fresh.state, fresh.result, fresh.result_sha256, fresh.result_bytes) == (
        "queued",
        None,
        None,
        None,
    )


def test_a_disk_that_does_not_take_the_file_gets_no_event(
    queue: ResourceEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit_task(task("t0"))
    hands = Hands.of(queue)
    (lease,) = hands.claim()

    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(durable, "write_all", full)
        with pytest.raises(JournalWriteFailed, match=r"results.*No space left"):
            hands.end(lease, result=LARGE)
    assert (state(queue, "t0"), files(tmp_path)) == ("running", [])
    assert hands.end(lease, result=LARGE) == 0, "and what ended is told again"
    assert found(queue).result == LARGE


KILLED = """
import os, sys
left = 10**6
def counted(sync):
    def call(fd):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        sync(fd)
    return call
os.fsync, os.fdatasync = counted(os.fsync), counted(os.fdatasync)
from pathlib import Path
from engines.resource_engine import Ended, ResourceEngine, Task
engine = ResourceEngine(Path(sys.argv[1]) / "engine_state.jsonl")
engine.submit_task(Task("t0"))
name = engine.join()
(lease,) = engine.exchange(name, room=1).leases
left = int(sys.argv[2])
engine.exchange(name, ended=[Ended("t0", lease.number, "ok", {"text": "x" * 70_000})])
print("recorded", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("syncs", range(6))
def test_whoever_is_killed_has_recorded_no_result_that_is_not_there(
    tmp_path: Path, syncs: int
) -> None:
    """Killed before its first sync, its second…: the task has its result, or runs again."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(syncs)],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    engine = ResourceEngine(tmp_path / "engine_state.jsonl")
    engine.exchange(engine.join())  # which gives up who is gone
    if found(engine).state != "succeeded":
        assert "recorded" not in done.stdout
        hands = Hands.of(engine)
        hands.run(result=LARGE)
    assert found(engine).result == LARGE


def test_a_journal_in_memory_keeps_results_in_its_events() -> None:
    queue = ResourceEngine(journal=VolatileJournal(), probe=lambda _: {})  # type: ignore[arg-type]
    ended_with(queue, LARGE)
    assert found(queue).result == LARGE


def test_a_rehearsal_reads_the_files_and_writes_none(tmp_path: Path, queue: ResourceEngine) -> None:
    ended_with(queue, LARGE)
    before = files(tmp_path)
    journal: Any = RehearsalJournal(Journal(tmp_path / "engine_state.jsonl"))
    rehearsal = ResourceEngine(journal=journal)
    assert found(rehearsal).result == LARGE
    rehearsal.submit_task(task("another"))
    other = {"text": "y" * 70_000}
    Hands(rehearsal, rehearsal.join()).run(result=other)
    assert found(rehearsal, "another").result == other
    assert files(tmp_path) == before


def test_a_result_that_is_no_json_is_refused_at_any_size(queue: ResourceEngine) -> None:
    queue.submit_task(task("t0"))
    hands = Hands.of(queue)
    (lease,) = hands.claim()
    for wrong in (["x" * 70_000, float("nan")], ["x" * 70_000, {1: 2}], ["x" * 70_000, object()]):
        with pytest.raises(InvalidInput):
            hands.end(lease, result=wrong)
    assert state(queue, "t0") == "running"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=15)
@given(json_values, st.integers(1, 40))
def test_what_comes_back_is_what_was_returned(
    tmp_path_factory: pytest.TempPathFactory, result: Any, limit: int
) -> None:
    """Whether it lay in a file or not."""
    folder = tmp_path_factory.mktemp("results")
    ended_with(engine_on(folder, Time(), result_bytes=limit), result)
    assert found(engine_on(folder, Time())).result == result


# --- parameters ----------------------------------------------------------------------------------


def test_parameters_that_are_too_large_are_refused(queue: ResourceEngine, tmp_path: Path) -> None:
    """A million bytes of JSON are not, of which the text has all but these: {"a":""}."""
    most = "x" * (1_000_000 - 8)
    assert queue.submit_task(task("fits", payload={"call": "f", "params": {"a": most}}))
    for name, payload in (
        ("call", {"call": "f", "params": {"a": most + "x"}}),
        ("skill", {"skill": "f", "params": {"a": most + "x"}}),
        ("joins", [most + "xxxxxxx"]),
    ):
        with pytest.raises(InvalidInput, match=f"'{name}'.* 1,000,0.* bytes") as refused:
            queue.submit_tasks([task("before"), task(name, payload=payload)])
        assert "file" in str(refused.value.hint)
    assert [one.task_id for one in queue.tasks()] == ["fits"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (nested(200), "nested more than 200 deep"),
        (nested(1000), "nested more than 200 deep"),
        (2**64, "beyond 64 bits"),
        ([{"n": -(2**63) - 1}], "beyond 64 bits"),
    ],
)
def test_parameters_that_no_worker_could_be_handed_are_refused(
    queue: ResourceEngine, value: Any, why: str
) -> None:
    fits = {"deep": nested(199), "large": 2**64 - 1}
    assert queue.submit_task(task("fits", payload={"call": "f", "params": fits}))
    with pytest.raises(InvalidInput, match=why):
        queue.submit_task(task("t", payload={"call": "f", "params": {"a": value}}))
    assert [one.task_id for one in queue.tasks()] == ["fits"]
