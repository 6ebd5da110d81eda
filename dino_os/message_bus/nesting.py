"""How deep this thread is in callbacks that publish to callbacks that publish."""

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


def enter(deep: int) -> tuple[int, int]:
    """Go into the callback of a message that *deep* messages led to, itself counted."""
    before = depth(), calls()
    _here.depth, _here.calls = deep, before[1] + 1
    return before


def leave(before: tuple[int, int]) -> None:
    """Go back to what `enter` gave."""
    _here.depth, _here.calls = before


@contextlib.contextmanager
def within(deep: int) -> Iterator[None]:
    """As `enter`, and `leave` behind it."""
    before = enter(deep)
    try:
        yield
    finally:
        leave(before)


def check(channel: str) -> None:
    """
    Refuse a message that answers an answer to an answer … without end.

    Raises:
        MessageBusError: It would be one too many.
    """
    if depth() >= DEEPEST:
        raise MessageBusError(
            f"{channel!r}: messages published by callbacks are nested {DEEPEST} deep",
            hint="do two subscribers answer each other?",
        )
