"""
A journal: an append-only file of events that many processes share.

Owns the write path.  The order of a commit is the design:

    lock → make sure the file ends where the head says → (a batch: note in the head, durably, how
    far it will reach) → one write of whole lines → sync → COMMIT POINT → move the head → unlock

What fails before the commit point leaves the journal as it was.  A failed sync poisons the handle:
nothing more is written through it, and the next process recovers from what is on the disk.  A live
segment that has grown too large or too old is sealed right after the commit that made it so.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.durable import sync_data, sync_folder, write_all
from engines.errors import JournalWriteFailed
from engines.journal.failures import as_journal_error, interrupted
from engines.journal.group import Draft, Queue, Ticket
from engines.journal.head import Head, boot_id
from engines.journal.line import Event, seal
from engines.journal.reader import Block
from engines.journal.recorded import RecordedJournal
from engines.journal.recovery import SetAside, find_ending, set_aside
from engines.journal.rotation import Rotation, compress, start_next
from engines.journal.segment import (
    SEGMENT_STARTED,
    START,
    Position,
    Segment,
    open_live,
    sealed_before,
)


class Journal(RecordedJournal):
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
        rotation: When to go on in a new file; None never does.
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
        rotation: Rotation | None = None,
    ) -> None:
        super().__init__(path)
        self._origin = origin
        self._by = {"by": by} if by else {}
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s
        self._on_recovery = on_recovery
        self._rotation = rotation
        self._live: Segment | None = None
        self._end = START  # behind the last committed line, as this object knows it
        self._next = START  # behind the last staged line
        self._staged: list[bytes] = []
        self.wrote = False  # whether this object has committed anything
        self._poison: BaseException | None = None
        self._mutex = threading.RLock()
        self._depth = 0
        self._holder = 0  # the thread that holds the lock
        self._queue: Queue[Ticket] = Queue()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self.close()

    def close(self) -> None:
        self._close_live()
        self.head.close()

    @property
    def end(self) -> Position:
        """Behind the last event this object committed or, when locked, found."""
        return self._end

    def moved_on(self) -> bool:
        """Whether another object has written since this one knew the end; asked for cheaply."""
        live = self._live
        return live is None or live.end != self._end.offset or not live.is_at(self.path)

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
        ticket = Ticket(drafts)
        if self._holder == threading.get_ident():
            self._append_group([ticket])
        elif self._queue.falls_to(ticket):
            self._append_group([])
        if ticket.error:
            raise ticket.error
        return ticket.events

    def _append_group(self, group: list[Ticket]) -> None:
        """Append what *group* and all who wait by then have brought."""
        leads = not group
        try:
            with self.locked():
                if leads:
                    group += self._queue.take()
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
            group += self._queue.take() if leads else ()
            # Every thread that waits must learn of it, an interruption of this one included.
            failure = error if isinstance(error, Exception) else interrupted(self.path)
            for ticket in group:
                ticket.error = ticket.error or failure
            if failure is not error:
                raise
        finally:
            if leads:
                self._queue.step_down(group)

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
                with as_journal_error(self.path):
                    self.head.lock(self._lock_timeout_s)
            self._depth += 1
            self._holder = threading.get_ident()
            try:
                if self._depth == 1:
                    self._settle()
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._holder = 0
                    self.discard()
                    self.head.unlock()

    def stage(self, event_type: str, payload: Mapping[str, Any]) -> Event:
        """
        Seal an event behind those already staged and return it as a reader will see it.

        Only within `locked()`.  Nothing is written before `commit()`.
        """
        if self._next.seq == 0 and event_type != "journal_created":
            self.stage("journal_created", self._birth())
        here = self._next
        said = {**payload, **self._by} if self._by else payload
        sealed = seal(here.seq, event_type, self._clock(), here.parent_hash, said)
        self._staged.append(sealed.line)
        behind = here.offset + len(sealed.line)
        self._next = Position(here.seq + 1, sealed.event_hash, behind)
        return sealed.event

    def commit(self) -> None:
        """Make what was staged durable, all or none.  Only within `locked()`."""
        if not self._staged:
            return
        live = self._live or self._create()
        if not live.number:  # there was nothing in it that could say
            live = self._live = Segment.of(self.path, live.fd, self._staged[0])
        batch = b"".join(self._staged)
        if len(self._staged) > 1:
            # So that after a power cut half a batch is known for what it is.
            self._move_head(pending=self._next.offset, durable=True)
        self._write(live, batch)
        self.wrote = True
        self._staged.clear()
        self._end = self._next
        self._move_head()
        if self._rotation and self._rotation.is_due(live, self._end, self._clock()):
            self.rotate()

    def rotate(self) -> None:
        """
        Seal the live segment and go on in a new file.  Only within `locked()`, nothing staged.

        Where the folder cannot be changed nothing happens, and the next commit tries again.
        """
        live = self._live
        if live is None or self._end == live.begin:
            return
        mark = self._next
        self.stage(SEGMENT_STARTED, {"segment": live.number + 1, "offset": mark.offset})
        first_line = self._staged.pop()
        try:
            self._live = start_next(live, first_line)
        except OSError as error:
            self._next = mark
            if not live.is_at(self.path):
                self._poison = error  # who may have the last word on the folder is not known
            return
        live.close()
        self._end = self._next
        self._move_head()

    def compress_sealed(self) -> None:
        """
        Pack the sealed segments that are not packed yet.  Needs no lock: nobody writes to them.

        Raises:
            OSError: The disk did not take one; it stays as it was.
        """
        for sealed in sealed_before(self._live) if self._live else ():
            if not sealed.compressed:
                compress(sealed)

    def discard(self) -> None:
        """Forget what was staged and not committed."""
        self._staged.clear()
        self._next = self._end

    def blocks(self, start: Position = START) -> Iterator[Block]:
        # Under the lock nobody else can have written since.
        return iter(()) if self._depth and start == self._end else super().blocks(start)

    # --- below the face ----------------------------------------------------------------------

    def _settle(self) -> None:
        """Make sure the file ends in the whole line the head names; move aside what is past it."""
        with as_journal_error(self.path):
            if self._is_as_we_left_it():
                return
            if not self._live or not self._live.is_at(self.path):
                self._close_live()
                self._live = open_live(self.path, os.O_RDWR | os.O_APPEND)
            if self._live is None:
                self.check_never_begun()
                self._end = self._next = START
                return
            head = self.head.adopt()
            with self.faults_as_errors():
                ending = find_ending(self._live, head)
            self._end = self._next = ending.position
            if not self._end.seq:  # created by a writer that may have died before this
                sync_folder(self.path.parent)
            evidence = set_aside(self._live, ending) if ending.leftover else None
            if head != self._head_for(self._end):
                # A batch given up must not be taken, after a power cut, for one still under way.
                self._move_head(durable=bool(head and head.pending))
            if evidence:
                self._report(evidence)

    def _report(self, evidence: SetAside) -> None:
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
        live, end = self._live, self._end
        if live is None or end.seq == 0 or self.moved_on():
            return False
        if not self.head.is_as_written():
            return False  # another process wrote, even if the file looks the same again
        # Size alone would not show a line replaced by one of equal length.
        tail = b'"%b"}\n' % (end.parent_hash or "").encode()
        return live.read(len(tail), end.offset - len(tail)) == tail

    def _close_live(self) -> None:
        if self._live:
            self._live.close()
            self._live = None

    def _create(self) -> Segment:
        with as_journal_error(self.path):
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
            fd = os.open(self.path, flags, 0o644)
            self._live = Segment.of(self.path, fd, self._staged[0])
            try:
                sync_folder(self.path.parent)
            except OSError as error:
                self._poison = error
                raise
            return self._live

    def _write(self, live: Segment, batch: bytes) -> None:
        try:
            write_all(live.fd, batch)
        except OSError as error:
            self._undo_write(live, error)
            raise JournalWriteFailed(
                f"{self.path}: {error.strerror}; nothing was recorded",
                hint="make room, then run the command again",
            ) from None
        try:
            sync_data(live.fd)
        except OSError as error:
            self._poison = error
            raise JournalWriteFailed(
                f"{self.path}: could not be synced to the disk ({error.strerror})",
                hint="check the disk; the next process recovers from what is on it",
            ) from None

    def _undo_write(self, live: Segment, reason: OSError) -> None:
        try:
            live.cut(self._end.offset)
            # As in `_settle`: the batch noted there is given up.
            self.head.write(self._head_for(self._end), durable=True)
        except OSError:
            self._poison = reason

    def _move_head(self, *, pending: int = 0, durable: bool = False) -> None:
        try:
            self.head.write(self._head_for(self._end, pending), durable=durable)
        except OSError as error:
            self._poison = error
            raise JournalWriteFailed(
                f"{self.path.with_suffix('.head')}: could not be written ({error.strerror})",
                hint="check the disk; the next process recovers from what is on it",
            ) from None

    def _birth(self) -> dict[str, Any]:
        origin = self._origin() if callable(self._origin) else self._origin
        return {
            "journal": self.name,
            "format": 1,
            "origin": origin or {},
            "id": os.urandom(16).hex(),
        }

    def _head_for(self, end: Position, pending: int = 0) -> Head:
        file = self._live.file if self._live else ""
        return Head(end.seq - 1, end.parent_hash, end.offset, pending, file, boot_id())
