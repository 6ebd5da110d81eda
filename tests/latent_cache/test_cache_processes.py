"""Many processes and threads on one store, some of them killed at any step, some of them forked."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.errors import JournalWriteFailed
from engines.journal import Journal
from engines.latent_cache import DocumentStore, LatentCache, OfflineQueue
from engines.nav_mesh import Request
from tests.conftest import REPOSITORY, ended_at_last, environment
from tests.latent_cache.conftest import recorded, written

Started = Callable[..., "subprocess.Popen[str]"]
WRITER = """
import sys
from engines.journal import Journal
from engines.latent_cache import DocumentStore
folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = DocumentStore(f"{folder}/documents.db", Journal(f"{folder}/cache_log.jsonl"))
for number in range(count):
    store.set("shared", {"by": name, "n": number})
    store.put({"_id": f"{name}-{number}"})
    print(f"{name}-{number}", flush=True)
store.close()
"""
# Puts two documents, and is killed on its way to move their record into the journal.
MOVER = """
import os, signal, sys
from engines.database import Database
from engines.journal import Journal
from engines.latent_cache import DocumentStore
from engines.latent_cache.records import Records
folder, step = sys.argv[1:]
store = DocumentStore(f"{folder}/documents.db", Journal(f"{folder}/cache_log.jsonl"))
store.put({"_id": "before"})
store.settle()
store.put_many([{"_id": "a"}, {"_id": "b"}])
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def dying(method):
    def call(*args, **more):
        method(*args, **more)
        die()
    return call
if step == "before anything is moved":
    Records._move = die
elif step == "within the journal's batch":
    Journal._write = die
elif step == "between journal and store":
    Journal.write_many = dying(Journal.append_many)
elif step == "behind the last of it":
    Records._move = dying(Records._move)
store.settle()
"""
STEPS = [
    "before anything is moved",
    "within the journal's batch",
    "between journal and store",
    "behind the last of it",
]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Start Python code; whatever still runs at the end is ended."""

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), *map(str, args)],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    with ended_at_last() as processes:
        yield start


def names(log: Path) -> list[str]:
    return [document["id"] for document in written(recorded(log))]


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_while_the_record_moves_loses_no_line_and_doubles_none(
    tmp_path: Path, started: Started, log: Path, step: str
) -> None:
    process = started(MOVER, step)
    process.communicate()
    assert process.returncode == -9
    with DocumentStore(tmp_path / "documents.db", Journal(log)) as store:
        assert [row["id"] for row in store.all_docs()] == ["a", "b", "before"]
        store.put({"_id": "after"})
    assert names(log) == ["before", "a", "b", "after"]
    events = {event["event_type"] for event in recorded(log)}
    assert events <= {"document_written", "documents_changed", "journal_recovered"}


def test_writers_killed_at_any_moment_lose_nothing_they_acknowledged(
    tmp_path: Path, started: Started, log: Path
) -> None:
    """And the record has each change that is there, once; a document's record is its chain."""
    acknowledged: set[str] = set()
    for kill in range(4):
        writer = started(WRITER, f"w{kill}", 10_000)
        for _ in range(kill * 3 + 1):
            acknowledged.add(writer.stdout.readline().strip())
        writer.kill()
        rest, _ = writer.communicate()
        acknowledged |= set(rest.split("\n")[:-1])
    with DocumentStore(tmp_path / "documents.db", Journal(log)) as store:
        there = {row["id"]: row["value"]["rev"] for row in store.all_docs()}
        history = store.get("shared", revs=True)["_revisions"]
    assert acknowledged <= there.keys()
    told = [(e["id"], e["rev"]) for e in written(recorded(log))]
    assert len(told) == len(set(told))
    assert {name for name, _ in told} == there.keys()
    count = len(history["ids"])
    revs = [f"{count - back}-{one}" for back, one in enumerate(history["ids"])][::-1]
    assert [rev for name, rev in told if name == "shared"] == revs


def test_several_processes_write_at_once(tmp_path: Path, started: Started, log: Path) -> None:
    """From the first moment, when none has made the file yet; `set` meets no conflict."""
    writers = [started(WRITER, name, 20) for name in "abc"]
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, "")
    store = DocumentStore(tmp_path / "documents.db", Journal(log))
    assert store.info() == {"doc_count": 61, "doc_del_count": 0, "update_seq": 120}
    assert store.get("shared")["_rev"].startswith("60-")
    store.close()
    assert len(names(log)) == 120
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_request_is_claimed_by_one_of_many_processes(tmp_path: Path, started: Started) -> None:
    code = """
import sys
from engines.latent_cache import DocumentStore, OfflineQueue
queue = OfflineQueue(DocumentStore(sys.argv[1] + "/documents.db"))
sys.stdin.read()
while one := queue.claim(queue._clock(), owner=sys.argv[2], lease_s=600):
    print(one.idempotency_key)
"""
    queue = OfflineQueue(DocumentStore(tmp_path / "documents.db"))
    for number in range(20):
        queue.put("info", "a", Request("POST", "/", idempotency_key=str(number)), authorised=True)
    claimed: list[str] = []
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), name],
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for sender in senders:
        sender.stdin.close()  # both begin
        sender.stdin = None
    for sender in senders:
        claimed += sender.communicate()[0].split()
    assert sorted(claimed, key=int) == [str(number) for number in range(20)]


