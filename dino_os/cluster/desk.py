"""
The counter at which tasks change hands with JetStream: publishing, pulling, acknowledging.

All of it runs in the link's loop; it decides nothing and records nothing.  What comes in is put
into an inbox, and the bell rung, for the one thread that owns the journals.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dino_os.cluster.jobs import Able, Stop, decode, encode
from dino_os.cluster.streams import ensure_stream
from dino_os.cluster.task_news import (
    ArrivedJob,
    ArrivedReport,
    Gone,
    News,
    Offer,
    Refused,
    Reported,
    Taken,
)
from dino_os.cluster.task_pulling import pull_for_ever
from dino_os.cluster.task_streams import (
    consumer,
    id_of,
    jobs_stream,
    message_id,
    results_consumer,
    results_stream,
)
from dino_os.errors import ClusterError

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import ConsumerConfig

    from dino_os.cluster.link import Client, Link

ACK_WAIT_S = 10.0  # a job of which nothing was heard for so long is another's
_SAY_S = 2.0
_LOOK_S = 2.0
_AGAIN_S, _AGAIN_MOST_S = 0.25, 10.0
_IDLE_KIND_S = 60.0
_MOST_JOBS = 16
_MOST_RESULTS = 64
_MOST_BYTES = 900_000  # of a server's 1 MiB by default; the headers have some


class Desk:
    """
    This process's.

    Args:
        node: What this node is called.

    Attributes:
        bell: Can be read once there is news.
        wanted: Leases of which the jobs are to be out there; others are not published any more.
    """

    def __init__(self, link: Link, node: str) -> None:
        self._link = link
        self._node = node
        self._inbox: deque[News] = deque()
        self.bell, self._rings = socket.socketpair()
        for end in (self.bell, self._rings):
            end.setblocking(False)  # noqa: FBT003  its signature
        self._kinds: frozenset[str] = frozenset()
        self._places = 0
        self.wanted: set[int] = set()
        self._room = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._living: Future[None] | None = None
        self._calls: set[Future[Any]] = set()
        self._swept = True
        self._known: set[str] = set()
        self._pulling: dict[str, asyncio.Task[None]] = {}

    # --- what the thread of the journals calls -------------------------------------------------

    def live(self) -> None:
        """Begin, or begin again where the connection was given up."""
        if self._living is None or self._living.done():
            self._living = self._link.spawn(self._live)

    @property
    def connected(self) -> bool:
        return self._link.connected and self._loop is not None

    @property
    def most_bytes(self) -> int:
        """Of one message."""
        return _MOST_BYTES

    def news(self) -> list[News]:
        """What came in since."""
        with contextlib.suppress(BlockingIOError):
            while self.bell.recv(4096):
                pass
        found = []
        while self._inbox:
            found.append(self._inbox.popleft())
        return found

    def can(self, kinds: Iterable[str], places: int) -> None:
        """Which kinds of jobs this node takes, and how many tasks it runs at once."""
        before, now = (self._kinds, self._places), (frozenset(kinds), places)
        self._kinds, self._places = now
        if now != before and self._loop:
            self._do(self._say_able)
            self._loop.call_soon_threadsafe(self._offered.set)

    def give_room(self, jobs: int) -> None:
        """How many jobs to pull from now on."""
        if self._room != jobs:
            self._room = jobs
            if self._loop and jobs > 0:
                self._loop.call_soon_threadsafe(self._has_room.set)

    def sweep(self) -> None:
        """Before the next offer, remove what earlier sessions of this node have in the stream."""
        self._swept = False

    def offer(self, offers: Sequence[Offer]) -> None:
        """Publish jobs; of each is told whether it was `Taken` or `Refused`."""
        self.wanted.update(offer.lease for offer in offers)
        self._do(lambda client: self._offer(client, offers))

    def withdraw(self, messages: Iterable[int]) -> None:
        """Remove jobs from the stream, where they still are."""
        numbers = [*messages]
        self._do(lambda client: self._withdraw(client, numbers))

    def look(self, leases: Sequence[tuple[int, int, str]]) -> None:
        """Tell of those (lease, message, session) that are `Gone`."""
        self._do(lambda client: self._look(client, leases))

    def say(self, what: Stop) -> None:
        self._do(lambda client: client.nc.publish(self._subject("stop"), encode(what)))

    def report(self, number: int, owner: str, body: bytes, done: Sequence[Msg]) -> None:
        """Publish a report until it is taken, then acknowledge the jobs that it completes."""
        self._do(lambda client: self._report(client, number, owner, body, done))

    def acknowledge(self, handles: Sequence[Msg]) -> None:
        if handles:
            self._do(lambda _: _each(handles, lambda one: one.ack()))

    def beat(self, handles: Sequence[Msg]) -> None:
        """Say that these are being worked on."""
        self._do(lambda _: _each(handles, lambda one: one.in_progress()))

    def give_back(self, handles: Sequence[Msg], delay_s: float = 0.0) -> Future[Any]:
        """Have others take these, after *delay_s*."""
        return self._do(lambda _: _each(handles, lambda one: one.nak(delay=delay_s or None)))

    def refuse(self, handle: Msg) -> None:
        """Have nobody be given this again: it is no job."""
        self._do(lambda _: _each([handle], lambda one: one.term()))

    def flush(self, timeout_s: float) -> None:
        """Wait until what was asked for is done, or for that long."""
        if self.connected:
            wait([*self._calls], timeout_s)
            with contextlib.suppress(Exception):
                self._link.call(lambda client: client.nc.flush(), timeout_s)

    def close(self) -> None:
        for call in [*self._calls, *([self._living] if self._living else [])]:
            call.cancel()
        self.bell.close()
        self._rings.close()

    # --- below ---------------------------------------------------------------------------------

    def _do(self, make: Callable[[Client], Coroutine[Any, Any, Any]]) -> Future[Any]:
        call = self._link.spawn(make)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def _put(self, news: News) -> None:
        self._inbox.append(news)
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody is there
            self._rings.send(b"x")

    def _subject(self, *parts: str) -> str:
        return self._link.subject("task", *parts)

    def _job_subject(self, token: str, owner: str) -> str:
        return self._link.subject("job", token, owner)

    @property
    def _jobs(self) -> str:
        return self._link.stream("TASKS")

    @property
    def _results(self) -> str:
        return self._link.stream("RESULTS")

    # --- in the loop: what goes on all the time ------------------------------------------------

    async def _live(self, client: Client) -> None:
        self._has_room = asyncio.Event()
        self._offered = asyncio.Event()
        self._pulling = {}
        self._known = set()
        self._loop = asyncio.get_running_loop()
        tasks = [
            asyncio.ensure_future(one)
            for one in (
                self._take_results(client),
                self._announce(client),
                self._find_kinds(client),
            )
        ]
        try:
            await self._listen(client)
            while not client.nc.is_closed:  # noqa: ASYNC110  nothing tells of that
                await asyncio.sleep(1.0)
        finally:
            self._loop = None
            for task in [*tasks, *self._pulling.values()]:
                task.cancel()

    async def _listen(self, client: Client) -> None:
        async def heard(msg: Msg) -> None:
            with contextlib.suppress(ClusterError):  # another version's
                self._put(decode(msg.data, Able))

        async def asked(_: Msg) -> None:
            await self._say_able(client)

        async def stop(msg: Msg) -> None:
            with contextlib.suppress(ClusterError):
                self._put(decode(msg.data, Stop))

        async def offered(_: Msg) -> None:
            self._offered.set()

        await client.nc.subscribe(self._subject("able"), cb=heard)
        await client.nc.subscribe(self._subject("ask"), cb=asked)
        await client.nc.subscribe(self._subject("stop"), cb=stop)
        await client.nc.subscribe(self._subject("offered"), cb=offered)
        await client.nc.publish(self._subject("ask"))

    async def _announce(self, client: Client) -> None:
        while True:
            with contextlib.suppress(Exception):  # the connection is away; it is said again
                await self._say_able(client)
            await asyncio.sleep(_SAY_S)

    async def _say_able(self, client: Client) -> None:
        able = Able(self._node, sorted(self._kinds), self._places)
        await client.nc.publish(self._subject("able"), encode(able))

    async def _find_kinds(self, client: Client) -> None:
        """Pull those kinds of which there are jobs."""
        seen: dict[str, float] = {}
        while True:
            with contextlib.suppress(Exception):
                pattern = self._job_subject("*", "*")
                info = await client.js.stream_info(self._jobs, subjects_filter=pattern)
                there = {name.split(".")[-2] for name in info.state.subjects or ()}
                now = asyncio.get_running_loop().time()
                seen |= dict.fromkeys(there & self._kinds, now)
                self._pull(client, {kind for kind, at in seen.items() if now - at < _IDLE_KIND_S})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._offered.wait(), _LOOK_S)
            self._offered.clear()

    def _pull(self, client: Client, kinds: set[str]) -> None:
        for kind in [kind for kind in self._pulling if kind not in kinds & self._kinds]:
            self._pulling.pop(kind).cancel()
        for kind in (kinds & self._kinds) - self._pulling.keys():
            self._pulling[kind] = asyncio.ensure_future(self._take_jobs(client, kind))

    async def _take_jobs(self, client: Client, kind: str) -> None:
        async def room() -> int:
            while self._room <= 0:
                self._has_room.clear()
                await self._has_room.wait()
            return min(max(self._room // max(len(self._pulling), 1), 1), _MOST_JOBS)

        def take(msg: Msg) -> None:
            self._room -= 1
            self._put(ArrivedJob(msg, msg.data))

        stream, config = jobs_stream(self._link), self._consumer(kind)
        await pull_for_ever(client, self._link, stream, config, room=room, take=take)

    async def _take_results(self, client: Client) -> None:
        async def room() -> int:
            return _MOST_RESULTS

        def take(msg: Msg) -> None:
            self._put(ArrivedReport(msg, msg.data))

        stream, config = results_stream(self._link), results_consumer(self._link, self._node)
        await pull_for_ever(client, self._link, stream, config, room=room, take=take)

    def _consumer(self, kind: str) -> ConsumerConfig:
        return consumer(f"job-{kind}", self._job_subject(kind, "*"), ACK_WAIT_S)

    # --- in the loop: what is asked for ----------------------------------------------------------

    async def _offer(self, client: Client, offers: Sequence[Offer]) -> None:
        try:
            await self._prepare(client, {offer.token for offer in offers})
        except Exception as error:  # noqa: BLE001  whatever it is, they are not there
            for offer in offers:
                self._put(Refused(offer.lease, _told(error)))
            return
        await asyncio.gather(*(self._offer_one(client, offer) for offer in offers))
        with contextlib.suppress(Exception):
            await client.nc.publish(self._subject("offered"))

    async def _prepare(self, client: Client, kinds: set[str]) -> None:
        stream = jobs_stream(self._link)
        if not kinds <= self._known or not self._swept:
            await ensure_stream(client, self._link.settings, stream)
        if not self._swept:
            mine = self._job_subject("*", self._node)
            await client.js.purge_stream(self._jobs, subject=mine)
            self._swept = True
        for kind in kinds - self._known:
            await client.js.add_consumer(self._jobs, self._consumer(kind))
            self._known.add(kind)

    async def _offer_one(self, client: Client, offer: Offer) -> None:
        if offer.lease not in self.wanted:
            return
        subject = self._job_subject(offer.token, self._node)
        headers = {"Nats-Msg-Id": message_id(self._node, offer.session, offer.lease)}
        try:
            found = await client.js.publish(subject, offer.body, headers=headers)
        except Exception as error:  # noqa: BLE001  full, away, or gone
            self._known.clear()
            self._put(Refused(offer.lease, _told(error)))
        else:
            self._put(Taken(offer.lease, found.seq))

    async def _withdraw(self, client: Client, numbers: list[int]) -> None:
        for number in numbers:
            with contextlib.suppress(Exception):  # taken by now
                await client.js.delete_msg(self._jobs, number)

    async def _look(self, client: Client, leases: Sequence[tuple[int, int, str]]) -> None:
        gone = [one for one in leases if not await self._is_there(client, *one)]
        if not gone:
            return
        # A job is acknowledged behind its report: one that is neither there nor on its way to us
        # will not come.
        stream = results_stream(self._link)
        await ensure_stream(client, self._link.settings, stream)
        info = await client.js.add_consumer(self._results, results_consumer(self._link, self._node))
        if not info.num_pending and not info.num_ack_pending:
            for lease, _, _ in gone:
                self._put(Gone(lease))

    async def _is_there(self, client: Client, lease: int, seq: int, session: str) -> bool:
        return await id_of(client, self._jobs, seq) == message_id(self._node, session, lease)

    async def _report(
        self, client: Client, number: int, owner: str, body: bytes, done: Sequence[Msg]
    ) -> None:
        headers = {"Nats-Msg-Id": uuid4().hex}
        pause = _AGAIN_S
        while True:
            try:
                await client.js.publish(self._link.subject("result", owner), body, headers=headers)
                break
            except Exception:  # noqa: BLE001  away or full: it is kept until it can be told
                with contextlib.suppress(Exception):
                    await ensure_stream(client, self._link.settings, results_stream(self._link))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _AGAIN_MOST_S)
        await _each(done, lambda one: one.ack())
        self._put(Reported(number))


async def _each(handles: Sequence[Msg], do: Callable[[Msg], Coroutine[Any, Any, Any]]) -> None:
    for handle in handles:
        with contextlib.suppress(Exception):  # it comes again, and is answered again
            await do(handle)


def _told(error: BaseException) -> str:
    return str(getattr(error, "description", None) or error or type(error).__name__)
