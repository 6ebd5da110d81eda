"""
Many items in bounded memory: the last few as they are, those before them in a file without a name.

A spool belongs to one command of one process and goes with it.  Items are plain data or models.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from typing import IO, Generic, TypeVar

T = TypeVar("T")
_TOGETHER = 2_000


class Spool(Generic[T]):
    """
    A row that grows at its end and is gone through from its beginning, as often as wanted.

    Args:
        items: To begin with.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._ends = [0]  # in the file, of each part
        self._file: IO[bytes] | None = None
        self._last: list[T] = []
        for item in items:
            self.append(item)

    def append(self, item: T) -> None:
        """
        Add one item.

        Raises:
            OSError: There is no room for it on the disk.
        """
        if len(self._last) == _TOGETHER:
            self._put_away()
        self._last.append(item)

    def __len__(self) -> int:
        return (len(self._ends) - 1) * _TOGETHER + len(self._last)

    def __iter__(self) -> Iterator[T]:
        for number in range(len(self._ends) - 1):
            yield from self._part(number)
        yield from self._last

    def at(self, places: Iterable[int]) -> Iterator[T]:
        """The items of these places; those that lie near each other are read together."""
        number, part = -1, list[T]()
        for place in places:
            if place // _TOGETHER != number:
                number = place // _TOGETHER
                part = self._last if number == len(self._ends) - 1 else self._part(number)
            yield part[place % _TOGETHER]

    def _part(self, number: int) -> list[T]:
        assert self._file is not None  # noqa: S101  there is one where there are parts
        begin, end = self._ends[number : number + 2]
        # Written by this object into a file that nobody else can open.
        found: list[T] = pickle.loads(  # noqa: S301
            os.pread(self._file.fileno(), end - begin, begin)
        )
        return found

    def _put_away(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed when the spool goes
            weakref.finalize(self, self._file.close)
        part = pickle.dumps(self._last, pickle.HIGHEST_PROTOCOL)
        self._file.write(part)
        self._file.flush()
        self._ends.append(self._ends[-1] + len(part))
        self._last = []
