"""Work ahead: what comes next is made while what came last is in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Generic, Self, TypeVar, cast

T = TypeVar("T")
_END = object()
_LOOK_S = 0.1  # so often one with no room for its item looks whether it is still wanted
_END_S = 2.0


class Ahead(Generic[T]):
    """
    *items* in their order, the next one made beforehand in a thread of its own, from now on.

    An error of theirs is raised where it would have been.  When this is closed, so are they.

    Args:
        idle_s: When none has come for so long, None is given.
    """

    def __init__(self, items: Iterator[T], *, idle_s: float | None = None) -> None:
        self._lane: Queue[T | object] = Queue(1)
        self._idle_s = idle_s
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(items,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T | None:
        if self._left.is_set():
            raise StopIteration
        try:
            item = self._lane.get(timeout=self._idle_s)
        except Empty:
            return None
        if item is _END or isinstance(item, _Raised):
            self.close()
        if item is _END:
            raise StopIteration
        if isinstance(item, _Raised):
            raise item.error
        return cast("T", item)

    def close(self) -> None:
        """Make no more of them."""
        self._left.set()
        # It ends by itself; one that is in the middle of a request is not waited for.
        self._thread.join(_END_S)

    def _fill(self, items: Iterator[T]) -> None:
        last: object = _END
        try:
            for item in items:
                self._put(item)
                if self._left.is_set():
                    break
        except BaseException as error:  # noqa: BLE001  raised on the other side
            last = _Raised(error)
        finally:
            if close := getattr(items, "close", None):
                close()
            self._put(last)

    def _put(self, item: object) -> None:
        while not self._left.is_set():
            with suppress(Full):
                self._lane.put(item, timeout=_LOOK_S)
                return


class _Raised:
    """An error on its way to the other side."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
