"""
What is said on this node, to the others.

The journal is the outbox: the relay reads it from where it was, sends, and notes how far the
servers acknowledged.  A note that is lost or old sends messages twice, which servers and receivers
know again; nothing is ever left out.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import DecodeError, Struct, json

from dino_os.cluster.bus_stream import NO_ROOM, publish
from dino_os.cluster.link import ClusterUnavailable, is_unreachable
from dino_os.cluster.wire import Carried
from dino_os.message_bus.stored import PUBLISHED, RECEIVED
from engines.durable import make_folder
from engines.journal import Event, Journal, Position

if TYPE_CHECKING:
    from dino_os.cluster.cluster import Cluster

NOT_CARRIED = "message_not_carried"
_SEND_S = 10.0
_QUESTIONS = 1000
_AROUND = 1024
"""Bytes of a message on the wire besides its body: its subject twice, and headers."""


class Note(Struct):
    """
    How far the servers have what was said here.

    Attributes:
        seq: The next line to be looked at, with the hash and the offset that it begins behind.
        prev: Line of the message that was sent before that place; None where none was.
        waits: Why what lies behind it is not sent, for people; empty where nothing waits.
        too_large: How many messages were that no server takes.
    """

    seq: int = 0
    hash: str | None = None
    offset: int = 0
    prev: int | None = None
    waits: str = ""
    too_large: int = 0

    @classmethod
    def read(cls, file: Path) -> Note | None:
        """The note in *file*; None where there is none that can be read."""
        with contextlib.suppress(OSError, DecodeError):
            return json.decode(file.read_bytes(), type=cls)
        return None

    def write(self, file: Path) -> None:
        # Not synced: after a power cut an older one will do, or none.
        make_folder(file.parent)
        draft = file.with_suffix(".draft")
        draft.write_bytes(json.encode(self))
        draft.replace(file)

    @property
    def place(self) -> Position:
        return Position(self.seq, self.hash, self.offset)


class Relay:
    """
    Sends the messages of *journal* that the settings share.

    Args:
        file: Where it notes how far it is.
        joined: The line at which this node joined: what was said before it is not sent.
    """

    def __init__(self, cluster: Cluster, journal: Journal, file: Path, joined: int) -> None:
        self._cluster, self._journal, self._file, self._joined = cluster, journal, file, joined
        self._asked_from_afar: deque[str] = deque(maxlen=_QUESTIONS)
        self.note = self._load()

    def turn(self, stopped: Callable[[], bool]) -> int:
        """
        Send what is there; how many messages that was.

        Raises:
            ClusterUnavailable: It did not reach the servers, or they do not take it now.
            DinoError: The journal cannot be read.
        """
        if self._journal.length() <= self.note.seq:
            return 0
        link = self._cluster.link
        limit = link.call(lambda client: _limit(client.nc.max_payload), wait=False)
        total = 0
        for events, behind in self._journal.read(self.note.place):
            window, too_large = self._window(events, limit)
            try:
                self._send(window)
            except ClusterUnavailable as error:
                self.note.waits = error.message
                self.note.write(self._file)
                raise
            total += len(window)
            if too_large:
                self._journal.append_many(
                    (NOT_CARRIED, {"message_seq": seq, "bytes": size, "limit": limit})
                    for seq, size in too_large
                )
            prev = window[-1].seq if window else self.note.prev
            count = self.note.too_large + len(too_large)
            self.note = Note(behind.seq, behind.parent_hash, behind.offset, prev, too_large=count)
            self.note.write(self._file)
            if stopped():
                break
        return total

    def _window(
        self, events: Sequence[Event], limit: int
    ) -> tuple[list[Carried], list[tuple[int, int]]]:
        """Of *events* what is to be sent, and what (line, bytes) cannot be."""
        prev, fit, too_large = self.note.prev, [], []
        for event in events:
            if event["event_type"] == RECEIVED and event.get("reply_to"):
                self._asked_from_afar.append(event["reply_to"])
            if not self._is_to_be_sent(event):
                continue
            message = self._cluster.carried(event, prev)
            if (size := len(message.encode())) > limit:
                too_large.append((message.seq, size))
                continue
            prev = message.seq
            fit.append(message)
        return fit, too_large

    def _send(self, window: list[Carried]) -> None:
        if not window:
            return
        link = self._cluster.link
        sent, failure = link.call(lambda client: publish(client, link, window), _SEND_S, wait=False)
        if failure is None:
            return
        waiting = f"{len(window) - sent} messages or more wait"
        if getattr(failure, "err_code", None) in NO_ROOM:
            raise ClusterUnavailable(
                f"the cluster's stream of messages is full: {waiting}",
                hint="nodes that are away hold it up: `dino cluster nodes`; or raise "
                "`cluster.keep_bytes`",
            )
        if is_unreachable(failure):
            raise ClusterUnavailable(f"the cluster does not answer: {waiting}")
        raise ClusterUnavailable(f"the cluster does not take messages: {failure}; {waiting}")

    def _is_to_be_sent(self, event: Event) -> bool:
        return (
            event["event_type"] == PUBLISHED
            and event["seq"] > self._joined
            # An answer goes where its question came from, whatever else is shared.
            and (self._cluster.shares(event) or event["channel"] in self._asked_from_afar)
        )

    def _load(self) -> Note:
        found, begin = Note.read(self._file), self._journal.begin()
        if found and found.seq >= begin.seq and self._journal.holds(found.place):
            return found
        return Note(begin.seq, begin.parent_hash, begin.offset)


async def _limit(most: int) -> int:
    return most - _AROUND
