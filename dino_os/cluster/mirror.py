"""
What is said on other nodes, into this one's journal.

Order is that of each origin: every message names the one that its node sent before it.  One that
comes too early is held until what it follows is there; where that does not come it is asked for
at its origin, whose journal has it; and where the origin is away, it is recorded as missed, and
asked for again when the origin is back.

A message is recorded once, however often it comes: what is there is known by the journal itself.

Whoever may write to the stream can write anything.  What is no message, what the journal does not
take, and a line that its origin is not known to have sent, are refused, and that is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dino_os.cluster.bus_stream import Source, bus_stream
from dino_os.cluster.history import ask_for
from dino_os.cluster.ledger import FETCHED, MISSED, RECEIVED, REFUSED, STREAM, Ledger
from dino_os.cluster.wire import Carried
from dino_os.errors import InvalidInput
from dino_os.message_bus.requests import DEADLINE

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import StreamInfo

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client
    from dino_os.cluster.nodes import Node

_OPEN_S = 10.0
_SAVE_S = 10.0
_PATIENCE_S = 1.0
"""How long one that came too early is held before its origin is asked for what it follows."""

_LOOK_S = 0.5
_ROOM = 10_000
"""Lines that a node may be ahead of what the registry last heard that it has sent."""
_PROOF_S = 10.0
"""How long one further ahead is held until the registry says that its origin is there."""
_OF_A_REASON = 200

Draft = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A message, its place in the stream, and when it came by the monotonic clock."""

    message: Carried
    stream_seq: int
    came: float


