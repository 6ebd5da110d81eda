"""
Asking on a channel and waiting for the answer.

A request is a message that names the channel on which its answer is waited for, one of its own, and
until when.  Responders are a queue group: one of them gets it, and it does not begin with what
nobody waits for any more.  Where one of this process is free it answers in the thread that asks;
the request then names it, and no other responder heeds it.
"""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from dino_os.errors import InvalidInput, MessageBusError, RequestFailed, RequestTimedOut
from dino_os.message_bus import nesting
from dino_os.message_bus.consuming import Consumer
from dino_os.message_bus.delivery import Delivery
from dino_os.message_bus.exchange import Exchange, Said
from dino_os.message_bus.failure import error_text, goes_through
from dino_os.message_bus.handlers import Callback, Handler
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.publishing import Draft
from dino_os.message_bus.stored import Stored, stored
from dino_os.message_bus.subject import REPLIES, check_channel
from dino_os.message_bus.subscriptions import copied
from dino_os.wake import LOOK_EVERY_S, Wake
from engines import checks

DEADLINE, RESPONDER = "Dino-Deadline", "Dino-Responder"
"""Headers of a request: until when, in seconds since the epoch; and who alone is to answer."""
ERROR, ERROR_BY = "Dino-Error", "Dino-Error-By"
"""Headers of an answer that is none: what was wrong, and with whom."""

_LONGEST_S = 86_400.0
_OF_AN_ERROR = 300
_LOOK_AROUND_S = 1.0  # should what wakes be lost


class Sender(Protocol):
    """Where messages are recorded."""

    def say(self, drafts: list[Draft]) -> list[Said]:
        """Record them and have those handled who listen here; those that are new."""


def is_request(said: Stored) -> bool:
    """Whether it is for whoever responds, and not for one of them alone."""
    return said.reply_to is not None and RESPONDER not in said.headers


