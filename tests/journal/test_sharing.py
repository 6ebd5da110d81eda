"""Many writers, one journal: processes take turns, threads share one object and one sync."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.errors import InvalidInput, JournalBusy, JournalWriteFailed
from engines.journal import Journal, journal, recorded, verify
from tests.journal.conftest import Snapshot

ROOT = Path(journal.__file__).parents[2]
HOLDER = """
import sys
from engines.journal import Journal
with Journal(sys.argv[1]).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(ten: Path) -> Iterator[Path]:
    """A journal whose lock another process holds until its input is closed."""
    command = [sys.executable, "-c", HOLDER, str(ten)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield ten
        holder.stdin.close()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run *work* in so many threads that start together; the first error is raised here."""
    start, errors = threading.Barrier(count), []

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  handed to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_lock_held_by_another_process_is_busy_in_the_end(
    held: Path, folder_bytes: Snapshot
) -> None:
    """The error is one that a caller can wait out: exit code 4, and a hint."""
    before = folder_bytes(held)
    with pytest.raises(JournalBusy, match=r"notes\.jsonl: another process") as busy:
        Journal(held, lock_timeout_s=0.05).append("noted")
    assert (busy.value.exit_code, busy.value.code) == (4, "journal_busy")
    assert busy.value.hint
    assert folder_bytes(held) == before


def test_reading_does_not_wait_for_a_writer(held: Path) -> None:
    """Queries and audits work while another process decides."""
    assert len(list(Journal(held).events())) == 10
    assert len(Journal(held).tail(3)) == 3


def test_one_that_is_begun_between_two_looks_is_not_taken_for_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file at the first look; then another process begins the journal, and its head is there."""
    reader, looked = Journal(path), recorded.open_live

    def looked_too_early(at: Path) -> object:
        found = looked(at)
        monkeypatch.undo()
        Journal(path).append("noted")
        return found

    monkeypatch.setattr(recorded, "open_live", looked_too_early)
    assert list(reader.events()) == []
    assert [event["event_type"] for event in reader.events()] == ["journal_created", "noted"]


def test_a_journal_can_be_used_after_it_was_busy(ten: Path) -> None:
    """Giving up leaves nothing behind in the object."""
    ours, theirs = Journal(ten, lock_timeout_s=0), Journal(ten)
    with theirs.locked(), pytest.raises(JournalBusy):
        ours.append("noted")
    assert ours.append("noted")["seq"] == 10


def test_two_objects_take_turns(ten: Path) -> None:
    """Each append first catches up with the other's."""
    one, other = Journal(ten), Journal(ten)
    for number in range(20):
        assert (one if number % 2 else other).append("noted")["seq"] == 10 + number
    assert verify(ten).lines == 30


def test_the_lock_is_reentrant_and_batches_join(path: Path) -> None:
    """Staged events are committed together; what was not committed is dropped on leaving."""
    ours = Journal(path)
    with ours.locked():
        ours.stage("noted", {"n": 1})
        with ours.locked():
            ours.append("noted", {"n": 2})
        ours.stage("noted", {"n": 3})
    assert [event.get("n") for event in ours.events()] == [None, 1, 2]
    ours.append("noted", {"n": 4})
    assert [event["seq"] for event in ours.events()] == [0, 1, 2, 3]
    assert verify(path).ok


def test_an_error_under_the_lock_drops_what_was_staged(ten: Path, folder_bytes: Snapshot) -> None:
    """And gives the lock back."""
    ours, before = Journal(ten), folder_bytes(ten)
    with pytest.raises(ZeroDivisionError), ours.locked():  # noqa: PT012  it is what is tested
        ours.stage("noted", {"n": 1})
        raise ZeroDivisionError
    assert folder_bytes(ten) == before
    assert Journal(ten, lock_timeout_s=0).append("noted")["seq"] == 10


def test_threads_share_one_object(path: Path) -> None:
    """Every event is there once, in each thread's own order, on one valid chain."""
    ours = Journal(path)
    returned: list[list[int]] = [[] for _ in range(8)]

    def work(thread: int) -> None:
        for number in range(50):
            event = ours.append("noted", {"thread": thread, "n": number})
            assert (event["thread"], event["n"]) == (thread, number)
            returned[thread].append(event["seq"])

    in_threads(8, work)
    assert verify(path).lines == 8 * 50 + 1
    assert sorted(seq for seqs in returned for seq in seqs) == list(range(1, 401))
    events = list(Journal(path).events())
    for thread, seqs in enumerate(returned):
        assert [events[seq]["n"] for seq in seqs] == list(range(50))
        assert {events[seq]["thread"] for seq in seqs} == {thread}


class Announced(list):
    """A list that tells when something is added."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals = threading.Semaphore(0)

    def append(self, item: object) -> None:
        super().append(item)
        self.arrivals.release()


def group(ours: Journal, batches: list[list]) -> list[object]:
    """Append *batches*, one per thread, as one group; return what each thread got."""
    results: list[object] = [None] * len(batches)

    def append(number: int) -> None:
        try:
            results[number] = ours.append_many(batches[number])
        except Exception as error:  # noqa: BLE001  handed to the test
            results[number] = error

    threads = [threading.Thread(target=append, args=(n,)) for n in range(len(batches))]
    ours._queue.waiting = waiting = Announced()
    with ours._mutex:
        for thread in threads:
            thread.start()
        for _ in threads:
            assert waiting.arrivals.acquire(timeout=30)
    for thread in threads:
        thread.join()
    return results


def test_a_group_of_threads_shares_one_sync(ten: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gets the lock first commits for all who wait."""
    syncs, sync = [], journal.sync_data
    monkeypatch.setattr(journal, "sync_data", lambda fd: (syncs.append(fd), sync(fd)))
    results = group(Journal(ten), [[("noted", {"n": n})] * 3 for n in range(6)])
    assert len(syncs) == 1
    assert [[event["n"] for event in events] for events in results] == [[n] * 3 for n in range(6)]
    assert verify(ten).lines == 10 + 18


@pytest.mark.parametrize("fresh", [True, False], ids=["first-events", "later-events"])
def test_an_invalid_payload_fails_only_its_own_thread(
    ten: Path, path: Path, *, fresh: bool
) -> None:
    """The other batches of the group are committed as if it had not been there."""
    place = path.with_name("fresh.jsonl") if fresh else ten
    batches = [[("noted", {"thread": n, "i": i}) for i in range(3)] for n in range(6)]
    batches[0][1] = ("noted", {"x": math.nan})
    batches[3][2] = ("noted", {"seq": 1})
    batches[5][0] = ("not a name", {})
    results = group(Journal(place), batches)
    assert [n for n, got in enumerate(results) if isinstance(got, InvalidInput)] == [0, 3, 5]
    written = [(e["thread"], e["i"]) for e in Journal(place).events() if "thread" in e]
    assert sorted(written) == [(n, i) for n in (1, 2, 4) for i in range(3)]
    assert verify(place).ok


def test_a_failed_write_fails_every_thread_of_the_group(
    ten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that it was recorded."""
    before = ten.read_bytes()

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    ours = Journal(ten)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", refuse)
        results = group(ours, [[("noted", {"n": n})] for n in range(4)])
    assert [type(result) for result in results] == [JournalWriteFailed] * 4
    assert ten.read_bytes() == before
    assert ours.append("noted")["seq"] == 10


def test_a_batch_of_nothing_is_nothing(path: Path) -> None:
    """It does not even begin the journal."""
    assert Journal(path).append_many([]) == []
    assert not path.exists()
