"""
Places on this machine where a delivery arrives exactly once: a file's lines, a channel of the bus.

Before something is put there, `mark` tells where the place ends; that is recorded.  Where a crash
then leaves open whether it arrived, `arrived` looks behind the mark, so that nothing is put there
twice and nothing left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dino_os.errors import InvalidInput
from dino_os.outbox.model import Delivery
from engines.durable import make_folder, sync_data, sync_folder, write_all
from engines.journal import RecordedJournal

if TYPE_CHECKING:
    from dino_os.message_bus.bus import Bus

Mark = Mapping[str, Any]


class Place(Protocol):
    """One place; one process at a time puts something there."""

    def mark(self) -> dict[str, Any]:
        """Where it ends now."""

    def arrived(self, deliveries: Sequence[Delivery], mark: Mark) -> list[str]:
        """Which of *deliveries* are there, durably, put behind *mark*: their ids."""

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Put all there, durably when this returns."""


def document(delivery: Delivery) -> dict[str, Any]:
    """What the receiver gets, wherever it is."""
    return {"id": delivery.key, "delivery": delivery.id, **delivery.payload}


class FilePlace:
    """
    A file with one JSON object on each line; others may append to it too.

    Exactly once holds for as long as nobody cuts or replaces the file between a crash and the next
    attempt; then a line may be there twice, with the same id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> dict[str, Any]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {"size": 0, "file": 0}
        return {"size": found.st_size, "file": found.st_ino}

    def arrived(self, deliveries: Sequence[Delivery], mark: Mark) -> list[str]:
        if not self._path.is_file():
            return []
        by_key = {delivery.key: delivery.id for delivery in deliveries}
        fd = os.open(self._path, os.O_RDWR)
        try:
            lines, rest, start = _lines_behind(fd, mark)
            found = [by_key[key] for key in map(_key_of, lines) if key in by_key]
            if rest and any(_line(delivery).startswith(rest) for delivery in deliveries):
                # Half of a line of ours: what a power cut or a full disk left.
                os.ftruncate(fd, start)
            sync_data(fd)  # it may be in memory only: whoever put it there did not live to sync
        finally:
            os.close(fd)
        sync_folder(self._path.parent)
        return found

    def put(self, deliveries: Sequence[Delivery]) -> None:
        if self._path.exists() and not self._path.is_file():
            raise InvalidInput(f"{self._path}: not a regular file")
        make_folder(self._path.parent)
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(fd).st_size
            # Whoever left the last line open did not mean ours to be its end.
            open_line = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            write_all(fd, b"\n" * open_line + b"".join(map(_line, deliveries)))
            sync_data(fd)
        finally:
            os.close(fd)
        if not size:
            sync_folder(self._path.parent)


class BusPlace:
    """A channel of the workspace's bus."""

    def __init__(self, bus: Callable[[], Bus], journal: Path, channel: str) -> None:
        self._bus = bus
        self._journal = RecordedJournal(journal)
        self._channel = channel

    def mark(self) -> dict[str, Any]:
        return {"seq": self._journal.length()}

    def arrived(self, deliveries: Sequence[Delivery], mark: Mark) -> list[str]:
        by_key = {delivery.key: delivery.id for delivery in deliveries}
        behind = max(self._journal.length() - mark["seq"], 0)
        messages = [
            message["message"]
            for message in self._bus().channel_history(self._channel, behind)
            if message["seq"] >= mark["seq"] and isinstance(message["message"], dict)
        ]
        return [by_key[m["id"]] for m in messages if m.get("id") in by_key]

    def put(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._bus().publish(self._channel, document(delivery))


def _line(delivery: Delivery) -> bytes:
    return json.dumps(document(delivery), ensure_ascii=False).encode() + b"\n"


def _lines_behind(fd: int, mark: Mark) -> tuple[list[bytes], bytes, int]:
    """The whole lines behind *mark*, what stands open at the end, and where that begins."""
    now = os.fstat(fd)
    same = now.st_ino == mark["file"] and now.st_size >= mark["size"]
    start = mark["size"] if same else 0
    data = bytearray()
    while block := os.pread(fd, 1 << 20, start + len(data)):
        data += block
    *lines, rest = bytes(data).split(b"\n")
    return lines, rest, start + len(data) - len(rest)


def _key_of(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found.get("id") if isinstance(found, dict) else None