class Responding:
    """
    What a responder does with a request; one at a time, in whatever thread.

    Args:
        declared: The type of a channel's messages.
        clean: What may be kept of an error's text.
    """

    def __init__(
        self,
        callback: Callback,
        sender: Sender,
        messages: Messages,
        declared: Callable[[str], Any],
        *,
        clean: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clean = clean
        self._handler = Handler(callback, clean)
        self._sender = sender
        self._messages = messages
        self._declared = declared
        self._clock = clock
        self.turn = threading.RLock()

    def handle(self, delivery: Delivery) -> None:
        asked = delivery.stored
        with self.turn:
            if not (self._is_late(asked) or self._is_answered(delivery)):
                draft, is_sent = self.answer(delivery)
                if not is_sent:
                    self._sender.say([draft])

    def report(self, channel: str, error: BaseException) -> None:
        self._handler.report(channel, error)

    def answer(self, delivery: Delivery) -> tuple[Draft, bool]:
        """What the callback answers, or that it could not; and whether it has sent that itself."""
        asked = delivery.stored
        reply = _Reply(self._sender)
        delivery = replace(delivery, answer=reply.send)
        try:
            value = self._handler(asked.message, delivery, self._declared(asked.channel))
            return reply.end() or (answer_to(asked, value), False)
        except BaseException as error:
            if goes_through(error):
                raise
            self._handler.report(asked.channel, error)
            if sent := reply.end():
                return sent
            text = self._clean(error_text(error))
            text = ascii(text[:_OF_AN_ERROR])[1:-1]
            return answer_to(asked, None, {ERROR: text, ERROR_BY: self._handler.name}), False

    def _is_late(self, asked: Stored) -> bool:
        try:
            return self._clock() >= float(asked.headers.get(DEADLINE, "inf"))
        except ValueError:  # somebody wrote it by hand
            return False

    def _is_answered(self, delivery: Delivery) -> bool:
        """Whether one that was lost had come so far."""
        asked = delivery.stored
        if delivery.attempt == 1 or asked.reply_to is None:
            return False
        found = self._messages.after(asked.seq, asked.reply_to, sys.maxsize)
        return any(one.correlation == asked.correlation for one in found)


class _Reply:
    """What a callback answers before it returns; the first word holds, and is the only one."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._guard = threading.Lock()
        self._is_open = True
        self._sent: Draft | None = None

    def send(self, asked: Stored, value: Any) -> None:
        draft = answer_to(asked, value)
        with self._guard:
            if not self._is_open:
                raise MessageBusError(f"{asked.channel!r}: this request was answered already")
            self._is_open = False
        self._sender.say([draft])
        self._sent = draft

    def end(self) -> tuple[Draft, bool] | None:
        """What was sent; from now on nothing is."""
        with self._guard:
            self._is_open = False
        return (self._sent, True) if self._sent else None


def answer_to(asked: Stored, value: Any, headers: dict[str, str] | None = None) -> Draft:
    """
    *value* as the answer to that message.

    Raises:
        InvalidInput: It is no message.
    """
    return Draft.of(asked.reply_to or "", value, headers=headers, correlation=asked.correlation)


class Requests:
    """
    Asks in the name of this process.

    Args:
        head: The file that is written again behind whatever is recorded.
    """

    def __init__(
        self,
        sender: Sender,
        messages: Messages,
        exchange: Exchange,
        head: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sender = sender
        self._messages = messages
        self._exchange = exchange
        self._head = head
        self._clock = clock

    def request(self, channel: str, message: Any, timeout: float) -> Any:
        """
        What is answered on *channel* within *timeout* seconds.

        Raises:
            RequestTimedOut: Nothing was.
            RequestFailed: Whoever got it could not answer.
        """
        check_channel(channel)
        if not 0 < checks.finite(timeout, "timeout") <= _LONGEST_S:
            raise InvalidInput(f"timeout must be above 0 s and at most a day, found {timeout!r}")
        more = {"reply_to": f"{REPLIES}.{uuid4().hex}", "correlation": uuid4().hex}
        headers = {DEADLINE: f"{self._clock() + timeout:.6f}"}
        if responder := self._free_responder(channel):
            id_, responding = responder
            try:
                headers[RESPONDER] = id_
                draft = Draft.of(channel, message, headers=headers, **more)
                return self._ask_here(draft, responding)
            finally:
                responding.turn.release()
        return self._ask(Draft.of(channel, message, headers=headers, **more), timeout)

    # --- below the face ----------------------------------------------------------------------

    def _free_responder(self, channel: str) -> tuple[str, Responding] | None:
        """One of this process that is not busy, from now on in this thread's hands."""
        for receiver in self._exchange.subscriptions.hearing(channel):
            work = receiver.work if isinstance(receiver, Consumer) else None
            if isinstance(work, Responding) and work.turn.acquire(blocking=False):
                return receiver.id, work
        return None

    def _ask_here(self, draft: Draft, responding: Responding) -> Any:
        (said,) = self._sender.say([draft])
        asked = stored(said.event)
        asked = asked._replace(message=copied(asked.message))  # others have it too
        with nesting.within(said.depth):
            answer, is_sent = responding.answer(Delivery(asked))
        if not is_sent:
            self._sender.say([answer])
        return _value(asked.channel, copied(answer.message), answer.more.get("headers") or {})

    def _ask(self, draft: Draft, timeout: float) -> Any:
        until = time.monotonic() + timeout
        seen, replies = self._messages.end(), draft.more["reply_to"]
        wake = Wake(self._head.parent)
        try:
            self._sender.say([draft])
            while True:
                end = self._messages.end()
                for answer in self._messages.after(seen, replies, end - seen):
                    if answer.correlation == draft.more["correlation"]:
                        return _value(draft.channel, answer.message, answer.headers)
                seen = end
                left = until - time.monotonic()
                if left <= 0:
                    raise RequestTimedOut(
                        f"{draft.channel!r}: nobody answered within {timeout:g} s",
                        hint="does anybody respond to it, and is it still at work?",
                    )
                self._wait(wake, left)
        finally:
            wake.close()

    def _wait(self, wake: Wake, left_s: float) -> None:
        """Until something was written to the journal, or for so long."""
        until = time.monotonic() + min(left_s, _LOOK_AROUND_S)
        if wake.fd is None:
            time.sleep(min(left_s, LOOK_EVERY_S))
            return
        poll = select.poll()
        poll.register(wake.fd, select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            if poll.poll(left * 1000) and self._head.name in wake.changed():
                return


def _value(channel: str, message: Any, headers: dict[str, str]) -> Any:
    if ERROR in headers:
        by = headers.get(ERROR_BY, "whoever responds")
        raise RequestFailed(f"{channel!r}: {by} could not answer: {headers[ERROR]}")
    return message
