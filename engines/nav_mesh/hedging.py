"""Attempts one after the other, or, where somebody waits too long, side by side."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_turn(attempts: Iterator[Callable[[], T]], hedge_s: float = 0.0) -> Iterator[T]:
    """
    What *attempts* come to, each begun when the one before has ended.

    Args:
        hedge_s: Begin the next also where so much time has passed; 0 never does.  Whoever has
            enough stops asking: what is still under way then ends by itself.
    """
    if hedge_s <= 0:
        for attempt in attempts:
            yield attempt()
        return
    ended: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()
    under_way, more = 0, True
    while True:
        attempt_ = next(attempts, None) if more else None
        if attempt_ is None:
            more = False
        else:
            under_way += 1
            threading.Thread(target=_run, args=(attempt_, ended), daemon=True).start()
        if not under_way:
            return
        try:
            outcome = ended.get(timeout=hedge_s if more else None)
        except queue.Empty:
            continue
        under_way -= 1
        yield outcome()


def _run(attempt: Callable[[], T], ended: queue.SimpleQueue[Callable[[], T]]) -> None:
    try:
        found = attempt()
    except BaseException as error:  # noqa: BLE001  raised by whoever waits
        failure = error

        def fail() -> T:
            raise failure

        ended.put(fail)
    else:
        ended.put(lambda: found)
