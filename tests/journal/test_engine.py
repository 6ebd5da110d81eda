"""The engine pattern: commands decide and record, `apply` folds, queries read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engines.engine import Engine
from engines.errors import InvalidInput, JournalBroken, JournalWriteFailed
from engines.journal import Event, Journal, RehearsalJournal, VolatileJournal, journal, verify
from tests.journal.conftest import Forge, Snapshot


class Counter(Engine):
    """Counts, and refuses to go below zero."""

    def reset(self) -> None:
        self.total = 0
        self.seen: list[int] = []

    def add(self, amount: int, note: object = None) -> int:
        with self.deciding():
            if self.total + amount < 0:
                raise ValueError("below zero")
            self.record("added", amount=amount, note=note)
            return self.total

    def add_all(self, *amounts: int) -> None:
        with self.deciding():
            for amount in amounts:
                self.add(amount)

    def apply_added(self, event: Event) -> None:
        self.total += event["amount"]
        self.seen.append(event["amount"])


@pytest.fixture
def counter(path: Path) -> Counter:
    return Counter(Journal(path))


def types_in(path: Path) -> list[str]:
    return [event["event_type"] for event in Journal(path).events()]


def test_a_new_engine_sees_what_the_last_one_saw(counter: Counter, path: Path) -> None:
    """State is a fold over the journal and nothing else."""
    counter.add_all(1, 2, 3)
    counter.add(-4)
    again = Counter(Journal(path))
    assert (again.total, again.seen) == (counter.total, counter.seen) == (2, [1, 2, 3, -4])
    assert counter.verify_hash_chain()


def test_an_engine_catches_up_before_it_decides(counter: Counter, path: Path) -> None:
    """Two of them on one journal never decide on different states."""
    other = Counter(Journal(path))
    counter.add(5)
    with pytest.raises(ValueError, match="below zero"):
        other.add(-6)
    assert other.add(-5) == 0
    with pytest.raises(ValueError, match="below zero"):
        counter.add(-1)
    assert counter.seen == other.seen == [5, -5]


def test_refresh_catches_up_without_deciding(counter: Counter, path: Path) -> None:
    """Queries see what other processes recorded after a refresh, each event once."""
    other = Counter(Journal(path))
    counter.add_all(1, 2)
    assert other.total == 0
    other.refresh()
    other.refresh()
    assert other.seen == [1, 2]
    counter.refresh()
    assert counter.seen == [1, 2]


def test_engines_that_share_one_journal_object_see_each_others_events(path: Path) -> None:
    """The object's own end is not taken for the engine's."""
    shared = Journal(path)
    one, other = Counter(shared), Counter(shared)
    one.add(1)
    other.add(2)
    assert one.add(3) == 6
    other.refresh()
    assert one.seen == other.seen == [1, 2, 3]


def test_what_is_recorded_becomes_durable_all_or_none(counter: Counter, path: Path) -> None:
    """Before the outermost `deciding()` is left nothing is in the file."""
    with counter.deciding():
        counter.add(1)
        with counter.deciding():
            counter.add(2)
        assert types_in(path) == []
        assert counter.total == 3
    assert types_in(path) == ["journal_created", "added", "added"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_an_error_while_deciding_leaves_nothing_behind(
    counter: Counter, path: Path, error: type[BaseException]
) -> None:
    """Neither in the journal nor in the state."""
    counter.add(1)
    before = path.read_bytes()
    with pytest.raises(error), counter.deciding():  # noqa: PT012  it is what is tested
        counter.add(10)
        with counter.deciding():
            counter.add(100)
        raise error
    assert (counter.total, counter.seen) == (1, [1])
    assert path.read_bytes() == before
    assert counter.add(2) == 3
    assert verify(path).lines == 3


def test_an_event_that_cannot_be_written_is_not_applied(counter: Counter, path: Path) -> None:
    """A refused payload takes the whole decision back."""
    with pytest.raises(InvalidInput), counter.deciding():  # noqa: PT012  two records, one decision
        counter.add(1)
        counter.add(2, note={3: 4})
    assert (counter.total, types_in(path)) == (0, [])


@pytest.mark.parametrize("call", ["write", "pwrite"])
def test_state_does_not_run_ahead_of_a_failed_write(
    counter: Counter, path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What was not acknowledged is not in the state; the engine of the next process goes on."""

    def refuse(*args: object) -> int:
        raise OSError(28, "No space left on device")

    counter.add(1)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, call, refuse)
        with pytest.raises(JournalWriteFailed):
            counter.add(2)
    assert counter.seen == [1]
    assert Counter(Journal(path)).add(3) == 4
    counter.refresh()
    assert counter.seen == [1, 3]


