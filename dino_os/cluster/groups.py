"""
Queue groups over nodes: a pull consumer of the stream says which node gets which message.

    handed out by the servers ──▶ handled ──▶ recorded here as settled ──▶ acknowledged there

Servers that crash forget acknowledgements: what comes again is known by our own record, and
acknowledged without being handled.  A message that another node settled just before such a crash
may be handled a second time: at least once is what groups promise.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dino_os.cluster.bus_stream import bus_stream
from dino_os.cluster.ledger import State, fold
from dino_os.cluster.link import ClusterUnavailable
from dino_os.cluster.pulling import Puller
from dino_os.cluster.wire import MESSAGES, Carried, as_subject
from dino_os.errors import DinoError, NotFound
from dino_os.message_bus.claims import Claimed, Claims, Settled
from dino_os.message_bus.failure import writable
from dino_os.message_bus.following import Follower
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.stored import RECEIVED, Stored
from dino_os.message_bus.subject import matches
from dino_os.message_bus.terms import Claim, Terms
from engines.journal import Event, Journal

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import ConsumerConfig

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client

SETTLED = "group_settled"
_WAIT_S = 0.9
_AWAY_S = 1.0
_CALL_S = 5.0
_JOIN_S = 1.5
_ANSWER_S = 2.0
_FORGOTTEN_S = 60.0
_SOON_S = 0.05
_AT_ONCE_S = 1.0
_OF_AN_ERROR = 300
_REMEMBERED = 200_000
_Key = tuple[str, int]


class _Places(Follower):
    """Where in the own journal what others said is, and what does not come there any more."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, journal.begin())
        self.seq: dict[_Key, int] = {}
        self._state = State()
        self._has_all = journal.begin().seq == 0

    def line(self, event: Event) -> None:
        fold(self._state, event)
        if event["event_type"] == RECEIVED:
            self.seq[event["workspace"], event["node_seq"]] = event["seq"]
            self._has_all = self._has_all and len(self.seq) <= _REMEMBERED
            _forget_oldest(self.seq)

    def is_dropped(self, said: Carried, stream_seq: int) -> bool:
        """Whether that message is not there and will not come: refused, or said before."""
        if not self._has_all or (said.workspace, said.seq) in self.seq:
            return False
        origin = self._state.origins.get(said.workspace)
        if origin and any(after < said.seq <= upto for after, upto in origin.missed):
            return False
        return stream_seq <= self._state.settled or (origin is not None and said.seq <= origin.last)


class _Done(Follower):
    """What this node settled."""

    def __init__(self, journal: Journal, group: str) -> None:
        super().__init__(journal, journal.begin())
        self._group = group
        self.keys: dict[_Key, None] = {}

    def line(self, event: Event) -> None:
        if event["event_type"] == SETTLED and event["group"] == self._group:
            for workspace, seq, *_ in (*event["acked"], *event["dead"]):
                self.keys[workspace, seq] = None
            _forget_oldest(self.keys)


