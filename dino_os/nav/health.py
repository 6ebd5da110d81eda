"""
Active health checks: each route is asked now and then whether it is well, beside everything else.

They bring a route back sooner than a request would dare to try it, and eject one before a request
has to fail.  What they find is a fact like any other: recorded where it changes something.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.work.duty import Duty
from engines.nav_mesh import NavigationMesh, Outcome, Request, Route, Unreached

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_SPARE_S = 1.0
_ELSEWHERE = 300


@dataclass(slots=True)
class _Check:
    """One question under way."""

    route: Route
    until: float  # monotonic
    outcome: Outcome | None = None
    done: threading.Event = field(default_factory=threading.Event)


class HealthDuty(Duty):
    """Has the routes of *workspace* asked, where `health_path` says what."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.watches: Sequence[Path] = (workspace.memory / "gate_log.jsonl",)
        self._under_way: list[_Check] = []
        self._next = 0.0  # monotonic

    def turn(self) -> float | None:
        """Take note of answers; ask again where that is due."""
        mesh = self._workspace.nav
        self._note(mesh)
        if not any(routes_asked(mesh)):
            return None
        rules, now = mesh.ways.rules, time.monotonic()
        if now >= self._next and not self._under_way:
            self._next = now + rules.health_every_s
            self._under_way = [_asked(mesh, route, path) for route, path in routes_asked(mesh)]
        soon = rules.health_timeout_s / 4 if self._under_way else self._next - now
        return time.time() + max(soon, 0.05)

    def finish(self) -> bool:
        """Have what is under way come to its end."""
        for check in self._under_way:
            check.done.wait(max(check.until - time.monotonic(), 0))
        self._note(self._workspace.nav)
        return False

    def _note(self, mesh: NavigationMesh) -> None:
        over = [c for c in self._under_way if c.done.is_set() or time.monotonic() >= c.until]
        self._under_way = [check for check in self._under_way if check not in over]
        for check in over:
            mesh.checked(check.route, check.outcome or Outcome(None, "health check: no answer"))


def check_now(mesh: NavigationMesh) -> None:
    """Ask every route that can be asked, and wait for what they say."""
    checks = [_asked(mesh, route, path) for route, path in routes_asked(mesh)]
    for check in checks:
        check.done.wait(max(check.until - time.monotonic(), 0))
        mesh.checked(check.route, check.outcome or Outcome(None, "health check: no answer"))


def routes_asked(mesh: NavigationMesh) -> Iterator[tuple[Route, str]]:
    """Routes with what is asked of them."""
    for ways in mesh.ways.domains.values():
        if ways.health_path:
            yield from ((route, ways.health_path) for route in ways.routes)


def _asked(mesh: NavigationMesh, route: Route, path: str) -> _Check:
    seconds = mesh.ways.rules.health_timeout_s
    check = _Check(route, time.monotonic() + seconds + _SPARE_S)
    threading.Thread(target=_ask, args=(mesh, check, path, seconds), daemon=True).start()
    return check


def _ask(mesh: NavigationMesh, check: _Check, path: str, seconds: float) -> None:
    transport = mesh.ways.transport
    try:
        if transport is None:
            raise Unreached("nothing can be sent", heard=False)
        found = transport(check.route.address, Request("GET", path), seconds)
        # Whoever says 302 or 404 to this is not the service, or is not well.
        status = found.status if found.status < _ELSEWHERE else max(found.status, 500)
        check.outcome = Outcome(status, f"health check: answered with {found.status}")
    except DinoError as error:
        check.outcome = Outcome(None, f"health check: {error}")
    finally:
        check.done.set()
