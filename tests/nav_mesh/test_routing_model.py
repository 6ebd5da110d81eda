"""The circuit breaker against a model of Envoy's outlier detection, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.journal import Event, VolatileJournal
from engines.nav_mesh.routes import DomainRoutes, RouteRules, Ways, in_order
from engines.nav_mesh.routing import Outcome, Routing

INTERVAL, BASE, MOST, LEASE, PAUSE = 10, 30, 300, 15, 5
OUTCOMES = st.sampled_from([200, 404, 500, 503, None])


@dataclass
class Host:
    """One host as Envoy keeps it; `half` is the one thing that Envoy has not."""

    fives: int = 0
    gateways: int = 0
    locals: int = 0
    backoff: int = 0
    ejected_at: int | None = None
    half: bool = False
    lease: int = -1

    @property
    def circuit(self) -> str:
        if self.half:
            return "half_open"
        return "closed" if self.ejected_at is None else "open"

    def clear(self) -> None:
        self.fives = self.gateways = self.locals = 0


@dataclass
class Envoy:
    """
    Source: envoy/source/common/upstream/outlier_detection_impl.cc (ejectHost, checkHostForUneject,
    putHttpResponseCode, split mode), with a probe in place of the return of all requests.
    """

    size: int
    most_percent: int
    gateway: int
    now: int = 0
    hosts: list[Host] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts = [Host() for _ in range(self.size)]

    def advance(self, seconds: int) -> None:
        ticks = (self.now + seconds) // INTERVAL - self.now // INTERVAL
        self.now += seconds
        for host in self.hosts:
            if host.circuit == "closed":
                host.backoff = max(host.backoff - ticks, 0)

    def admits(self, number: int) -> tuple[bool, bool]:
        host = self.hosts[number]
        if host.circuit == "closed":
            return True, False
        if host.circuit == "half_open":
            due = self.now >= host.lease
        else:
            assert host.ejected_at is not None
            due = min(BASE * host.backoff, MOST) <= self.now - host.ejected_at
        if due:
            host.half, host.lease = True, self.now + LEASE
        return due, due

    def note(self, number: int, status: int | None, *, probing: bool) -> None:
        host = self.hosts[number]
        if status is not None and status < 500:
            host.clear()
            if host.half:
                self.uneject(host)
            return
        if probing:
            self.eject(host)
        elif host.circuit == "closed":
            host.locals = host.locals + 1 if status is None else 0
            host.fives += status is not None
            if status is not None:
                host.gateways = host.gateways + 1 if status == 503 else 0
            if 5 in {host.fives, host.locals} or (self.gateway and host.gateways == self.gateway):
                self.eject(host)

    def eject(self, host: Host) -> None:
        others = [other.circuit for other in self.hosts if other is not host]
        host.clear()
        if 100 * others.count("open") / self.size >= self.most_percent or "closed" not in others:
            if "closed" not in others or host.half:
                host.half, host.ejected_at, host.lease = True, None, self.now + PAUSE
            return
        if host.backoff * BASE < MOST + BASE:
            host.backoff += 1
        host.half, host.ejected_at = False, self.now

    def uneject(self, host: Host) -> None:
        host.half, host.ejected_at, host.lease = False, None, -1
        host.clear()


class Kept(Routing):
    """Shows what it wrote."""

    def __init__(self, **settings: Any) -> None:
        self.written: list[Event] = []
        super().__init__(**settings)

    def record(self, event_type: str, **payload: Any) -> Event:
        event = super().record(event_type, **payload)
        self.written.append(event)
        return event


class Breakers(RuleBasedStateMachine):
    """Every answer and every state are those of the model."""

    @initialize(
        size=st.integers(1, 4),
        percent=st.sampled_from([10, 50, 100]),
        gateway=st.sampled_from([0, 2]),
    )
    def begin(self, size: int, percent: int, gateway: int) -> None:
        self.model = Envoy(size, percent, gateway)
        names = [f"https://{number}.test" for number in range(size)]
        self.of_domain = in_order("info", names[0], names[1:])
        rules = RouteRules(
            consecutive_gateway_failure=gateway,
            jitter_s=0,
            max_ejection_percent=percent,
            probe_s=LEASE,
        )
        ways = Ways({"info": DomainRoutes(self.of_domain)}, rules)
        self.routing = Kept(
            journal=VolatileJournal(), clock=lambda: float(self.model.now), ways=ways
        )
        self.under_way: list[tuple[int, bool]] = []

    @rule(number=st.integers(0, 3), status=OUTCOMES, times=st.integers(1, 6))
    def ask(self, number: int, status: int | None, times: int) -> None:
        """Requests that are over before anything else happens."""
        number %= self.model.size
        for _ in range(times):
            admitted, probing = self.admits(number)
            if admitted:
                self.note(number, status, probing=probing)

    @rule(number=st.integers(0, 3), early=st.integers(0, 1), probes=st.integers(1, 12))
    def fail_again_and_again(self, number: int, early: int, probes: int) -> None:
        """Left out, tried as soon as its time is over, or a second before, and left out again."""
        number %= self.model.size
        host = self.model.hosts[number]
        for _ in range(probes):
            for _ in range(5):
                admitted, probing = self.admits(number)
                if admitted:
                    self.note(number, None, probing=probing)
            if host.ejected_at is not None:
                over = host.ejected_at + min(BASE * host.backoff, MOST)
                self.model.advance(max(over - self.model.now - early, 0))

    @rule(number=st.integers(0, 3))
    def come_back(self, number: int) -> None:
        """Left out for as long as it takes, and then well."""
        number %= self.model.size
        self.model.advance(MOST)
        self.ask(number, 200, 1)

    @rule(number=st.integers(0, 3))
    def begin_to_ask(self, number: int) -> None:
        """A request that takes its time, or never comes to an end."""
        number %= self.model.size
        admitted, probing = self.admits(number)
        if admitted:
            self.under_way.append((number, probing))

    @precondition(lambda self: any(not probing for _, probing in self.under_way))
    @rule(status=OUTCOMES)
    def end(self, status: int | None) -> None:
        """Of those, one that was begun as any other."""
        number = next(number for number, probing in self.under_way if not probing)
        self.under_way.remove((number, False))
        self.note(number, status, probing=False)

    @rule(seconds=st.sampled_from([1, 7, 10, 14, 15, 30, 60, 299, 300, 2000]))
    def wait(self, seconds: int) -> None:
        self.model.advance(seconds)

    @rule(number=st.integers(0, 3))
    def pass_health_check(self, number: int) -> None:
        """A successful active health check un-ejects and clears the counters."""
        number %= self.model.size
        host = self.model.hosts[number]
        if host.circuit != "closed":
            self.model.uneject(host)
        host.clear()
        self.routing.checked(self.of_domain[number], Outcome(200))

    @invariant()
    def both_say_the_same(self) -> None:
        shown = self.routing.routes("info")
        assert [one["circuit"] for one in shown] == [host.circuit for host in self.model.hosts]
        assert [one["times_ejected"] for one in shown] == [h.backoff for h in self.model.hosts]
        assert {one["circuit"] for one in shown} != {"open"}  # never the last route

    @invariant()
    def the_record_alone_says_it_too(self) -> None:
        again = Routing(journal=VolatileJournal(), ways=self.routing.ways)
        for event in self.routing.written:
            again._apply(event)
        assert again._health == self.routing._health

    def admits(self, number: int) -> tuple[bool, bool]:
        found = self.routing.admits(self.of_domain[number])
        assert found == self.model.admits(number)
        return found

    def note(self, number: int, status: int | None, *, probing: bool) -> None:
        self.routing.note(self.of_domain[number], Outcome(status), probing=probing)
        self.model.note(number, status, probing=probing)


TestBreakers = Breakers.TestCase
TestBreakers.settings = settings(max_examples=18, stateful_step_count=30, deadline=None)
