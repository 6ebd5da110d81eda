"""Gates that are brought to use all that they can keep; their keys lie in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from dino_os.workspace import Workspace
from engines.nav_mesh import (
    DomainRoutes,
    GateDenied,
    MemoryKeys,
    NavigationMesh,
    Outcome,
    RouteRules,
    Ways,
    in_order,
)

Step = Callable[[Workspace], Any]
ROUTES = in_order("info", "https://one.test", ["https://two.test"])
WAYS = Ways(
    {"info": DomainRoutes(ROUTES)},
    RouteRules(interval_s=0.001, success_rate_hosts=1, consecutive_5xx=3),
)


def steps(mark: str) -> Iterator[Step]:
    keys, held = MemoryKeys(), {}

    def nav(w: Workspace) -> NavigationMesh:
        w.__dict__["gate_keys"] = keys  # not those of whoever runs the tests
        w.nav.ways = WAYS
        return w.nav

    def issue(w: Workspace) -> None:
        held["info"] = nav(w).issue_token("info", "ada", path="/tides")
        held["once"] = nav(w).issue_token("wealth", "ada", single_use=True)
        held["step"] = nav(w).attenuate(held["info"], flow="tide", life_s=60)

    def use(w: Workspace) -> None:
        for _ in range(3):
            nav(w).decide("info", held["info"], "ada", path="/tides/elbe")
            nav(w).decide("wealth", held["once"], "ada")
        nav(w).decide("info", held["step"], "ada", flow="tide", path="/tides")
        nav(w).decide("myth", None, "grace", offline=True)

    def attack(w: Workspace) -> None:
        mesh = nav(w)
        for number in range(40):
            mesh.decide("info", f"a.b.{number:086}", f"eve-{number % 7}")
        with contextlib.suppress(GateDenied):
            mesh.attenuate(held["once"])
        mesh.close()

    def misuse(w: Workspace) -> None:
        """A token of ours, and more often than a minute allows."""
        mesh = nav(w)
        with mesh.deciding():
            for _ in range(210):
                mesh.decide("info", held["info"], "ada", path="/tides")
        mesh.close()

    yield issue
    yield use
    yield lambda w: travel(nav(w), mark)
    yield attack
    yield lambda w: nav(w).detect_anomalies()
    yield lambda w: nav(w).rotate("info")
    yield lambda w: nav(w).block("info", mark, 3600)
    yield lambda w: nav(w).block("myth", mark, 3600)
    yield lambda w: nav(w).release("myth", mark)
    yield misuse
    yield lambda w: nav(w).revoke(token_id=nav(w).claims_of(held["step"]).token_id, since=0)
    yield lambda w: nav(w).revoke(subject="ada")
    yield lambda w: nav(w).revoke(domain="myth", before=1.0)
    yield lambda w: nav(w).rotate("wealth", now=True)


def travel(mesh: NavigationMesh, why: str) -> None:
    """Each state that a route can be in."""
    first, second = ROUTES
    for _ in range(3):
        mesh.note(first, Outcome(503, why), probing=False)
    mesh.note(second, Outcome(200), probing=False)
    for _ in range(6):
        mesh.note(second, Outcome(None, why), probing=False)
    mesh.admits(second)
    mesh.note_path("info")
    mesh.return_route("info", "primary")
    mesh.note(first, Outcome(404), probing=False)
    mesh.note(first, Outcome(500, why), probing=False)
    mesh.eject_route("info", "primary")
