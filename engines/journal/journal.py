"""
A journal: an append-only file of events that many processes share.

Owns the write path.  The order of a commit is the design:

    lock → make sure the file ends where the head says → (a batch: note in the head, durably, how
    far it will reach) → one write of whole lines → sync → COMMIT POINT → move the head → unlock

What fails before the commit point leaves the journal as it was.  A failed sync poisons the handle:
nothing more is written through it, and the next process recovers from what is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from engines.durable import sync_data, sync_folder
from engines.errors import JournalBroken, JournalError, JournalWriteFailed
from engines.journal.head import Head, HeadFile, boot_id, file_id
from engines.journal.line import Event, seal
from engines.journal.reader import START, Fault, FaultFound, Position, read_tail, scan
from engines.journal.recovery import SetAside, find_ending, set_aside

Draft = tuple[str, Mapping[str, Any]]
"""An event before it is written: its type and its payload."""


class Journal:
    """
    The journal at *path*, which need not exist yet: it is created by the first event.

    Threads may share one object; processes open their own.  Events returned or read are plain
    mappings with the reserved members and the payload's side by side.

    Args:
        path: `…/NAME.jsonl`; the head is kept beside it in `NAME.head`.
        origin: What the first line says about where this journal belongs (workspace id and name);
            a function is asked when that line is written.
        by: Who writes and through which door; recorded with each event when given.
        clock: Seconds since the epoch.
        lock_timeout_s: How long to wait for another writer.
        on_recovery: Told when a torn tail was moved aside.
    """

    durable = True

    def __init__(
        self,
        path: str | Path,
        *,
        origin: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        by: str | None = None,
        clock: Callable[[], float] = time.time,
        lock_timeout_s: float = 30.0,
        on_recovery: Callable[[Path, SetAside], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._origin = origin
        self._by = {"by": by} if by else {}
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s
        self._on_recovery = on_recovery
        self._head = HeadFile(self.path.with_suffix(".head"))
        self._fd = -1
        self._end = START  # behind the last committed line, as this object knows it
        self._next = START  # behind the last staged line
        self._staged: list[bytes] = []
        self._poison: BaseException | None = None
        self._mutex = threading.RLock()
        self._depth = 0
        self._waiting: list[_Ticket] = []
        self._waiting_lock = threading.Lock()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._head.close()

    @property
    def end(self) -> Position:
        """Behind the last event this object committed or, when locked, found."""
        return self._end

    # --- writing -----------------------------------------------------------------------------

    def append(self, event_type: str, payload: Mapping[str, Any] | None = None) -> Event:
        """Append one event; it is durable when this returns.  See `append_many`."""
        return self.append_many([(event_type, payload or {})])[0]

    def append_many(self, drafts: Iterable[Draft]) -> list[Event]:
        """
        Append events as one batch, all or none, and return them once they are durable.

        Batches of several threads share one sync: whoever gets the lock first commits for all who
        are waiting.

        Raises:
            InvalidInput: A payload is not JSON or uses a reserved name.
            JournalBroken: The file does not end in what was acknowledged.
            JournalBusy: Another process has held the lock for too long.
            JournalWriteFailed: The disk did not take it.
        """
        ticket = _Ticket(list(drafts))
        with self._waiting_lock:
            self._waiting.append(ticket)
        with self._mutex:
            if not ticket.done:
                with self._waiting_lock:
                    group, self._waiting = self._waiting, []
                self._append_group(group)
        if ticket.error:
            raise ticket.error
        return ticket.events

    def _append_group(self, group: list[_Ticket]) -> None:
        try:
            with self.locked():
                for ticket in group:
                    mark = len(self._staged), self._next
                    try:
                        ticket.events = [self.stage(*draft) for draft in ticket.drafts]
                    except Exception as error:  # noqa: BLE001  it is that thread's, not the group's
                        ticket.error = error
                        del self._staged[mark[0] :]
                        self._next = mark[1]
                self.commit()
        except BaseException as error:
            # Every thread that waits must learn of it, an interruption of this one included.
            failure = error if isinstance(error, Exception) else _interrupted(self.path)
            for ticket in group:
                ticket.error = ticket.error or failure
            if failure is not error:
                raise
        finally:
            for ticket in group:
                ticket.done = True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """
        Hold the journal's lock: what is read here stays true until it is left.

        Enters with a file that ends in what was acknowledged; a crashed writer's leftovers have
        been moved aside.  Staged events that were not committed are dropped on leaving.
        """
        with self._mutex:
            if self._poison:
                raise JournalWriteFailed(
                    f"{self.path}: an earlier write failed ({self._poison}); no more is written",
                    hint="start again: the next process recovers from what is on the disk",
                )
            if self._depth == 0:
                with _as_journal_error(self.path):
                    self._head.lock(self._lock_timeout_s)
            self._depth += 1
            try:
                if self._depth == 1:
                    self._settle()
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.discard()
                    self._head.unlock()

    def stage(self, event_type: str, payload: Mapping[str, Any]) -> Event:
        """
        Seal an event behind those already staged and return it as a reader will see it.

        Only within `locked()`.  Nothing is written before `commit()`.
        """
        if self._next.seq == 0 and event_type != "journal_created":
            self.stage("journal_created", self._birth())
        here = self._next
        sealed = seal(
            here.seq, event_type, self._clock(), here.parent_hash, {**payload, **self._by}
        )
        self._staged.append(sealed.line)
        behind = here.offset + len(sealed.line)
        self._next = Position(here.seq + 1, sealed.event_hash, behind)
        return sealed.event

    def commit(self) -> None:
        """Make what was staged durable, all or none.  Only within `locked()`."""
        if not self._staged:
            return
        if self._fd < 0:
            self._create()
        batch = b"".join(self._staged)
        if len(self._staged) > 1:
            # So that after a power cut half a batch is known for what it is.
            self._move_head(pending=self._next.offset, durable=True)
        self._write(batch)
        self._staged.clear()
        self._end = self._next
        self._move_head()

    def discard(self) -> None:
        """Forget what was staged and not committed."""
        self._staged.clear()
        self._next = self._end

    # --- reading -----------------------------------------------------------------------------

    def read(self, start: Position = START) -> Iterator[tuple[list[Event], Position]]:
        """
        Hand out the acknowledged events from *start* on, in blocks with the place behind each.

        Needs no lock and no right to write; every line is checked on the way.

        Raises:
            JournalBroken: At the first line that does not stand.
        """
        if self._depth and start == self._end:
            return
        fd = self._open_to_read()
        if fd is None:
            return
        try:
            with self._faults_as_errors():
                end = find_ending(fd, self._head.read()).position
                if start.offset > end.offset:
                    what = f"{start.seq - end.seq} lines that were read before are gone"
                    raise FaultFound(Fault("truncated", 0, end.seq, what))
                if start.offset < end.offset:
                    yield from scan(fd, start, end.offset)
        finally:
            os.close(fd)

    def events(self) -> Iterator[Event]:
        """Every acknowledged event, oldest first."""
        for events, _ in self.read():
            yield from events

    def tail(self, count: int) -> list[Event]:
        """The last *count* acknowledged events, oldest first; reads only the end of the file."""
        fd = self._open_to_read() if count > 0 else None
        if fd is None:
            return []
        try:
            with self._faults_as_errors():
                return read_tail(fd, find_ending(fd, self._head.read()).position.offset, count)
        finally:
            os.close(fd)

    # --- below the face ----------------------------------------------------------------------

    def _open_to_read(self) -> int | None:
        try:
            return os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            self._check_never_begun()
            return None
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be read: {error.strerror}") from None

    def _check_never_begun(self) -> None:
        head = self._head.read()
        if head and head.size:
            what = f"the file is gone; its head remembers {head.seq + 1} lines"
            raise broken(self.path, Fault("missing", 0, 0, what))

    def _settle(self) -> None:
        """Make sure the file ends in the whole line the head names; move aside what is past it."""
        with _as_journal_error(self.path):
            if self._is_as_we_left_it():
                return
            self._reopen()
            if self._fd < 0:
                self._check_never_begun()
                self._end = self._next = START
                return
            head = self._head.read()
            with self._faults_as_errors():
                ending = find_ending(self._fd, head)
            self._end = self._next = ending.position
            if not self._end.seq:  # created by a writer that may have died before this
                sync_folder(self.path.parent)
            evidence = set_aside(self.path, self._fd, ending) if ending.leftover else None
            # A batch given up must not be taken, after a power cut, for one still under way.
            self._move_head(durable=bool(head and head.pending))
            if evidence:
                if self._end.seq:
                    self.stage(
                        "journal_recovered",
                        {
                            "set_aside_bytes": evidence.size,
                            "set_aside_sha256": evidence.sha256,
                            "kept_in": evidence.path.name,
                        },
                    )
                    self.commit()
                if self._on_recovery:
                    self._on_recovery(self.path, evidence)

    def _is_as_we_left_it(self) -> bool:
        if self._fd < 0 or self._end.seq == 0:
            return False
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        if there.st_size != self._end.offset or not os.path.samestat(there, os.fstat(self._fd)):
            return False
        if not self._head.is_as_written():
            return False  # another process wrote, even if the file looks the same again
        # Size alone would not show a line replaced by one of equal length.
        tail = b'"%b"}\n' % (self._end.parent_hash or "").encode()
        return os.pread(self._fd, len(tail), self._end.offset - len(tail)) == tail

    def _reopen(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(FileNotFoundError):
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND)

    def _create(self) -> None:
        with _as_journal_error(self.path):
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                sync_folder(self.path.parent)
            except OSError as error:
                self._poison = error
                raise

    def _write(self, batch: bytes) -> None:
        try:
            written = os.write(self._fd, batch)
            while written < len(batch):  # the disk is filling up; the next call says why
                written += os.write(self._fd, batch[written:])
        except OSError as error:
            self._undo_write(error)
            raise JournalWriteFailed(
                f"{self.path}: {error.strerror}; nothing was recorded",
                hint="make room, then run the command again",
            ) from None
        try:
            sync_data(self._fd)
        except OSError as error:
            self._poison = error
            raise JournalWriteFailed(
                f"{self.path}: could not be synced to the disk ({error.strerror})",
                hint="check the disk; the next process recovers from what is on it",
            ) from None

    def _undo_write(self, reason: OSError) -> None:
        try:
            os.ftruncate(self._fd, self._end.offset)
            sync_data(self._fd)
            # As in `_settle`: the batch noted there is given up.
            self._head.write(self._head_for(self._end), durable=True)
        except OSError:
            self._poison = reason

    def _move_head(self, *, pending: int = 0, durable: bool = False) -> None:
        try:
            self._head.write(self._head_for(self._end, pending), durable=durable)
        except OSError as error:
            self._poison = error
            raise JournalWriteFailed(
                f"{self.path.with_suffix('.head')}: could not be written ({error.strerror})",
                hint="check the disk; the next process recovers from what is on it",
            ) from None

    def _birth(self) -> dict[str, Any]:
        origin = self._origin() if callable(self._origin) else self._origin
        return {"journal": self.name, "format": 1, "origin": origin or {}, "id": uuid4().hex}

    def _head_for(self, end: Position, pending: int = 0) -> Head:
        file = file_id(os.fstat(self._fd))
        return Head(end.seq - 1, end.parent_hash, end.offset, pending, file, boot_id())

    @contextlib.contextmanager
    def _faults_as_errors(self) -> Iterator[None]:
        try:
            yield
        except FaultFound as found:
            raise broken(self.path, found.fault) from None


class _Ticket:
    """One thread's batch while it waits to be committed."""

    def __init__(self, drafts: list[Draft]) -> None:
        self.drafts = drafts
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.done = False


def broken(path: Path, fault: Fault) -> JournalBroken:
    """The error that tells a person about *fault*."""
    place = f"{path}:{fault.line}" if fault.line else str(path)
    good = (
        "1 line before it stands"
        if fault.good_lines == 1
        else (f"{fault.good_lines} lines before it stand")
    )
    stand = f"; {good}" if fault.line else ""
    return JournalBroken(
        f"{place}: {fault.kind}: {fault.what}{stand}",
        hint="run `audit hashchain`; restore the file from a copy that verifies",
    )


def _interrupted(path: Path) -> JournalWriteFailed:
    return JournalWriteFailed(f"{path}: interrupted while writing; look whether it was recorded")


@contextlib.contextmanager
def _as_journal_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalWriteFailed(
            f"{path}: cannot be written: {error.strerror}",
            hint="check the folder's permissions and free space",
        ) from None
