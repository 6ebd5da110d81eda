"""
What this node has of the others: a fold over the journal of the bus.

Kept beside the journal so that it need not be folded from its first line at every start; without
that file it is.  Only who holds the lock of the cluster adds such lines, so its ledger is exact.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct, field, json

from engines.durable import make_folder, replace_file
from engines.journal import Event, Journal, Position

JOINED, LEFT, STREAM = "node_joined", "node_left", "stream_began"
RECEIVED, MISSED, FETCHED = "message_received", "messages_missed", "messages_fetched"
REFUSED = "message_refused"
"""A line of the stream that is not taken as a message; `why` says for what."""


class Origin(Struct):
    """
    What we have of one other node.

    Attributes:
        last: Line, in its journal, of the newest of its messages that we have or gave up.
        missed: Ranges (after, up to) of its lines in which are messages that we do not have.
    """

    node: str
    last: int
    missed: list[tuple[int, int]] = field(default_factory=list)


class State(Struct):
    """
    Attributes:
        joined: Line at which this node joined; None where it has not.
        left: Whether it left since.
        stream: Which stream this speaks of: when it was made.
        initial: How far that stream reached when this node first read it.
        before: Workspace → how far it had sent by then.
        settled: Up to where in it nothing is left to be recorded.
    """

    seq: int = 0
    hash: str | None = None
    offset: int = 0
    joined: int | None = None
    left: bool = False
    stream: str = ""
    initial: int = 0
    before: dict[str, int] = field(default_factory=dict)
    settled: int = 0
    origins: dict[str, Origin] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> State | None:
        """What was kept in *file*; None where there is nothing that can be read."""
        with contextlib.suppress(OSError, DecodeError):
            return json.decode(file.read_bytes(), type=cls)
        return None


class Ledger:
    """
    The ledger over *journal*, kept in *file*.

    A line of a message may name how far the stream is *settled* where that is not its own place:
    something before it is still waited for.
    """

    def __init__(self, journal: Journal, file: Path) -> None:
        self._journal = journal
        self._file = file
        self.state = State()

    def load(self) -> State:
        """Catch up with the journal."""
        found = State.read(self._file)
        if found and found.seq >= self.state.seq:
            place = Position(found.seq, found.hash, found.offset)
            self.state = found if self._journal.holds(place) else State()
        self._catch_up()
        return self.state

    def save(self) -> None:
        """Keep what was folded; where the disk does not take it, it is folded again."""
        self._catch_up()
        with contextlib.suppress(OSError):
            make_folder(self._file.parent)
            replace_file(self._file, json.encode(self.state))

    def _catch_up(self) -> None:
        # Lines of our own are folded twice: by `record`, and here.  Each fold bears that.
        state = self.state
        start, begin = Position(state.seq, state.hash, state.offset), self._journal.begin()
        for events, behind in self._journal.read(start if start.seq >= begin.seq else begin):
            for event in events:
                fold(state, event)
            state.seq, state.hash, state.offset = behind.seq, behind.parent_hash, behind.offset

    def record(self, drafts: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Append those lines, all or none, and take them in."""
        with self._journal.locked():
            events = [self._journal.stage(*draft) for draft in drafts]
            self._journal.commit()
            for event in events:  # now that it is so
                fold(self.state, event)

    def last_of(self, workspace: str, stream_seq: int | None) -> int | None:
        """
        Up to which line we have what *workspace* said; None where that is not known: whatever
        comes first from it is then its first.
        """
        if found := self.state.origins.get(workspace):
            return found.last
        if stream_seq is not None and stream_seq <= self.state.initial:
            return None
        return self.state.before.get(workspace, -1)


def fold(state: State, event: Event) -> None:
    """Take that line of the journal in; whatever it is."""
    if known := _FOLDS.get(event["event_type"]):
        known(state, event)


def _joined(state: State, event: Event) -> None:
    state.joined, state.left = event["seq"], False


def _left(state: State, event: Event) -> None:
    del event
    state.joined, state.left = None, True


def _stream(state: State, event: Event) -> None:
    if state.stream != event["created"]:
        state.settled = 0
    state.stream, state.initial, state.before = event["created"], event["reaches"], event["sent"]


def _received(state: State, event: Event) -> None:
    _origin(state, event, event["node_seq"])
    _settled(state, event)


def _settled(state: State, event: Event) -> None:
    if "stream_seq" in event:
        state.settled = max(state.settled, event.get("settled", event["stream_seq"]))


def _missed(state: State, event: Event) -> None:
    origin, missed = _origin(state, event, event["upto"]), (event["after"], event["upto"])
    if missed not in origin.missed:
        origin.missed.append(missed)


def _fetched(state: State, event: Event) -> None:
    origin = _origin(state, event, event["upto"])
    closed = event["after"], event["upto"]
    origin.missed = [missed for missed in origin.missed if missed != closed]


def _origin(state: State, event: Event, upto: int) -> Origin:
    found = state.origins.get(event["workspace"])
    if found is None:
        found = state.origins[event["workspace"]] = Origin(event["node"], upto)
    found.node = event["node"]
    found.last = max(found.last, upto)
    return found


_FOLDS = {
    JOINED: _joined,
    LEFT: _left,
    STREAM: _stream,
    RECEIVED: _received,
    MISSED: _missed,
    FETCHED: _fetched,
    REFUSED: _settled,
}
