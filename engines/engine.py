"""
The one pattern of every engine: commands decide and record, `apply` folds, queries read.

    class Counter(Engine):
        def reset(self) -> None:                       # the state before any event
            self.total = 0

        def add(self, amount: int) -> None:            # a command: validate, decide, record
            with self.deciding():
                self.record("added", amount=amount)

        def apply_added(self, event: Event) -> None:   # nothing else changes state
            self.total += event["amount"]

An engine's state is a fold over its own journal.  A command holds the journal's lock while it
decides, after catching up with what other processes wrote; what it records becomes durable, all or
none, when the outermost `deciding()` is left.  Without a journal the engine works the same and
lasts as long as its process.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from engines.errors import JournalError
from engines.journal import START, Event, Journal, Position, VolatileJournal
from engines.snapshot import Snapshot, SnapshotFile

_APPLY = "apply_"
# Folding so many takes about a tenth of a second; saving a state about as long.
_SNAPSHOT_EVERY = 10_000


class Engine(ABC):
    """
    Base of the engines.

    Args:
        journal: Where the events go and the state comes from; None keeps them in memory.
        clock: Seconds since the epoch; decisions take the time from nowhere else.
    """

    _appliers: ClassVar[dict[str, str]] = {}

    snapshot_every = 0
    """Behind how many events a state is worth saving, where it is a large one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._appliers = {
            name.removeprefix(_APPLY): name for name in dir(cls) if name.startswith(_APPLY)
        }

    def __init__(
        self, journal: Journal | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self.journal: Journal | VolatileJournal = journal or VolatileJournal(clock=clock)
        self._guard = threading.RLock()
        self._depth = 0
        self._folded_to = START
        self._saved_at = 0
        others = set(vars(self))
        self.reset()
        self._state_names = vars(self).keys() - others
        self.refresh()

    @abstractmethod
    def reset(self) -> None:
        """Set the state that no event has touched yet."""

    def refresh(self) -> None:
        """
        Catch up with what other processes recorded since.

        Raises:
            JournalBroken: A line does not stand; the state is then that of the lines before it.
        """
        with self._guard:
            if self._folded_to == START:
                self._restore()
            try:
                self._fold()
            except (JournalError, OSError):
                if self.journal.begin().seq <= self._folded_to.seq:
                    raise
                # Pruned further than was folded: on from what was kept of those lines.
                self.reset()
                self._folded_to = START
                self._restore()
                self._fold()
            self._save_if_due()

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """
        Hold the lock, caught up; on leaving commit what was recorded, on an error none of it.

        A nested use joins the outer one.
        """
        with self._guard:
            if self._depth:
                yield
                return
            with self.journal.locked():
                self.refresh()
                self._depth += 1
                try:
                    yield
                    self.journal.commit()
                    self._folded_to = self.journal.end
                    self._save_if_due()
                except BaseException:
                    self._forget()
                    raise
                finally:
                    self._depth -= 1

    def record(self, event_type: str, **payload: Any) -> Event:
        """Record an event and fold it into the state.  Only within `deciding()`."""
        if not self._depth:
            raise RuntimeError("record() belongs inside `with self.deciding():`")
        event = self.journal.stage(event_type, payload)
        self._apply(event)
        return event

    def commit_so_far(self) -> None:
        """
        Make durable what was recorded, and go on deciding.  Only within `deciding()`.

        For commands whose events are too many to be staged at once; the last of them is the one
        without which those before it do not count.
        """
        self.journal.commit()
        self._folded_to = self.journal.end

    def restored(self) -> None:  # noqa: B027  few derive anything
        """Set again what is derived from state that came from a snapshot."""

    def fold_settings(self) -> tuple[Any, ...]:
        """The settings on which the folded state depends: with others a snapshot is of no use."""
        return ()

    def verify_hash_chain(self) -> bool:
        """Whether the journal on disk verifies from its first byte to its last."""
        from engines.journal import verify  # noqa: PLC0415  auditing is not part of starting up

        try:
            return not isinstance(self.journal, Journal) or verify(self.journal.path).ok
        except FileNotFoundError:  # nothing was ever recorded
            return True

    def _apply(self, event: Event) -> None:
        # Types without a method are the journal's own, or a newer version's: not this fold's.
        if name := self._appliers.get(event["event_type"]):
            getattr(self, name)(event)

    def save_snapshot(self) -> None:
        """
        Keep the state as it is now beside the journal.

        Raises:
            OSError: The disk did not take it.
        """
        path = self.journal.snapshot_path
        if path and self.journal.durable:
            self._saved_at = self._folded_to.seq
            state = {name: getattr(self, name) for name in self._state_names}
            SnapshotFile(path).save(self._maker(), Snapshot(self._folded_to, state))

    def check_snapshot(self) -> str | None:
        """
        Fold the journal up to the snapshot beside it; say how the two differ, or None.

        Raises:
            JournalBroken: A line before it does not stand.
        """
        path = self.journal.snapshot_path
        found = SnapshotFile(path).load(self._maker) if path else None
        if found is None:  # or another version's, from which nobody goes on
            return None
        with self._guard:
            if not self.journal.holds(found.position):
                return f"it stands for line {found.position.seq}, which is not there"
            try:
                self.reset()
                self._folded_to = START
                self._begin_after_pruned()
                self._fold(until=found.position)
                folded = {name: getattr(self, name) for name in self._state_names}
                return None if folded == found.state else "the lines fold to another state"
            finally:
                self._forget()

    def _fold(self, until: Position | None = None) -> None:
        """Apply what lies behind the place that was folded to, no further than *until*."""
        for events, behind in self.journal.read(self._folded_to):
            beyond = max(behind.seq - until.seq, 0) if until else 0
            for event in events[: max(len(events) - beyond, 0)]:
                self._apply(event)
            self._folded_to = until if until and beyond else behind
            if beyond:
                return

    def _restore(self) -> None:
        """Begin with the snapshot, or with what was kept of lines that were pruned."""
        path = self.journal.snapshot_path
        if path and not self._begin_with(SnapshotFile(path).load(self._maker)):
            self._begin_after_pruned()

    def _begin_after_pruned(self) -> None:
        path = self.journal.snapshot_path
        if path and self.journal.begin() != START:
            self._begin_with(SnapshotFile(path.with_suffix(".base")).load(None))

    def _begin_with(self, found: Snapshot | None) -> bool:
        if (
            found is None
            or found.state.keys() != self._state_names
            or not self.journal.holds(found.position)
        ):
            return False
        vars(self).update(found.state)
        self.restored()
        self._folded_to = found.position
        self._saved_at = found.position.seq
        return True

    def _save_if_due(self) -> None:
        if self._folded_to.seq - self._saved_at >= max(self.snapshot_every, _SNAPSHOT_EVERY):
            self._saved_at = self._folded_to.seq  # where it cannot be saved, not again at once
            with contextlib.suppress(OSError, TypeError):  # without a snapshot it is as good
                self.save_snapshot()

    def _maker(self) -> str:
        """What tells the code and the settings that fold this engine's state."""
        file = Path(sys.modules[type(self).__module__].__file__ or "")
        # One module, or the package that it is a part of.
        parts = [file] if file.parent.name == "engines" else sorted(file.parent.glob("*.py"))
        code = b"".join(part.read_bytes() for part in parts)
        settings = repr(self.fold_settings())
        return f"{type(self).__qualname__} {sha256(code + settings.encode()).hexdigest()}"

    def _forget(self) -> None:
        """Drop what was applied but not committed by folding anew."""
        if self.journal.durable:
            self.journal.discard()
            self.reset()
            self._folded_to = START
            with contextlib.suppress(Exception):  # the error under way is the one to report
                self.refresh()
