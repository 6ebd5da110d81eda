"""Memory: values under keys, found again by their words, durable and the same for every process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from dino_os import inside
from dino_os.errors import InvalidInput, MemoryLayerError, NotFound
from dino_os.face import Face

__all__ = ["MemoryLayer", "MemoryLayerError", "MemoryResult"]


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """
    What a search found.

    `result["outcome"]` is `result.value["outcome"]`, and `"outcome" in result` asks for it.

    Attributes:
        score: How much of the query the entry has, above 0 up to 1.
        created: When its key was first added.
    """

    key: str
    value: Any
    score: float
    created: datetime

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise NotFound(f"the value of {self.key!r} has no {name!r}")
        return self.value[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(self.value, Mapping) and name in self.value


_Keys: TypeAlias = list[str]  # where `list` is the method
_Results: TypeAlias = list[MemoryResult]


class MemoryLayer(Face):
    """
    The workspace's memory, `memory/memory.db`, or that in a file of one's own.

    Each change is journaled, by the hash of its value, before it counts.  Inside a sandbox the
    workspace's memory is reached through the broker; a file named by *db_path* is then opened by
    the skill itself, where its sandbox lets it.

    Args:
        db_path: Another file; its journal lies beside it.
    """

    _part = "memory"

    def __init__(self, db_path: str | os.PathLike[str] | None = None) -> None:
        self._file = None if db_path is None else _resolved(db_path)

    def add(self, key: str, value: Any, embed: bool = True) -> None:  # noqa: FBT001, FBT002
        """
        Keep *value* under *key*, instead of what was there; it is durable when this returns.

        Args:
            key: Text of at most 1,024 bytes.
            value: Any JSON value of at most 4 MiB.
            embed: Whether search by meaning, where there is one, may use it.  Its words are found
                either way.

        Raises:
            InvalidInput: Key or value is none of these.
            MemoryLayerError: The store cannot be opened or written.
        """
        self._call("add", key=key, value=value, embed=embed)

    def get(self, key: str) -> Any:
        """The value under *key*, or None."""
        return self._call("get", key=key)

    def delete(self, key: str) -> bool:
        """Forget *key*; whether it was there."""
        return bool(self._call("delete", key=key))

    def list(self) -> _Keys:
        """All keys, in order."""
        return [*self._call("list")]

    def search(self, query: str, top_k: int = 5) -> _Results:
        """
        The entries that have words of *query* in their key or value, best first.

        Words are what white space divides; one such as `trade_BTC` is found as it is written, case
        and accents aside.  The first 32 different ones count.
        """
        found = self._call("search", query=query, top_k=top_k)
        return [
            MemoryResult(r["key"], r["value"], r["score"], datetime.fromisoformat(r["created"]))
            for r in found
        ]

    def get_all(self) -> dict[str, Any]:
        """Every value by its key."""
        return dict(self._call("get_all"))

    def clear(self) -> int:
        """Forget everything; how many entries that was."""
        return int(self._call("clear"))

    def backup(self, path: str | os.PathLike[str]) -> None:
        """
        Write all entries to one file that needs no other, replacing an older backup there.

        Raises:
            InvalidInput: Something else is there, or no folder.
        """
        self._call("backup", path=_text(path))

    def restore(self, path: str | os.PathLike[str]) -> int:
        """
        Replace all entries by those of a backup, whole or not at all; how many those are.

        Raises:
            MemoryLayerError: It is no backup, or not sound; nothing was changed.
        """
        return int(self._call("restore", path=_text(path)))

    def _call(self, method: str, /, **arguments: Any) -> Any:
        if self._file and inside.connection():
            return getattr(self._local(), method)(**arguments)
        return super()._call(method, **arguments)

    def _local(self) -> Any:
        if self._file is None:
            return super()._local()
        from dino_os.workspace import memory_at  # noqa: PLC0415  a face costs nothing to import

        return memory_at(self._file)


def _resolved(db_path: str | os.PathLike[str]) -> Path:
    text = _text(db_path)
    if text.startswith(":") or not text or "\0" in text:
        raise InvalidInput(
            f"{text!r} names no file to keep memory in",
            hint="it is always durable; for a while, name one in a temporary folder",
        )
    return Path(text).resolve()


def _text(path: str | os.PathLike[str]) -> str:
    found = os.fspath(path)
    if not isinstance(found, str):
        raise InvalidInput(f"a path must be text, found {found!r}")
    return found
