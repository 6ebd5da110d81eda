"""
Handling the messages of a durable subscription or a queue group, in this process.

    claim a few ──▶ handle one after the other ──▶ say what became of them, and claim the next

One thread for each subscription, so that its messages are handled in their order.  Whatever is
killed, and wherever: what was not recorded as settled comes again, here or at another member.
While a handler runs, another thread gives signs of life for it, tells what is done already, and
gives what still waits behind a slow one to others.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import uuid4

from dino_os.errors import DinoError, NotFound
from dino_os.message_bus import nesting
from dino_os.message_bus.claims import Claimed, Claims, Settled
from dino_os.message_bus.delivery import Delivery
from dino_os.message_bus.failure import error_text
from dino_os.message_bus.members import MemberLost
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.terms import Claim, Refusal
from engines import checks

_MOST = 256  # that are claimed at once
_QUICK_S, _LONG_S = 0.02, 0.1  # for a batch
_PATIENCE_S = 1.0  # with a batch, before others get what waits in it
_BEATS = 3  # signs of life within the time after which one is missed
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Work(Protocol):
    """What is done with each message."""

    def handle(self, delivery: Delivery) -> None:
        """
        Handle it.

        Raises:
            Exception: It failed.  Where that has `final` it is not tried again, and where it has
                `retry_after_s` it is after so many seconds (as `RetryLater` and `Fatal` have).
        """

    def report(self, channel: str, error: BaseException) -> None:
        """Tell somebody that it failed."""


class Consumer:
    """
    One member of a subscription; it works until it is ended.

    Attributes:
        callback: What it was subscribed with.

    Args:
        subject: What it is subscribed to.
        explicit: Whether a message is settled by what the handler says, not by its return.
        backoff_s: How long to wait before a message that failed once, twice… is tried again, half
            of it at least; the last holds for all further.
        ack_wait_s: How long a message may go without a sign of life.
    """

    counts = False  # among those whom `publish` reached

    def __init__(
        self,
        subject: str,
        claims: Claims,
        callback: Callable[..., object],
        work: Work,
        minder: Minder,
        *,
        explicit: bool,
        backoff_s: Sequence[float],
        ack_wait_s: float,
        answer: Callable[[Stored, object], object] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.id = uuid4().hex
        self.subject = subject
        self.beat_s = ack_wait_s / _BEATS
        self._claims = claims
        self.callback = callback
        self.work = work
        self._minder = minder
        self._explicit = explicit
        self._backoff_s = backoff_s
        self._answer = answer
        self._rng = rng or random.Random()  # noqa: S311  it spreads load, and hides nothing
        self._guard = threading.Lock()
        self._poked = threading.Event()
        self._settled = Settled()
        self._waiting: deque[Claimed] = deque()
        self._current: Claim | None = None
        self._since = self._told = 0.0  # when settled ones, and a sign of life, were told last
        self._most = 1
        self._pause_s = 0.0  # since the record could not be written
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"bus {subject}", daemon=True)

    def start(self) -> None:
        """
        Join, and begin.

        Raises:
            DinoError: It cannot join.
        """
        self._claims.join()
        self._minder.add(self)
        self._thread.start()

    def put(self, stored: Stored, depth: int) -> None:  # noqa: ARG002  what it is, is on record
        """There is a message."""
        self._poked.set()

    def settle(self, seq: int, *, wait: bool = True) -> None:
        """Nobody who publishes waits for it."""

    def end(self) -> None:
        """Begin nothing more, and leave once what is under way has ended."""
        self._ended = True
        self._poked.set()

    def wait(self, within_s: float) -> None:
        """Until it has left, or for so long; within its own handler not at all."""
        if threading.current_thread() is not self._thread:
            self._thread.join(within_s)

    def note(self, settled: Settled) -> None:
        """Keep what became of a message until it is recorded."""
        with self._guard:
            self._settled.add(settled)
        self._poked.set()

    def renew(self, claims: Sequence[Claim]) -> None:
        """Give a sign of life."""
        self._told = time.monotonic()
        with contextlib.suppress(DinoError, OSError):  # then it is found when it is settled
            self._claims.renew(claims)

    @property
    def is_busy(self) -> bool:
        return self._current is not None

    def mind(self) -> None:
        """Look after what is under way; called now and then by another thread."""
        now = time.monotonic()
        slow = self.is_busy and now - self._since > min(_PATIENCE_S, self.beat_s)
        shared = slow and self._claims.is_shared()
        with self._guard:
            said = Settled()
            if slow:
                said, self._settled = self._settled, said
                self._since = now
            if shared:
                said.returned += [claim for _, claim in self._waiting]
                self._waiting.clear()
            held = [claim for _, claim in self._waiting]
            if self._current:
                held.append(self._current)
        if said:
            self._tell(said)
        if held and now - self._told >= self.beat_s:
            self.renew(held)

    def _tell(self, said: Settled) -> None:
        """Record what became of messages while a handler runs; what fails is said again later."""
        try:
            self._claims.exchange(said, 0)
        except NotFound:  # it counts no more, as the thread itself will find
            return
        except Exception as error:  # noqa: BLE001  nobody sees a thread end
            self._keep(said, error)

    def _keep(self, said: Settled, error: Exception) -> None:
        """Have it said again; where it may be for its words that it cannot be, without them."""
        if isinstance(error, ValueError | TypeError):
            said.refused = [
                Refusal(one.claim, _PAUSE_S, "it failed; why cannot be recorded", one.final)
                for one in said.refused
            ]
        with self._guard:
            self._settled.add(said)

    # --- in its own thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._ended:
                self._take_turn()
        finally:
            with contextlib.suppress(Exception):  # what is not recorded comes again
                self._claims.exchange(self._settled, 0)
            with contextlib.suppress(Exception):
                self._claims.leave()
            self._minder.remove(self)

    def _take_turn(self) -> None:
        self._poked.clear()
        with self._guard:
            said, self._settled = self._settled, Settled()
        batch = self._say(said, self._most)
        if batch:
            self._handle_all(batch)
        elif not self._settled or self._pause_s:
            self._poked.wait(self._pause_s or self._claims.pause_s())

    def _say(self, said: Settled, most: int) -> list[Claimed]:
        """Record what became of messages and get the next; what fails is said again later."""
        try:
            batch = self._claims.exchange(said, most)
        except MemberLost:
            with contextlib.suppress(DinoError, OSError):  # as long as it cannot, it finds out here
                self._claims.join()
        except NotFound as error:
            self._ended = True
            self._report(self.subject, error)
        except Exception as error:  # noqa: BLE001  nobody sees a thread end
            self._keep(said, error)
            self._pause_s = min(max(2 * self._pause_s, _PAUSE_S), _LONGEST_PAUSE_S)
            self._report(self.subject, error)
        else:
            self._pause_s = 0.0
            return batch
        return []

    def _handle_all(self, batch: list[Claimed]) -> None:
        began = self._since = self._told = time.monotonic()
        with self._guard:
            self._waiting.extend(batch)
        while one := self._begin():
            try:
                self._handle(*one)
            finally:
                self._current = None
        took = time.monotonic() - began
        if took < _QUICK_S:
            self._most = min(2 * self._most, _MOST)
        elif took > _LONG_S:
            self._most = max(self._most // 2, 1)

    def _begin(self) -> Claimed | None:
        with self._guard:
            if self._ended or not self._waiting:
                self._settled.returned += [claim for _, claim in self._waiting]
                self._waiting.clear()
                return None
            one = self._waiting.popleft()
            self._current = one.claim
        self._minder.look(self)
        return one

    def _handle(self, stored: Stored, claim: Claim) -> None:
        settling = _Settling(self, claim)
        delivery = Delivery(stored, self._answer, claim.attempt, settling)
        try:
            with nesting.within(1):
                self.work.handle(delivery)
        except BaseException as error:  # noqa: BLE001  it is that message's alone
            self._report(stored.channel, error)
            settling.refuse(self._refusal(claim, error))
        else:
            if not self._explicit:
                settling.ack()

    def _report(self, channel: str, error: BaseException) -> None:
        with contextlib.suppress(Exception):  # standard error may be closed
            self.work.report(channel, error)

    def _refusal(self, claim: Claim, error: BaseException) -> Refusal:
        final = False
        try:
            final = bool(getattr(error, "final", False))
            delay = checks.finite(getattr(error, "retry_after_s", None), "retry_after_s")
        except Exception:  # noqa: BLE001  it says nothing of it, or nothing that can be
            most = self._backoff_s[min(claim.failures, len(self._backoff_s) - 1)]
            delay = self._rng.uniform(most / 2, most)
        return Refusal(claim, delay, error_text(error), final)


class _Settling:
    """What a handler says of its message; the first word holds."""

    def __init__(self, consumer: Consumer, claim: Claim) -> None:
        self._consumer = consumer
        self._claim = claim
        self._guard = threading.Lock()
        self._said = False

    def ack(self) -> None:
        self._say(Settled(acked=[self._claim]))

    def nak(self, delay_s: float) -> None:
        delay = checks.finite(delay_s, "delay_s")
        self.refuse(Refusal(self._claim, delay, "its handler refused it"))

    def refuse(self, refusal: Refusal) -> None:
        self._say(Settled(refused=[refusal]))

    def in_progress(self) -> None:
        if not self._said:
            self._consumer.renew([self._claim])

    def _say(self, settled: Settled) -> None:
        with self._guard:
            if self._said:
                return
            self._said = True
        self._consumer.note(settled)


class Minder:
    """The thread that looks after the consumers of a process while their handlers run."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._consumers: list[Consumer] = []
        self._poked = threading.Event()
        self._runs = False

    def add(self, consumer: Consumer) -> None:
        with self._guard:
            self._consumers.append(consumer)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="bus minder", daemon=True).start()

    def remove(self, consumer: Consumer) -> None:
        with self._guard:
            self._consumers = [one for one in self._consumers if one is not consumer]
        self._poked.set()

    def look(self, consumer: Consumer) -> None:
        """*consumer* begins with a message; where that is soon overdue, do not wait a second."""
        if consumer.beat_s < _PATIENCE_S:
            self._poked.set()

    def _run(self) -> None:
        while consumers := self._those_there():
            beats = [consumer.beat_s / 2 for consumer in consumers if consumer.is_busy]
            self._poked.wait(min([_PATIENCE_S, *beats]))
            self._poked.clear()
            for consumer in consumers:
                consumer.mind()

    def _those_there(self) -> list[Consumer]:
        with self._guard:
            self._runs = bool(self._consumers)
            return [*self._consumers]
