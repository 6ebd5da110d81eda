"""What stands in for the offline queue and the network where neither is what a test is about."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engines.journal import VolatileJournal
from engines.nav_mesh import (
    DomainRoutes,
    Grant,
    NavigationMesh,
    Receipt,
    Request,
    Response,
    RouteRules,
    Unreached,
    Ways,
    in_order,
)

PRIMARY, SECOND, THIRD = "https://one.test", "https://two.test", "https://three.test"
Answer = int | str | Callable[[Request], Response]


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Network:
    """
    Answers by address: a status, or "refused" (never heard), "lost" (heard, no answer).

    Attributes:
        asked: Address and request of each attempt.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Request]] = field(default_factory=list)

    def __call__(self, address: str, request: Request, seconds: float) -> Response:
        assert seconds > 0
        self.asked.append((address, request))
        answer = self.answers.get(address, 200)
        if callable(answer):
            return answer(request)
        if isinstance(answer, str):
            raise Unreached(f"{address}: {answer}", heard=answer == "lost")
        return Response(answer, {}, b"ok")

    @property
    def took(self) -> list[str]:
        """The addresses that were asked, since this was last looked at."""
        found, self.asked = [address for address, _ in self.asked], []
        return found


class Queue:
    """What was put, in memory."""

    def __init__(self) -> None:
        self.put_: list[tuple[str, str, Request, bool]] = []
        self.grants: list[Grant | None] = []
        self.repeatable: list[bool] = []
        self.waits: Callable[[Request], bool] = lambda _: False
        self._ids = itertools.count(1)

    def put(
        self,
        domain: str,
        subject: str,
        request: Request,
        *,
        authorised: bool,
        grant: Grant | None = None,
        repeatable: bool = True,
        expires_at: float | None = None,
    ) -> Receipt:
        self.put_.append((domain, subject, request, authorised))
        self.grants.append(grant)
        self.repeatable.append(repeatable)
        assert request.idempotency_key
        id_ = f"q-{next(self._ids)}"
        return Receipt(id_, domain, request.idempotency_key, 0.0, held=domain == "wealth")

    def must_wait(self, domain: str, subject: str, request: Request) -> bool:
        return self.waits(request)


@dataclass
class Site:
    """A mesh, its network, its queue, and a token for ada."""

    mesh: NavigationMesh
    network: Network
    queue: Queue
    clock: Clock
    token: str

    def send(self, method: str = "POST", path: str = "/v1/notes", **more: Any) -> Any:
        offline_ok = more.pop("offline_ok", True)
        token = more.pop("token", self.token)
        request = Request(method, path, **more)
        return self.mesh.send("info", token, "ada", request, offline_ok=offline_ok)

    def circuits(self) -> list[str]:
        return [route["circuit"] for route in self.mesh.routes("info")]


def site(
    *addresses: str, journal: Any = None, rules: RouteRules | None = None, **more: Any
) -> Site:
    """A site whose info domain has these routes, best first."""
    clock, network, queue = Clock(), Network(), Queue()
    routes = in_order("info", addresses[0] if addresses else "", addresses[1:])
    ways = Ways(
        {"info": DomainRoutes(routes, **more)},
        rules or RouteRules(jitter_s=0),
        transport=network,
        outgoing=lambda: queue,
        timer=clock,
        sleep=lambda _: None,
    )
    mesh = NavigationMesh(journal=journal or VolatileJournal(clock=clock), ways=ways, clock=clock)
    return Site(mesh, network, queue, clock, mesh.issue_token("info", "ada"))