def test_threads_share_one_connection(store: DocumentStore, log: Path) -> None:
    def work(name: str) -> None:
        for number in range(10):
            store.set("shared", {"by": name})
            store.put({"_id": f"{name}-{number}"})
            assert store.get(f"{name}-{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (store.info()["doc_count"], len(store.leaves("shared"))) == (41, 1)
    store.settle()
    assert len(names(log)) == 80


def in_a_fork(store: DocumentStore, answers: Any) -> None:
    for number in range(10):
        store.put({"_id": f"child-{number}"})
        store.settle()
    answers.put(store.get("parent-0")["_id"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_shares_neither_the_connection_nor_a_lock(store: DocumentStore, log: Path) -> None:
    store.put({"_id": "parent-0"})
    store.settle()
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=in_a_fork, args=(store, answers))
    child.start()
    for number in range(1, 10):
        store.put({"_id": f"parent-{number}"})
        store.settle()
    assert answers.get() == "parent-0"
    child.join()
    assert child.exitcode == 0
    assert len(store.all_docs()) == len(names(log)) == 20


# --- the record ----------------------------------------------------------------------------------


def test_many_changes_are_moved_together_as_they_become_many(
    store: DocumentStore, log: Path
) -> None:
    store.put_many([{"_id": f"a{n}"} for n in range(3999)])
    assert not log.exists()
    store.put({"_id": "b"})
    assert len(names(log)) == 4000


def test_where_the_journal_fails_the_change_stands_and_its_record_waits(
    store: DocumentStore, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise JournalWriteFailed("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write_many", full)
        store.put_many([{"_id": f"a{n}"} for n in range(4000)])
        with pytest.raises(JournalWriteFailed):
            store.settle()
    assert store.info()["doc_count"] == 4000
    assert store.settle() == 4  # lines, of a thousand each
    assert len(names(log)) == 4000


def test_an_older_copy_put_back_is_found_out(tmp_path: Path, log: Path) -> None:
    """Where somebody copies files about, the record says which changes are not there any more."""
    file = tmp_path / "documents.db"

    def put(name: str) -> None:
        with DocumentStore(file, Journal(log)) as store:
            store.put({"_id": name})

    put("a")
    shutil.copy(file, tmp_path / "old")
    put("b")
    put("c")
    shutil.copy(tmp_path / "old", file)
    put("d")
    *_, found, last = recorded(log)
    assert (found["event_type"], found["changes"]) == ("changes_not_kept", 2)
    assert (found["first_seq"], found["last_seq"], last["id"]) == (2, 3, "d")
    put("e")
    assert names(log) == ["a", "b", "c", "d", "e"]


def test_a_store_beside_another_journal_says_so(tmp_path: Path, log: Path) -> None:
    for name in "ab":
        with DocumentStore(tmp_path / "documents.db", Journal(log)) as store:
            store.put({"_id": name})
        if name == "a":
            for file in tmp_path.glob("cache_log.*"):
                file.unlink()
    assert [event["event_type"] for event in recorded(log)] == [
        "cache_of_another_journal",
        "document_written",
    ]


def test_a_journal_that_was_rotated_and_pruned_goes_on(tmp_path: Path, log: Path) -> None:
    from engines.journal import Rotation

    for number in range(12):
        journal = Journal(log, rotation=Rotation(600, None))
        with DocumentStore(tmp_path / "documents.db", journal) as store:
            store.put({"_id": f"k{number}"})
    assert len(list(tmp_path.glob("cache_log.0*"))) > 2
    kinds = {event["event_type"] for event in recorded(log)}
    assert kinds == {"document_written", "segment_started"}


def test_a_cache_that_nobody_closed_is_settled_when_the_program_ends(
    tmp_path: Path, started: Started
) -> None:
    code = """
import sys
from engines.latent_cache import LatentCache
cache = LatentCache(sys.argv[1])
cache.set("k", 1)
cache.get("k")
"""
    process = started(code)
    assert process.communicate() == ("", "")
    assert names(tmp_path / "cache_log.jsonl") == ["k"]
    assert LatentCache(tmp_path).cache_hits == 1
