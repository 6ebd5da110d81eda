"""Work ahead: what comes next is made while what came last is in use."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()
_LOOK_S = 0.1  # so often one with no room for its item looks whether it is still wanted
_END_S = 2.0


def ahead(items: Iterator[T], *, idle_s: float | None = None) -> Generator[T | None]:
    """
    *items* in their order, the next one made beforehand in a thread of its own.

    An error of theirs is raised where it would have been.  When this is closed, so are they.

    Args:
        idle_s: When none has come for so long, None is yielded.
    """
    lane: Queue[T | object] = Queue(1)
    left = threading.Event()

    def put(item: object) -> None:
        while not left.is_set():
            with suppress(Full):
                lane.put(item, timeout=_LOOK_S)
                return

    def fill() -> None:
        last: object = _END
        try:
            for item in items:
                put(item)
                if left.is_set():
                    break
        except BaseException as error:  # noqa: BLE001  raised on the other side
            last = _Raised(error)
        finally:
            if close := getattr(items, "close", None):
                close()
            put(last)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield from _taken(lane, idle_s)
    finally:
        left.set()
        # It ends by itself; one that is in the middle of a request is not waited for.
        thread.join(_END_S)


def _taken(lane: Queue[T | object], idle_s: float | None) -> Iterator[T | None]:
    while True:
        try:
            item = lane.get(timeout=idle_s)
        except Empty:
            yield None
            continue
        if item is _END:
            return
        if isinstance(item, _Raised):
            raise item.error
        yield cast("T", item)


class _Raised:
    """An error on its way to the other side."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
