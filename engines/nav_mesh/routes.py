"""Where a domain's requests go: its routes in order, and the rules by which one is left out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from engines.checks import did_you_mean
from engines.errors import InvalidInput, NotFound
from engines.nav_mesh.model import Outgoing, RouteType, ThresholdDomain, Transport
from engines.nav_mesh.rules import domain_name

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that ask and change nothing (RFC 9110, 9.2.1)."""
IDEMPOTENT = SAFE | {"PUT", "DELETE"}
"""Methods that come to the same if they are heard twice (9.2.2)."""


@dataclass(frozen=True, slots=True)
class Route:
    """
    One way to the service behind a domain.

    Attributes:
        name: "primary", "failover", "failover-2" …
        address: What a request's path is appended to.
    """

    domain: str
    name: str
    kind: RouteType
    address: str

    @property
    def key(self) -> str:
        """What its health is kept under: another address is another route."""
        return f"{self.domain} {self.address}"


@dataclass(frozen=True, slots=True)
class DomainRoutes:
    """
    The routes of one domain, best first.

    Attributes:
        hosts: Of which a sandboxed skill's requests take these routes.
        timeout_s: For all attempts at one request together.
        attempt_s: For one.
        retries: How often more each route is tried for a request that may be repeated.
        takes_keys: Whether the service takes each idempotency key once, so that any request may be
            repeated under the one it was given here.
        offline: Whether what cannot be sent now is queued.
        keep_s: How long a queued request is worth sending; None is for ever.
        health_path: What is asked of a route to see whether it is well; "" asks nothing.
    """

    routes: tuple[Route, ...] = ()
    hosts: tuple[str, ...] = ()
    timeout_s: float = 30.0
    attempt_s: float = 10.0
    retries: int = 1
    takes_keys: bool = False
    offline: bool = True
    keep_s: float | None = None
    health_path: str = ""

    def named(self, name: str) -> Route:
        """
        The route of that name.

        Raises:
            NotFound: There is none.
        """
        for route in self.routes:
            if route.name == name:
                return route
        names = [route.name for route in self.routes]
        raise NotFound(
            f"no route {name!r}{did_you_mean(name, names)}",
            hint=f"there are {', '.join(names)}" if names else "no address is configured",
        )


def in_order(domain: str, primary: str, failover: Iterable[str] = ()) -> tuple[Route, ...]:
    """
    The routes of *domain* with these addresses.

    Raises:
        InvalidInput: Two are the same, or there is a failover for no primary.
    """
    addresses = [*failover]
    if addresses and not primary:
        raise InvalidInput(f"{domain}: there is a failover, and no primary to fail over from")
    routes = [Route(domain, "primary", RouteType.PRIMARY, primary)] if primary else []
    for number, address in enumerate(addresses, 1):
        name = "failover" if number == 1 else f"failover-{number}"
        routes.append(Route(domain, name, RouteType.FAILOVER, address))
    if len({route.address for route in routes}) < len(routes):
        raise InvalidInput(f"{domain}: two of its routes have the same address")
    return tuple(routes)


@dataclass(frozen=True, slots=True)
class RouteRules:
    """
    When a route is left out, for how long, and how much is tried; 0 switches a rule off.

    Names and meaning are those of Envoy's outlier detection and circuit breaking.

    Attributes:
        consecutive_5xx: So many answers from 500 on, one after the other.
        consecutive_gateway_failure: So many of 502, 503 and 504.
        consecutive_local_origin_failure: So many times no answer at all; counted apart.
        interval_s: After so long the counts of requests are judged.
        base_ejection_s: How long it is left out the first time; twice that the second time in a
            row, and so on, up to *max_ejection_s*.
        jitter_s: Up to so much longer, drawn.
        max_ejection_percent: Of a domain's routes; the last one is left in whatever this says.
        success_rate_stdev: Left out is whose share of successes is so many standard deviations
            below the mean, where *success_rate_hosts* had *success_rate_requests* each.
        failure_percentage: Or who failed so often, where there are as many.
        retry_percent: Of the requests under way that may be retries, and at least *retry_least*.
        max_requests: Under way at one time in this process, for each domain.
        hedge_after_s: After so long without an answer a question that changes nothing is put to
            the next route too.
        health_every_s: How often routes are asked whether they are well.
        probe_s: How long the one request that tries a route again may keep others from it.
    """

    consecutive_5xx: int = 5
    consecutive_gateway_failure: int = 0
    consecutive_local_origin_failure: int = 5
    interval_s: float = 10.0
    base_ejection_s: float = 30.0
    max_ejection_s: float = 300.0
    jitter_s: float = 3.0
    max_ejection_percent: float = 50.0
    success_rate_hosts: int = 5
    success_rate_requests: int = 100
    success_rate_stdev: float = 1.9
    failure_percentage: float = 85.0
    failure_percentage_hosts: int = 5
    failure_percentage_requests: int = 50
    retry_percent: float = 20.0
    retry_least: int = 3
    max_requests: int = 1024
    hedge_after_s: float = 0.0
    health_every_s: float = 30.0
    health_timeout_s: float = 3.0
    probe_s: float = 15.0


def _no_routes() -> Mapping[str, DomainRoutes]:
    return {}


@dataclass(frozen=True, slots=True)
class Ways:
    """
    What a mesh needs in order to send.

    Attributes:
        transport: Asks one address; None where nothing can be sent.
        outgoing: The offline queue; None where nothing can wait.
        rng: Draws jitter and pauses.
        held: Domains of which nothing that was queued is sent before somebody releases it.
        timer: Seconds, only ever forward.
    """

    domains: Mapping[str, DomainRoutes] = field(default_factory=_no_routes)
    rules: RouteRules = RouteRules()
    transport: Transport | None = None
    outgoing: Callable[[], Outgoing] | None = None
    held: frozenset[str] = frozenset({ThresholdDomain.WEALTH.value})
    rng: random.Random = field(default_factory=random.Random)
    timer: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def of(self, domain: ThresholdDomain | str) -> DomainRoutes:
        """Those of *domain*; without any address where none is configured."""
        return self.domains.get(domain_name(domain), DomainRoutes())