class ClusterClaims:
    """
    `Claims` that the nodes of a cluster agree upon.

    Without a connection nothing is handed out: nobody could say to whom.

    Args:
        bus: The journal of the bus.
        record: The journal in which it is recorded what this node settled.
        rest: Decides about what is this node's own: what is not shared with others, and dead
            letters that are delivered again.
        clean: What may be kept of an error's text.
        now: Seconds since the epoch.
        after: Behind which line of the own journal the group begins if it is a new one.
        is_for_us: Whether a message is for the group at all.
    """

    def __init__(
        self,
        cluster: Cluster,
        bus: Journal,
        record: Journal,
        terms: Terms,
        *,
        after: Callable[[], int],
        is_for_us: Callable[[Stored], bool],
        rest: Claims,
        clean: Callable[[str], str] = str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cluster, self._terms, self._after = cluster, terms, after
        self._is_for_us, self._rest, self._record = is_for_us, rest, record
        self._messages = Messages(bus)
        self._places = _Places(bus)
        self._done = _Done(record, terms.name)
        self._guard = threading.RLock()
        self._held: dict[int, tuple[Msg, _Key]] = {}
        self._early: list[Msg] = []  # which our own journal does not have yet
        self._unseen: dict[_Key, int] = {}
        self._began: int | None = None
        self._now, self._since = now, 0.0
        self._clean = clean
        self._puller: Puller | None = None
        self._is_there = False

    # --- as `Claims` -------------------------------------------------------------------------

    def join(self) -> None:
        self._rest.join()
        self._began, self._since = self._after(), self._now()
        # Now, if it can be: what is said from here on is the group's.
        with contextlib.suppress(ClusterUnavailable):
            self._begin(_JOIN_S)

    def exchange(self, settled: Settled, most: int) -> list[Claimed]:
        ours, others = self._split(settled)
        found = self._rest.exchange(others, most)
        try:
            if ours:
                self._settle(ours)
            most = min(most, self._room())
            if found or most <= 0 or self._cluster.draining:
                return found
            return self._still_ours(self._next(most))
        except ClusterUnavailable:
            self._is_there = False  # the consumer may be gone by then
            self._let_go()
            return found

    def renew(self, claims: Sequence[Claim]) -> None:
        with self._guard:
            held = [self._held[claim.seq][0] for claim in claims if claim.seq in self._held]
            others = [claim for claim in claims if claim.seq not in self._held]
        if others:
            self._rest.renew(others)

        async def tell(_client: Client) -> None:
            for message in held:
                await message.in_progress()

        if held:
            self._cluster.link.call(tell, _CALL_S)

    def pause_s(self) -> float:
        ready = self._cluster.link.connected and not self._cluster.draining and self._room() > 0
        return min(_SOON_S if ready else _AWAY_S, self._rest.pause_s())

    def is_shared(self) -> bool:
        return True  # who else there is, only the servers know

    def leave(self) -> None:
        self._rest.leave()
        with self._guard:
            held, self._held = [message for message, _ in self._held.values()], {}
            held, self._early = [*held, *self._early], []
        puller, self._puller = self._puller, None
        if puller and self._cluster.link.connected:
            with contextlib.suppress(DinoError):
                held += self._cluster.link.call(lambda _client: puller.close(), _CALL_S)
        self._tell(held, _give_back)

    def _room(self) -> int:
        """How many more may be unsettled here."""
        with self._guard:
            return self._terms.max_in_flight - len(self._held)

    def _let_go(self) -> None:
        """Of what was asked for: where its inbox stayed, servers would put messages into it."""
        puller, self._puller = self._puller, None
        if puller:
            with contextlib.suppress(DinoError):
                self._cluster.link.spawn(lambda _client: puller.close())

    def _still_ours(self, claimed: list[Claimed]) -> list[Claimed]:
        """*claimed*, unless the subscription was forgotten while they were waited for."""
        try:
            if claimed:
                self._rest.exchange(Settled(), 0)
        except NotFound:
            with self._guard:
                back = [self._held.pop(one.claim.seq)[0] for one in claimed]
            self._tell(back, _give_back)
            raise
        return claimed

    # --- what is settled ---------------------------------------------------------------------

    def _split(self, settled: Settled) -> tuple[Settled, Settled]:
        with self._guard:
            ours = self._held.keys()
            halves = [
                Settled(
                    [c for c in settled.acked if (c.seq in ours) is mine],
                    [r for r in settled.refused if (r.claim.seq in ours) is mine],
                    [c for c in settled.returned if (c.seq in ours) is mine],
                )
                for mine in (True, False)
            ]
        return halves[0], halves[1]

    def _settle(self, settled: Settled) -> None:
        """Record it here, then tell the servers; where they do not hear it, it comes again."""
        dead = [r for r in settled.refused if r.final or r.claim.failures >= self._terms.retries]
        again = [r for r in settled.refused if r not in dead]
        with self._guard:
            held = self._held
            acked = [held[claim.seq] for claim in settled.acked]
            given_up = [(held[r.claim.seq], r) for r in dead]
            later = [(held[r.claim.seq][0], max(r.delay_s, 0.0)) for r in again]
            back = [held[claim.seq] for claim in settled.returned]
        if acked or given_up:
            self._record.append(
                SETTLED,
                {
                    "group": self._terms.name,
                    "acked": [[*key] for _, key in acked],
                    "dead": [
                        [*key, self._told(r.error), r.claim.seq, r.claim.attempt]
                        for (_, key), r in given_up
                    ],
                },
            )
        with self._guard:
            for _, key in back:  # which no handler has seen
                self._unseen[key] = self._unseen.get(key, 0) + 1
            for claim in (*settled.acked, *(r.claim for r in settled.refused), *settled.returned):
                self._held.pop(claim.seq, None)
        finished = [message for message, _ in (*acked, *(held for held, _ in given_up))]

        async def tell(_client: Client) -> None:
            for message, delay_s in later:
                await message.nak(delay=delay_s)
            for message, _ in back:
                await message.nak()
            await asyncio.gather(*(message.ack_sync(timeout=_ANSWER_S) for message in finished))

        self._cluster.link.call(tell, _CALL_S)

    def _told(self, error: str) -> str:
        return writable(self._clean(error)[:_OF_AN_ERROR])

    def _tell(self, messages: list[Msg], what: Callable[[Msg], Any]) -> None:
        async def tell(_client: Client) -> None:
            for message in messages:
                await what(message)

        if messages and self._cluster.link.connected:
            try:
                self._cluster.link.call(tell, _CALL_S)
            except DinoError:
                return  # they come again by themselves

    # --- what comes next ---------------------------------------------------------------------

    def _next(self, most: int) -> list[Claimed]:
        link = self._cluster.link
        self._begin(_CALL_S)
        early, self._early = self._early, []
        wait_s = _SOON_S if early else _WAIT_S
        came = link.call(lambda client: self._pull(client, most, wait_s), wait_s + _CALL_S)
        came = [*early, *came]
        if not came:
            return []
        with self._guard:
            self._places.catch_up()
            self._done.catch_up()
        claimed, done = [], []
        for message in came:
            key, stored = self._find(message)
            if key is None or key in self._done.keys:
                done.append(message)
            elif stored is None:
                self._early.append(message)
            elif not matches(self._terms.subject, stored.channel) or not self._is_for_us(stored):
                done.append(message)
            else:
                attempt = message.metadata.num_delivered - self._unseen.get(key, 0)
                with self._guard:
                    self._held[stored.seq] = message, key
                claimed.append(Claimed(stored, Claim(stored.seq, attempt, attempt - 1, 0)))
        self._tell(done, _finish)
        return claimed

    async def _pull(self, client: Client, most: int, wait_s: float) -> list[Msg]:
        if self._puller is None:
            link = self._cluster.link
            ask = f"{link.api}.CONSUMER.MSG.NEXT.{link.stream('BUS')}.{self._consumer}"
            self._puller = Puller(client, ask)
        return await self._puller.pull(most, wait_s)

    def _find(self, message: Msg) -> tuple[_Key | None, Stored | None]:
        """
        Which message that is, and what our own journal has of it, if it has come there; without a
        key it is none, or one that does not come there.
        """
        try:
            said = Carried.decode(message.data)
        except ValueError:
            return None, None
        key = said.workspace, said.seq
        if said.workspace == self._cluster.workspace:
            found = self._messages.at(said.seq)
            return (key, found) if found and found.node is None else (None, None)
        if self._places.is_dropped(said, message.metadata.sequence.stream):
            return None, None
        at = self._places.seq.get(key)
        return key, None if at is None else self._messages.at(at)

    def _begin(self, within_s: float) -> None:
        if not self._is_there:
            self._cluster.link.call(self._make, within_s)
            self._is_there = True

    async def _make(self, client: Client) -> None:
        """The consumer of the group, which is the same for all nodes."""
        from nats.js.errors import NotFoundError  # noqa: PLC0415  heavy

        link = self._cluster.link
        await bus_stream(client, link)
        try:
            await client.js.consumer_info(link.stream("BUS"), self._consumer)
        except NotFoundError:
            await client.js.add_consumer(link.stream("BUS"), self._config())

    def _config(self) -> ConsumerConfig:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy  # noqa: PLC0415  heavy

        terms, began, starts = self._terms, self._began or 0, dict[str, Any]()
        behind = self._messages.after(began, terms.subject, 1)
        if began < self._messages.first_seq():
            starts["deliver_policy"] = DeliverPolicy.ALL
        else:
            # By this node's clock: the servers number messages in another way than we do.
            since = min([self._since, *(stored.published for stored in behind)])
            starts["deliver_policy"] = DeliverPolicy.BY_START_TIME
            starts["opt_start_time"] = datetime.fromtimestamp(since, UTC)
        if self._now() - self._since < _AT_ONCE_S and not behind:
            starts = {"deliver_policy": DeliverPolicy.NEW}
        return ConsumerConfig(
            durable_name=self._consumer,
            filter_subject=self._cluster.link.subject(MESSAGES, as_subject(terms.subject)),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=terms.ack_wait_s,
            max_ack_pending=terms.max_in_flight,
            inactive_threshold=None if terms.durable else _FORGOTTEN_S,
            **starts,
        )

    @property
    def _consumer(self) -> str:
        name = f"{self._terms.name} {self._terms.subject}"
        return f"G{sha256(name.encode()).hexdigest()[:24]}"


def _forget_oldest(remembered: dict[_Key, Any]) -> None:
    while len(remembered) > _REMEMBERED:
        del remembered[next(iter(remembered))]


async def _finish(message: Msg) -> None:
    await message.ack()


async def _give_back(message: Msg) -> None:
    await message.nak()
