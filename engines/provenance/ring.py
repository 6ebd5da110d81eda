"""A ring buffer: the last few items in fixed room, and how many fell out before they were taken."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """
    Items on their way from one side to another; threads may share it.

    Args:
        capacity: The most that wait; of more the oldest fall out.

    Attributes:
        dropped: How many fell out, ever.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self._items: deque[T] = deque(maxlen=capacity)
        self._guard = threading.Lock()

    def push(self, item: T) -> None:
        with self._guard:
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)

    def take(self, most: int) -> list[T]:
        """The oldest items, up to *most*; they are then no longer in it."""
        with self._guard:
            return [self._items.popleft() for _ in range(min(most, len(self._items)))]

    def give_back(self, items: list[T]) -> None:
        """Put in again, before all others, what was taken and came to nothing."""
        with self._guard:
            room = (self._items.maxlen or 0) - len(self._items)
            kept = items[max(len(items) - room, 0) :]
            self.dropped += len(items) - len(kept)
            self._items.extendleft(reversed(kept))

    def __len__(self) -> int:
        return len(self._items)
