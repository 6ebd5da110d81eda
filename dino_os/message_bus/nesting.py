"""How deep this thread is in messages that were published because of messages."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from dino_os.errors import MessageBusError

DEEPEST = 32

_here = threading.local()


def depth() -> int:
    """How many messages led to the one whose callback runs in this thread; 0 outside of any."""
    return int(getattr(_here, "depth", 0))


def calls() -> int:
    """How many callbacks run in this thread, one within the other."""
    return int(getattr(_here, "calls", 0))


def enter(deep: int) -> tuple[int, int, bool]:
    """Go into the callback of a message that *deep* messages led to, itself counted."""
    before = depth(), calls(), _is_publishing()
    _here.depth, _here.calls, _here.publishing = deep, before[1] + 1, False
    return before


def leave(before: tuple[int, int, bool]) -> None:
    """Go back to what `enter` gave."""
    _here.depth, _here.calls, _here.publishing = before


@contextlib.contextmanager
def within(deep: int) -> Iterator[None]:
    """As `enter`, and `leave` behind it."""
    before = enter(deep)
    try:
        yield
    finally:
        leave(before)


@contextlib.contextmanager
def publishing() -> Iterator[None]:
    """
    This thread publishes, callbacks aside.

    Raises:
        MessageBusError: It does so already, and was interrupted: it holds what it would wait for.
    """
    if _is_publishing():
        raise MessageBusError(
            "this thread is publishing already, and was interrupted by what publishes now",
            hint="in a signal's handler leave the publishing to another thread",
        )
    try:
        _here.publishing = True
        yield
    finally:
        _here.publishing = False


def _is_publishing() -> bool:
    return bool(getattr(_here, "publishing", False))


@contextlib.contextmanager
def led_to(deep: int) -> Iterator[None]:
    """That many messages led to what this thread does, in no callback."""
    before = depth()
    _here.depth = deep
    try:
        yield
    finally:
        _here.depth = before


def check(channel: str) -> None:
    """
    Refuse a message that answers an answer to an answer … without end.

    Raises:
        MessageBusError: It would be one too many.
    """
    if depth() >= DEEPEST:
        raise MessageBusError(
            f"{channel!r}: messages that led to each other are nested {DEEPEST} deep",
            hint="do two subscribers answer each other, or does a skill hear what it says?",
        )