class Mirror:
    """
    Brings the stream of *cluster* into the journal of *ledger*.

    Args:
        sent_before: Workspace → line of the last message it has sent, of those known now.
        clock: Monotonic, seconds.
        now: Seconds since the epoch, by this node's clock.
    """

    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        sent_before: Callable[[], dict[str, int]],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cluster, self._ledger = cluster, ledger
        self._sent_before = sent_before
        self._clock, self._now = clock, now
        self._source: Source | None = None
        self._read_to = 0  # in the stream
        self._early: list[_Arrived] = []
        self._early_since = 0.0
        self._saved_at = clock()
        self._suspected: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._looked_at: float | None = None
        self._refused: list[Draft] = []  # which are to be recorded
        self.others: Sequence[Node] | None = None
        """The nodes as they were last seen; whoever looks sets it."""

    @property
    def settled(self) -> int:
        """Up to where in the stream nothing is left to be recorded."""
        return self._early[0].stream_seq - 1 if self._early else self._read_to

    def turn(self, wait_s: float) -> int:
        """
        Record what has come; waits for at most *wait_s* where there is nothing.

        Returns:
            How many messages were recorded.

        Raises:
            ClusterUnavailable: The servers do not answer; the next turn begins anew.
            DinoError: The journal did not take it.
        """
        try:
            return self._turn(wait_s)
        except BaseException:
            self.close()  # what was read and is not recorded is to be read again
            raise

    def _turn(self, wait_s: float) -> int:
        if self._source is None:
            self._open()
        source = self._source
        assert source is not None  # noqa: S101  for the type checker
        came = self._cluster.link.call(
            lambda _client: source.next(wait_s), wait_s + _OPEN_S, wait=False
        )
        recorded = self._take([self._arrived(message) for message in came])
        if self._early and self._clock() - self._early_since > _PATIENCE_S:
            recorded += self._ask_what_is_missing()
        if not came and self.others is not None:
            others, self.others = self.others, None
            recorded += self._look_around(others)
        state = self._ledger.state
        state.settled = max(state.settled, self.settled)
        if self._clock() - self._saved_at > _SAVE_S:
            self._saved_at = self._clock()
            self._ledger.save()
        return recorded

    def poke(self) -> None:
        """Have the turn that is under way come to its end; from any thread."""
        if (source := self._source) and self._cluster.link.connected:
            self._cluster.link.spawn(lambda _client: source.poke())

    def close(self) -> None:
        """Begin anew with the next turn, from what is recorded."""
        source, self._source = self._source, None
        self._early.clear()
        self._refused.clear()
        if source and self._cluster.link.connected:
            self._cluster.link.spawn(lambda _client: source.close())

    def _look_around(self, others: Sequence[Node]) -> int:
        """
        Ask the nodes that are there for what the stream has no more: what was missed of them
        before, and what they sent last, where that has not come between two looks.
        """
        recorded, suspected = 0, self._suspected
        self._suspected = {}
        for node in others:
            self._sent[node.workspace] = node.sent
            if not node.alive or node.workspace == self._cluster.workspace:
                continue
            for after, upto in self._missed_of(node.workspace):
                recorded += self._fetch(node.workspace, node.name, after, upto)
            last = self._ledger.last_of(node.workspace, self._read_to)
            if last is not None and last < node.sent:
                if suspected.get(node.workspace) == node.sent:
                    recorded += self._fetch(node.workspace, node.name, last, node.sent)
                else:
                    self._suspected[node.workspace] = node.sent
        return recorded

    # --- the stream --------------------------------------------------------------------------

    def _open(self) -> None:
        link, state = self._cluster.link, self._ledger.state
        info = self._stream()
        if str(info.created) != state.stream:
            # In this order: what was sent by then, the stream has by the time it is asked.
            sent, info = self._sent_before(), self._stream()
            began = {"created": str(info.created), "reaches": info.state.last_seq, "sent": sent}
            self._ledger.record([(STREAM, began)])
        self._read_to = state.settled

        async def open_it(client: Client) -> Source:
            source = Source(client, link, state.settled + 1)
            await source.open()
            return source

        self._source = link.call(open_it, _OPEN_S, wait=False)

    def _stream(self) -> StreamInfo:
        link = self._cluster.link
        return link.call(lambda client: bus_stream(client, link), _OPEN_S, wait=False)

    def _arrived(self, message: Msg) -> _Arrived | None:
        self._read_to = message.metadata.sequence.stream
        try:
            found = Carried.decode(message.data)
        except ValueError as error:
            self._refuse(self._read_to, str(error))
            return None
        own = found.workspace == self._cluster.workspace
        told = _by_our_clock(found, self._now())
        return None if own else _Arrived(told, self._read_to, self._clock())

    def _refuse(self, stream_seq: int, why: str) -> None:
        self._refused.append((REFUSED, {"stream_seq": stream_seq, "why": why[:_OF_A_REASON]}))

    # --- recording ---------------------------------------------------------------------------

    def _take(self, came: Sequence[_Arrived | None]) -> int:
        """Record what follows on what is there; keep what is early."""
        if not self._early:
            self._early_since = self._clock()
        waiting, unproven = self._proven([*self._early, *(one for one in came if one)])
        ready: list[_Arrived] = []
        last: dict[str, int | None] = {}
        while True:
            held = []
            before = len(ready)
            for one in waiting:
                origin = one.message.workspace
                if origin not in last:
                    last[origin] = self._ledger.last_of(origin, one.stream_seq)
                at, prev = last[origin], one.message.prev
                if at is not None and one.message.seq <= at:
                    continue  # it is there
                if at is not None and prev is not None and prev > at:
                    held.append(one)
                    continue
                ready.append(one)
                last[origin] = one.message.seq
            if len(ready) == before or not held:
                break
            waiting = held
        self._early = sorted([*held, *unproven], key=lambda one: one.stream_seq)
        refused, self._refused = self._refused, []
        return self._record(
            [*((RECEIVED, one.message.received(one.stream_seq)) for one in ready), *refused]
        )

    def _proven(self, came: Sequence[_Arrived]) -> tuple[list[_Arrived], list[_Arrived]]:
        """Those that may be taken, and those that wait for the registry; what waited is refused."""
        may, waits = [], []
        for one in came:
            if not self._is_beyond(one.message):
                may.append(one)
            elif self._clock() - one.came < _PROOF_S:
                waits.append(one)
            else:
                where = f"line {one.message.seq} of {one.message.node}"
                self._refuse(one.stream_seq, f"{where}, which is not known to have sent it")
        return may, waits

    def _record(self, drafts: Sequence[Draft]) -> int:
        """Those lines of the stream, each with how far it is settled; how many are messages."""
        settled = self.settled
        for _, said in drafts:
            if settled < said["stream_seq"]:
                said["settled"] = settled
        try:
            if drafts:
                self._ledger.record(drafts)
            return sum(kind == RECEIVED for kind, _ in drafts)
        except InvalidInput as error:
            if len(drafts) > 1:
                return sum(self._record([draft]) for draft in drafts)
            ((kind, said),) = drafts
            if kind == REFUSED:
                raise
            refusal: dict[str, Any] = {"why": str(error)[:_OF_A_REASON]}
            refusal |= {name: said[name] for name in ("stream_seq", "settled") if name in said}
            self._ledger.record([(REFUSED, refusal)])
            return 0

    def _is_beyond(self, message: Carried) -> bool:
        """
        Whether its origin is not known to have come so far: taken for its place, the number would
        hide what that node really says.  Of one that is not registered nothing is known.
        """
        sent = self._sent.get(message.workspace, -1)
        if message.seq <= sent + _ROOM:
            return False
        if self._looked_at is None or self._clock() - self._looked_at > _LOOK_S:
            self._looked_at, self._sent = self._clock(), self._sent_before()
        known = self._sent.get(message.workspace)
        return known is not None and message.seq > known + _ROOM

    def _ask_what_is_missing(self) -> int:
        """For those that were held for long enough: fetch what they follow, or give it up."""
        recorded = 0
        for one in self._early:
            early, last = one.message, self._ledger.last_of(one.message.workspace, one.stream_seq)
            if last is None or early.prev is None or self._is_beyond(early):
                continue
            recorded = self._fetch(early.workspace, early.node, last, early.prev)
            break
        return recorded + self._take([])

    def _fetch(self, workspace: str, node: str, after: int, upto: int) -> int:
        """Record the messages of that origin in (after, upto], or that they are missed."""
        recorded = 0
        while after < upto:
            span = {"workspace": workspace, "node": node, "after": after, "upto": upto}
            page = ask_for(self._cluster, workspace, after, upto)
            if page is None:
                if (after, upto) not in self._missed_of(workspace):
                    self._ledger.record([(MISSED, span)])
                break
            drafts: list[Draft] = [(RECEIVED, m.received(None)) for m in page.messages]
            drafts.append((FETCHED, {**span, "gone": True} if page.gone else span))
            after = page.messages[-1].seq if page.more else upto
            if after < upto:  # should this end here, the rest is known to be missing
                drafts.append((MISSED, {**span, "after": after}))
            self._ledger.record(drafts)
            recorded += len(page.messages)
        return recorded

    def _missed_of(self, workspace: str) -> list[tuple[int, int]]:
        origin = self._ledger.state.origins.get(workspace)
        return [*origin.missed] if origin else []


def _by_our_clock(message: Carried, now: float) -> Carried:
    """A question says until when it waits by the clock of who asks, which may be a wrong one."""
    headers = message.said.get("headers") or {}
    try:
        waits_s = float(headers[DEADLINE]) - message.at
    except (KeyError, ValueError):
        return message
    said = {**message.said, "headers": {**headers, DEADLINE: f"{now + waits_s:.6f}"}}
    return replace(message, said=said)
