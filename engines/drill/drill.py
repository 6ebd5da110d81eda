"""
A drill: hours of work on a virtual clock, with the network really cut, and the proof behind it.

    turn:  weather → edits on both sides, requests into the queue → one try to send what waits
    end:   the network is back for good → everything is sent → `proof`

Requests go over real sockets through a proxy to a real service.  Documents too, where the caller
serves the other side; else they go from store to store while the network is fair.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

from engines import checks
from engines.drill.proof import prove
from engines.drill.proxy import Fault, FaultProxy
from engines.drill.result import Hour, Result
from engines.drill.sending import Sending
from engines.drill.service import CountingService
from engines.drill.weather import Forecast, Weather
from engines.drill.workload import Workload
from engines.errors import InvalidInput
from engines.latent_cache import DocumentStore, OfflineQueue

HOUR_S = 3600.0
LONGEST_S = 1000 * HOUR_S
TURNS_PER_HOUR = 4
_FEWEST_TURNS = 48
_PATIENCE_S = 0.1  # while the network is bad
_PATIENCE_AT_LAST_S = 30.0
_ROUNDS = 50
_TURN_AT_LAST_S = 600.0


class Exchanged(NamedTuple):
    """How many revisions were written, and how many directions were cut off."""

    moved: int = 0
    failed: int = 0


Exchange = Callable[[float], Exchanged]


class Far(Protocol):
    """The other side, served at `port` on loopback."""

    port: int

    def exchange(self, here: DocumentStore, port: int, patience_s: float) -> Exchanged:
        """Replicate both ways with what is behind *port*."""


Serve = Callable[[DocumentStore], AbstractContextManager[Far]]
Step = Callable[[int], None]


class Drill:
    """
    One drill in *folder*, which is the caller's to remove.

    Args:
        hours: Of the virtual clock.
        operations: About how many edits and requests.
        serve: Serves the other side's documents.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hours: float = 24.0,
        seed: int = 0,
        operations: int = 500,
        serve: Serve | None = None,
    ) -> None:
        self._folder = folder
        self._hours, self._seed, self._operations = hours, seed, operations
        self._serve = serve
        self.turns = max(round(hours * TURNS_PER_HOUR), _FEWEST_TURNS)
        self._turn_s = hours * HOUR_S / self.turns
        self._began = self._now = time.time()
        rng = random.Random(seed)  # noqa: S311  it plays the weather, and hides nothing
        self._forecast = Forecast(rng, hours * HOUR_S, patience_s=_PATIENCE_S)
        self._weather = Weather.FAIR
        self._refused = 0
        self._moved = 0

    def run(self, step: Step = lambda _: None) -> Result:
        """Work, reconnect, prove; *step* is told of each turn."""
        began = time.monotonic()
        with ExitStack() as stack:
            here, there, queue = self._stores(stack)
            service = stack.enter_context(CountingService())
            proxies = [FaultProxy(("127.0.0.1", service.port), self._fault)]
            far = stack.enter_context(self._serve(there)) if self._serve else None
            if far:
                proxies.append(FaultProxy(("127.0.0.1", far.port), self._fault))
            for proxy in proxies:
                stack.callback(proxy.close)
            sending = Sending(queue, proxies[0].port, lambda: self._now, service.settle)
            work = Workload(self._seed, here, there, queue, self._operations)
            exchange = self._exchange_of(here, there, far, proxies)
            hours = self._work(work, sending, exchange, proxies, step)
            self._reconnect(sending, exchange, proxies)
            proof = prove(work.account, here, there, queue, service)
        faults = sum((proxy.injected for proxy in proxies), Counter[str]())
        faults["refused"] += self._refused
        del faults["none"]
        return Result(
            hours=tuple(hours),
            seed=self._seed,
            operations=dict(work.account.kinds),
            faults=dict(sorted(faults.items())),
            met_outage=self._met_outage(work, hours),
            attempts_failed=sum(hour.failed for hour in hours),
            seconds=time.monotonic() - began,
            edits=len(work.account.edits),
            requests=len(work.account.requests),
            proof=proof,
        )

    # --- the hours ---------------------------------------------------------------------------

    def _work(
        self,
        work: Workload,
        sending: Sending,
        exchange: Exchange,
        proxies: list[FaultProxy],
        step: Step,
    ) -> list[Hour]:
        hours: list[Hour] = []
        done = 0
        for turn in range(self.turns):
            at = turn * self._turn_s
            self._now = self._began + at
            self._turn_weather(self._forecast.span(at, at + self._turn_s), proxies)
            if int(at // HOUR_S) >= len(hours):
                hours.append(Hour(len(hours)))
            hour = hours[-1]
            share = self._operations * (turn + 1) // self.turns
            hour.made += work.work(turn, share - done)
            done = share
            hour.turns.append(self._weather.value)
            self._now += self._turn_s / 2
            self._try(hour, sending, exchange)
            hour.waiting = len(sending.queue.waiting())
            step(1)
        return hours

    def _turn_weather(self, weather: Weather, proxies: list[FaultProxy]) -> None:
        self._weather = weather
        for proxy in proxies:
            if weather is Weather.CUT:
                proxy.cut()
            else:
                proxy.restore()

    def _try(self, hour: Hour, sending: Sending, exchange: Exchange) -> None:
        """Send what is due, as far as the network lets us; a failure is no error."""
        sent, failed = sending.send(_PATIENCE_S)
        hour.sent += sent
        hour.failed += failed
        moved, cut_off = exchange(_PATIENCE_S)
        hour.moved += moved
        hour.failed += cut_off
        if self._weather is Weather.CUT:
            self._refused += failed + cut_off

    def _fault(self) -> Fault:
        return self._forecast.fault(self._weather)

    # --- the network is back -------------------------------------------------------------------

    def _reconnect(self, sending: Sending, exchange: Exchange, proxies: list[FaultProxy]) -> None:
        """Send everything; what did not arrive after so many rounds never will."""
        self._turn_weather(Weather.FAIR, proxies)
        for _ in range(_ROUNDS):
            self._now += _TURN_AT_LAST_S
            sending.send(_PATIENCE_AT_LAST_S)
            if exchange(_PATIENCE_AT_LAST_S) == Exchanged() and sending.is_empty:
                return

    # --- below -------------------------------------------------------------------------------

    def _stores(self, stack: ExitStack) -> tuple[DocumentStore, DocumentStore, OfflineQueue]:
        from engines.journal import Journal  # noqa: PLC0415

        def clock() -> float:
            return self._now

        journals = [Journal(self._folder / f"{name}_log.jsonl") for name in ("here", "there")]
        here, there = (
            DocumentStore(self._folder / f"{name}.db", journal, clock=clock)
            for name, journal in zip(("here", "there"), journals, strict=True)
        )
        for store in (here, there):
            stack.callback(store.close)
        return here, there, OfflineQueue(here, clock=clock)

    def _exchange_of(
        self,
        here: DocumentStore,
        there: DocumentStore,
        far: Far | None,
        proxies: list[FaultProxy],
    ) -> Exchange:
        if far:
            return lambda patience_s: far.exchange(here, proxies[1].port, patience_s)

        def direct(patience_s: float) -> Exchanged:
            from engines.replication import LocalPeer, replicate  # noqa: PLC0415

            del patience_s
            if self._weather is not Weather.FAIR:
                return Exchanged(failed=2)
            one, other = LocalPeer(here), LocalPeer(there)
            reports = replicate(one, other), replicate(other, one)
            return Exchanged(sum(report.docs_written for report in reports))

        return direct

    def _met_outage(self, work: Workload, hours: list[Hour]) -> set[object]:
        weather = [kind for hour in hours for kind in hour.turns]
        fair = {turn for turn, kind in enumerate(weather) if kind == Weather.FAIR.value}
        found: set[object] = set()
        found |= {edit for edit, told in work.account.edits.items() if told.turn not in fair}
        found |= {key for key, (turn, _, _) in work.account.requests.items() if turn not in fair}
        return found


def survives(seconds: float, *, operations: int = 60, seed: int = 0) -> bool:
    """
    Whether all that is queued and edited in so long on a bad network arrives, and once.

    Raises:
        InvalidInput: *seconds* is no time, or longer than `LONGEST_S`.
    """
    import tempfile  # noqa: PLC0415

    if checks.at_least(seconds, 0, "seconds") > LONGEST_S:
        raise InvalidInput(f"seconds must be at most {LONGEST_S:,.0f}, found {seconds!r}")
    with tempfile.TemporaryDirectory(prefix="dino-drill-") as folder:
        hours = max(seconds, 1.0) / HOUR_S
        return Drill(Path(folder), hours=hours, seed=seed, operations=operations).run().ok