def test_an_interrupt_after_the_write_is_folded_as_the_journal_has_it(
    counter: Counter, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the file and its head: the event was not acknowledged and does not count."""

    def interrupt(*args: object) -> int:
        raise KeyboardInterrupt

    counter.add(1)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "pwrite", interrupt)
        with pytest.raises(KeyboardInterrupt):
            counter.add(2)
    assert counter.add(4) == 5
    assert counter.seen == Counter(Journal(path)).seen == [1, 4]
    assert verify(path).ok


def test_record_belongs_inside_deciding(counter: Counter, path: Path) -> None:
    """Anywhere else it would decide on a state that may be old."""
    with pytest.raises(RuntimeError, match="belongs inside"):
        counter.record("added", amount=1)
    with counter.deciding():
        pass
    with pytest.raises(RuntimeError, match="belongs inside"):
        counter.record("added", amount=1)
    assert (counter.total, path.exists()) == (0, False)


def test_deciding_nothing_records_nothing(counter: Counter, path: Path) -> None:
    """A command may find that there is nothing to do."""
    counter.add(1)
    before = path.read_bytes()
    with counter.deciding():
        assert counter.total == 1
    assert path.read_bytes() == before


def test_unknown_events_are_not_this_folds_business(counter: Counter, path: Path) -> None:
    """A newer version's types, and the journal's own, are passed over."""
    Journal(path).append_many([("added", {"amount": 1}), ("from_the_future", {"amount": 7})])
    with path.open("ab") as file:
        file.write(b"torn")
    assert counter.add(2) == 3
    assert "journal_recovered" in types_in(path)


def test_an_engine_reads_no_further_than_a_fault(
    counter: Counter, path: Path, forge: Forge
) -> None:
    """The state is that of the lines before it, and nothing is decided on it."""
    counter.add_all(1, 2, 3)
    lines = forge.lines(path)
    path.write_bytes(
        b"".join([*lines[:2], lines[2].replace(b'"amount":2', b'"amount":9'), lines[3]])
    )
    with pytest.raises(JournalBroken, match=r"notes\.jsonl:3: edited"):
        Counter(Journal(path))
    assert not counter.verify_hash_chain()


def test_threads_may_share_an_engine(counter: Counter) -> None:
    """Decisions take turns, queries do not get in their way."""
    errors = []

    def work() -> None:
        try:
            for _ in range(25):
                counter.add(1)
                counter.refresh()
        except Exception as error:  # noqa: BLE001  handed to the test
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert counter.total == len(counter.seen) == 200
    assert counter.verify_hash_chain()


# --- without a file --------------------------------------------------------------------------


def play(counter: Counter) -> list[object]:
    """The results of a few commands, wrong ones among them."""
    results: list[object] = []
    for amount, note in [(5, None), (-9, None), (2**70, "big"), (1, float("nan")), (2, {"a": [1]})]:
        try:
            results.append(counter.add(amount, note))
        except (ValueError, InvalidInput) as error:
            results.append(str(error))
    return [*results, counter.total, counter.seen]


def test_an_engine_without_a_journal_gives_the_same_results(path: Path) -> None:
    """It lasts as long as its process, and refuses what a file would not take."""
    with_file = play(Counter(Journal(path)))
    assert play(Counter()) == play(Counter(None)) == with_file
    assert with_file[:2] == [5, "below zero"]


def test_an_engine_without_a_journal_verifies_trivially() -> None:
    """There is no chain that could be broken."""
    counter = Counter()
    counter.add(1)
    assert counter.verify_hash_chain()
    assert isinstance(counter.journal, VolatileJournal)


def test_events_come_back_from_any_journal_as_a_reader_would_see_them(path: Path) -> None:
    """Tuples as lists, and the reserved members beside the payload."""
    returned = []
    for kept in (Journal(path), VolatileJournal(clock=lambda: 1.5)):
        counter = Counter(kept)
        with counter.deciding():
            returned.append(counter.record("added", amount=1, note=(1, 2**70 + 1)))
    for event in returned:
        assert event["note"] == [1, 2**70 + 1]
        assert list(event)[:4] == ["seq", "event_type", "timestamp", "parent_hash"]


def test_a_rehearsal_begins_with_real_history_and_writes_nothing(
    counter: Counter, path: Path, folder_bytes: Snapshot
) -> None:
    """What it records stays with it."""
    counter.add_all(1, 2)
    before = folder_bytes(path)
    rehearsal = Counter(RehearsalJournal(Journal(path)))
    assert rehearsal.seen == [1, 2]
    assert rehearsal.add(10) == 13
    rehearsal.add_all(20, 30)
    assert folder_bytes(path) == before
    assert Counter(Journal(path)).seen == counter.seen == [1, 2]


def test_a_rehearsal_follows_real_history_until_its_first_own_event(
    counter: Counter, path: Path
) -> None:
    """From then on it goes on as if the file had ended there."""
    rehearsal = Counter(RehearsalJournal(Journal(path)))
    counter.add(1)
    rehearsal.refresh()
    assert rehearsal.seen == [1]
    with rehearsal.deciding():
        pass
    counter.add(2)
    assert rehearsal.add(10) == 13
    counter.add(3)
    rehearsal.refresh()
    assert rehearsal.add(20) == 33
    assert rehearsal.seen == [1, 2, 10, 20]


def test_a_rehearsal_of_a_journal_that_never_began_creates_none(path: Path) -> None:
    """Not even a lock file."""
    rehearsal = Counter(RehearsalJournal(Journal(path)))
    rehearsal.add(1)
    assert list(path.parent.iterdir()) == []
