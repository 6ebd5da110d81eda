"""Names in the order in which they come, and which of them come again, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from engines.spool import Spool

_PARTS = 32  # of which one at a time is held against itself


class Names:
    """A row of names, each with its place; None is nobody's."""

    def __init__(self) -> None:
        self._in_order: Spool[str | None] = Spool()
        self._parts: list[Spool[tuple[str, int]]] = [Spool() for _ in range(_PARTS)]

    def append(self, name: str | None) -> None:
        """
        Add one.

        Raises:
            OSError: There is no room for it on the disk.
        """
        if name is not None:
            part = crc32(name.encode("utf-8", "surrogatepass")) % _PARTS
            self._parts[part].append((name, len(self._in_order)))
        self._in_order.append(name)

    def __len__(self) -> int:
        return len(self._in_order)

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._in_order)

    def twins(self) -> dict[int, int]:
        """The place of each name that came before, and the first place of that name."""
        found: dict[int, int] = {}
        for part in self._parts:
            first: dict[str, int] = {}
            for name, place in part:
                if (before := first.setdefault(name, place)) != place:
                    found[place] = before
        return found
