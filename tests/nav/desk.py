"""A mesh over a real queue: what the tests of sending later share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dino_os.nav.replay import Replayer
from engines.journal import VolatileJournal
from engines.latent_cache import DocumentStore, OfflineQueue
from engines.nav_mesh import (
    DomainRoutes,
    GateRule,
    NavigationMesh,
    Receipt,
    Request,
    Response,
    RouteRules,
    Rules,
    ThresholdDomain,
    Unreached,
    Ways,
    in_order,
)


class Desk:
    """A mesh over a real queue, with a clock and a network that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.asked: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda _: Response(200, {}, b"")
        self.store = DocumentStore(folder / "documents.db", clock=lambda: self.now)
        self.queue = OfflineQueue(self.store, attempts=3)
        self.subjects = ["ada"]
        domains = {
            name: DomainRoutes(in_order(name, f"https://{name}.test"))
            for name in ("info", "wealth")
        }
        ways = Ways(
            domains,
            RouteRules(jitter_s=0, consecutive_local_origin_failure=0),
            transport=self._carry,
            outgoing=lambda: self.queue,
            sleep=lambda _: None,
        )
        gates = {domain: GateRule(10_000) for domain in ThresholdDomain}
        self.mesh = NavigationMesh(
            journal=VolatileJournal(clock=lambda: self.now),
            rules=Rules(gates),
            ways=ways,
            clock=lambda: self.now,
        )

    def _carry(self, address: str, request: Request, seconds: float) -> Response:
        self.asked.append(request)
        return self.answer(request)

    def put(self, path: str, *, domain: str = "info", **more: Any) -> Receipt:
        """As somebody offline, whom the gate let through."""
        request = Request("POST", path, **more)
        return self.queue.put(domain, "ada", request, authorised=True)

    def send(self, path: str = "/1", *, token: str = "", **more: Any) -> Receipt:
        """Send it while nobody is there, with that token or one for it alone."""
        answer, self.answer = self.answer, refused
        token = token or self.mesh.issue_token("info", "ada")
        found = self.mesh.send("info", token, "ada", Request("POST", path, **more))
        assert isinstance(found, Receipt)
        self.answer = answer
        self.asked.clear()
        return found

    def replay(self, *, owner: str = "me", most: int | None = None) -> dict[str, int]:
        replayer = Replayer(self.mesh, self.queue, owner=owner, clock=lambda: self.now)
        found = replayer.run(most=most)
        return {name: count for name, count in found.as_dict().items() if count}

    def release(self, id_: str) -> None:
        """As the command does."""
        self.queue.release(id_, number=self.mesh.last_number())

    @property
    def paths(self) -> list[str]:
        found, self.asked = [request.path for request in self.asked], []
        return found


def refused(request: Request) -> Response:
    raise Unreached("refused", heard=False)


def lost(request: Request) -> Response:
    raise Unreached("nobody there", heard=True)
