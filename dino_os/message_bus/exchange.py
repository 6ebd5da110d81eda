"""
Where messages come in for the subscribers of this process, whoever published them.

One for each journal and process: all bus objects share it.  Each line of the journal is taken in
once, in order, by whoever notices it first: the thread that published, or the one that listens for
what other processes publish.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.errors import DinoError
from dino_os.message_bus.following import Follower
from dino_os.message_bus.handlers import Callback
from dino_os.message_bus.listener import Listener
from dino_os.message_bus.stored import Stored, is_message, stored
from dino_os.message_bus.subscriptions import Receiver, Subscriptions
from engines.journal import Event, Position, RecordedJournal

_PATIENCE_S = 1.0


@dataclass(slots=True)
class Said:
    """
    A message that this process recorded.

    Attributes:
        depth: How many messages, published by callbacks, led to it; itself counted.
        receivers: Who hears it here.
    """

    event: Event
    depth: int
    receivers: tuple[Receiver, ...] = ()

    @property
    def seq(self) -> int:
        return int(self.event["seq"])


@dataclass(slots=True)
class _Awaited:
    """
    Messages that the threads which published them are about to have handled.

    Attributes:
        since: When the last of them came in.
    """

    messages: int = 0
    since: float = 0.0


class _Intake(Follower):
    """Puts each message into the inboxes of those who hear it."""

    def __init__(self, journal: RecordedJournal, place: Position, hearing: Subscriptions) -> None:
        super().__init__(journal, place)
        self.expected: dict[int, Said] = {}
        self.awaited: dict[Receiver, _Awaited] = {}
        self._hearing = hearing

    def line(self, event: Event) -> None:
        if not is_message(event):
            return
        said = self.expected.pop(event["seq"], None)
        receivers = self._hearing.hearing(event["channel"])
        if receivers:
            message = stored(event)
            for receiver in receivers:
                receiver.put(message, said.depth if said else 1)
        if said:
            said.receivers = receivers
            for receiver in receivers:
                awaited = self.awaited.setdefault(receiver, _Awaited())
                awaited.messages += 1
                awaited.since = time.monotonic()

    def is_awaited(self, receiver: Receiver) -> bool:
        """Whether a thread that published is about to have it go on."""
        awaited = self.awaited.get(receiver)
        # It may have been interrupted.
        return awaited is not None and time.monotonic() - awaited.since < _PATIENCE_S

    def release(self, receivers: Sequence[Receiver]) -> None:
        """One message that each had was handled."""
        for receiver in receivers:
            if awaited := self.awaited.get(receiver):
                awaited.messages -= 1
                if awaited.messages <= 0:
                    del self.awaited[receiver]


class Exchange:
    """
    The subscribers of this process to the journal at *path*.

    Args:
        answer: Publishes an answer to a message.
        clean: What may be shown of an error's text.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[Stored, Any], object],
        clean: Callable[[str], str] = str,
    ) -> None:
        self.subscriptions = Subscriptions(answer, clean)
        self._journal = RecordedJournal(path)
        self._lock = threading.Lock()
        self._intake: _Intake | None = None
        self._reported = ""
        self._wrote = False  # this process did, since others were last looked for
        self.listener = Listener(self._journal.head.path, self._look)

    # --- who listens -------------------------------------------------------------------------

    def subscribe(self, subject: str, callback: Callback) -> str:
        new = self.subscriptions.subscription(subject, callback)
        self.attach(new)
        return new.id

    def attach(self, receiver: Receiver) -> None:
        """Have *receiver* hear what is published from now on, by any process."""
        with self._lock:
            if self._intake is None or not self.subscriptions:
                self._intake = _Intake(
                    self._journal, self._journal.acknowledged(), self.subscriptions
                )
            else:
                self._intake.catch_up()
            self.subscriptions.attach(receiver)
        self.listener.start()

    def detach(self, receiver: Receiver) -> bool:
        """Whether it was there."""
        return self.subscriptions.detach(receiver)

    def close(self) -> None:
        """Nobody listens any more."""
        self.subscriptions.clear()
        self.listener.close()

    # --- what comes in -----------------------------------------------------------------------

    def expect(self, said: Sequence[Said]) -> None:
        """They are about to be written.  Whoever takes them in will know what they are."""
        with self._lock:
            # Where nobody listens nothing is read.
            if self._intake and self.subscriptions:
                self._intake.expected |= {one.seq: one for one in said}

    def take(self, begin: Position, said: Sequence[Said], end: Position) -> None:
        """They were written, and lie between *begin* and *end*; calls nobody yet."""
        with self._lock:
            if self._intake is None or not self.subscriptions:
                return
            try:
                self._intake.take(begin, [one.event for one in said], end)
                self._wrote = True
            except DinoError as error:  # what was published is on record all the same
                self._fall_out(self._intake, error)
        self.withdraw(said)

    def settle(self, said: Sequence[Said]) -> None:
        """Have them handled, in this thread where no other is at it."""
        last = {receiver: one.seq for one in said for receiver in one.receivers}
        try:
            for receiver, seq in last.items():
                receiver.settle(seq)
        finally:
            with self._lock:
                if self._intake:
                    for one in said:
                        self._intake.release(one.receivers)

    def withdraw(self, said: Sequence[Said]) -> None:
        """They are expected no more."""
        with self._lock:
            if self._intake:
                for one in said:
                    self._intake.expected.pop(one.seq, None)

    def _look(self) -> bool | None:
        """
        Take in what others wrote, and have it handled.

        Returns:
            Whether it was others who wrote; None where nobody listens.
        """
        with self._lock:
            if self._intake is None or not self.subscriptions:
                return None
            ours, self._wrote = self._wrote, False
            before = self._intake.place.seq
            try:
                self._catch_up(self._intake)
            except DinoError as error:
                self._fall_out(self._intake, error)
            now = self._intake.place.seq
            free = [r for r in self.subscriptions.all() if not self._intake.is_awaited(r)]
        for receiver in free:
            receiver.settle(now - 1, wait=False)
        return now > before or not ours

    def _catch_up(self, intake: _Intake) -> None:
        head = self._journal.head.read()
        if head and head.seq + 1 == intake.place.seq:
            return
        if head is None or head.seq < intake.place.seq:  # was it put back from a copy?
            end = self._journal.acknowledged()
            if end.seq < intake.place.seq:
                intake.place = end
        intake.catch_up()

    def _fall_out(self, intake: _Intake, error: DinoError) -> None:
        """Say that nothing can be read; behind another past than was read, begin at its end."""
        with contextlib.suppress(DinoError):
            if not self._journal.holds(intake.place):
                intake.place = self._journal.acknowledged()
        if str(error) != self._reported:
            self._reported = str(error)
            print(f"dino: nothing is heard of the bus: {error}", file=sys.stderr)  # noqa: T201


_exchanges: dict[Path, Exchange] = {}
_making = threading.Lock()


def exchange_of(
    path: Path, answer: Callable[[Stored, Any], object], clean: Callable[[str], str] = str
) -> Exchange:
    """The one exchange of this process for the journal at *path*."""
    with _making:
        if path not in _exchanges:
            _exchanges[path] = Exchange(path, answer, clean)
        return _exchanges[path]


def forget() -> None:
    """End every subscription of this process."""
    for path in list(_exchanges):
        _exchanges.pop(path).close()


def _forked() -> None:
    """They are the parent's, and so may be who holds the lock."""
    global _making  # noqa: PLW0603
    _exchanges.clear()
    _making = threading.Lock()


os.register_at_fork(after_in_child=_forked)
atexit.register(forget)  # no callback is to run while the interpreter is taken apart
