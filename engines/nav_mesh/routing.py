"""
Which route may be taken now: health folded from the gate log, the same for every process.

Failures are recorded one by one; successes only where they change something, and as counts for each
interval where there are enough routes to compare.  A route that is left out costs nothing, so what
a dead network writes is bounded: a few failures, an ejection, and one probe each time it is over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.nav_mesh.breaker import BY_HAND, Circuit, Health, ejection_s, is_failure
from engines.nav_mesh.model import RouteType, ThresholdDomain
from engines.nav_mesh.outliers import outliers
from engines.nav_mesh.route_state import RouteState
from engines.nav_mesh.routes import Route, Ways
from engines.nav_mesh.rules import domain_name

_OFFLINE = RouteType.OFFLINE.value
_OF_A_REASON = 200
# So long nobody else waits for the last route, which has just failed: what is sent is offline at
# once, and whoever gave up waiting and asks again is told so in time.
_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How an attempt at a route ended.

    Attributes:
        status: Of the answer; None where there was none.
        why: For people, where it failed.
    """

    status: int | None
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.status is None or is_failure(self.status)


class Routing(RouteState):
    """
    The routes' part of a nav mesh.

    Args:
        ways: Which routes there are, and what they are taken with.
    """

    def __init__(
        self, gate_log_path: str | Path | None = None, *, ways: Ways | None = None, **settings: Any
    ) -> None:
        self.ways = ways or Ways()
        self._tally_guard = threading.Lock()
        self._tally: dict[int, dict[str, list[int]]] = {}
        self._answers: dict[str, int] = {}  # by route, since something was recorded of it
        super().__init__(gate_log_path, **settings)

    # --- what operators do -------------------------------------------------------------------

    def eject_route(
        self, domain: ThresholdDomain | str, name: str, *, for_s: float | None = None
    ) -> bool:
        """
        Leave a route out for so long, or until `return_route`; also the last one.

        Returns:
            False where it was left out for good already.

        Raises:
            NotFound: There is none of that name.
        """
        route = self.ways.of(domain).named(name)
        with self.deciding():
            health = self._of(route)
            if for_s is None and health.by_hand and health.until is None:
                return False
            now = self.clock()
            until = None if for_s is None else now + for_s
            times = health.times_left(now, self.ways.rules)
            self._record(route, "route_ejected", cause=BY_HAND, until=until, times=times)
        return True

    def return_route(self, domain: ThresholdDomain | str, name: str) -> bool:
        """
        Take a route again, whatever it was left out for; False where it is taken.

        Raises:
            NotFound: There is none of that name.
        """
        return self._return(self.ways.of(domain).named(name), BY_HAND)

    # --- health checks -----------------------------------------------------------------------

    def checked(self, route: Route, outcome: Outcome) -> None:
        """
        Take note of an active health check.

        One that succeeds ends an ejection at once and clears what was counted, though not one that
        an operator made; one that fails counts as any failure does.
        """
        health = self._of(route)
        if outcome.failed and health.circuit is Circuit.CLOSED:
            self._failed(route, outcome, probing=False)
        elif not outcome.failed and health.circuit is not Circuit.CLOSED:
            if not health.by_hand:
                self._return(route, "health_check")
        elif not outcome.failed and health.failures:
            self._answered(route)

    # --- what sending asks and tells ---------------------------------------------------------

    def admits(self, route: Route) -> tuple[bool, bool]:
        """Whether *route* may be taken now, and whether that is the one request that tries it."""
        health = self._of(route)
        if health.circuit is Circuit.CLOSED:
            return True, False
        if not self._may_probe(health):
            return False, False
        with self.deciding():
            health = self._of(route)
            if health.circuit is Circuit.CLOSED:  # somebody else has just seen it well
                return True, False
            if not self._may_probe(health):
                return False, False
            self._record(route, "route_probed", until=self.clock() + self.ways.rules.probe_s)
        return True, True

    def give_back(self, route: Route) -> None:
        """Let another request try *route*: the one that was to do so never went out."""
        with self.deciding():
            self._record(route, "route_probed", until=self.clock())

    def note(self, route: Route, outcome: Outcome, *, probing: bool) -> None:
        """Take note of how a request on *route* ended."""
        self._count(route, outcome)
        if outcome.failed:
            self._failed(route, outcome, probing=probing)
            return
        health = self._of(route)
        if probing or health.circuit is Circuit.HALF_OPEN:
            self._return(route, "probe")
        elif health.failures:
            self._answered(route)
        self.note_path(route.domain, route.address)

    def note_path(self, domain: str, taken: str = _OFFLINE) -> None:
        """Record that requests of *domain* now take another way than before."""
        if self._was_taken(domain) == taken:
            return
        with self.deciding():
            if (before := self._was_taken(domain)) != taken:
                kinds = {"kind": self._kind(domain, taken), "was": self._kind(domain, before)}
                self.record("route_switched", domain=domain, to=taken, **kinds, at=self.clock())

    def settle_counts(self) -> None:
        """Record and judge what was counted in intervals that are over."""
        window = self._window()
        with self._tally_guard:
            over = sorted(number for number in self._tally if number < window)
            counted = [(number, self._tally.pop(number)) for number in over]
        if not counted:
            return
        routes = {route.key: route for ways in self.ways.domains.values() for route in ways.routes}
        with self.deciding():
            for number, counts in counted:
                for key, numbers in counts.items():
                    self._record(routes[key], "route_counted", window=number, counts=numbers)
                self._judge({routes[key].domain for key in counts}, number)

    # --- queries -----------------------------------------------------------------------------

    def get_status(self) -> dict[str, Any]:
        """Requests, gates, keys, routes and anomalies, as they are now."""
        of_gates = super().get_status()
        routes = {name: self.routes(name) for name in self.ways.domains}
        return {**of_gates, "path_switches": self.path_switches, "routes": routes}

    def routes(self, domain: ThresholdDomain | str | None = None) -> list[dict[str, Any]]:
        """Every configured route, with its health."""
        self.refresh()
        domains = self.ways.domains if domain is None else [domain_name(domain)]
        return [self._shown(route) for name in domains for route in self.ways.of(name).routes]

    def route_taken(self, domain: ThresholdDomain | str) -> RouteType:
        """The way that the last request of *domain* took; the primary where there are no routes."""
        name = domain_name(domain)
        if not self.ways.of(name).routes:
            return RouteType.PRIMARY
        return RouteType(self._kind(name, self._was_taken(name)))

    # --- below -------------------------------------------------------------------------------

    def _failed(self, route: Route, outcome: Outcome, *, probing: bool) -> None:
        with self.deciding():
            health = self._of(route)
            was_to_try = Circuit.HALF_OPEN if probing else Circuit.CLOSED
            if health.circuit is not was_to_try:  # it was under way when that was decided
                return
            why = outcome.why[:_OF_A_REASON]
            answers = self._take_answers(route)
            self._record(route, "route_failed", status=outcome.status, why=why, answers=answers)
            if probing:
                self._leave_out(route, "probe")
            elif cause := self._of(route).tripped(self.ways.rules):
                self._leave_out(route, cause)
            self.raise_alarms(self.clock())

    def _leave_out(self, route: Route, cause: str) -> None:
        """Eject *route*, unless too many are or it is the last; within `deciding()`."""
        rules, now, health = self.ways.rules, self.clock(), self._of(route)
        of_all = self.ways.of(route.domain).routes
        circuits = [self._of(other).circuit for other in of_all if other.key != route.key]
        others_out = 100 * circuits.count(Circuit.OPEN) / len(of_all)
        too_many = others_out >= rules.max_ejection_percent
        if too_many and Circuit.CLOSED in circuits and health.circuit is Circuit.CLOSED:
            self._record(route, "route_kept", cause=cause)
        elif too_many or Circuit.CLOSED not in circuits:
            times = health.times_left(now, rules)
            next_at = now + _PAUSE_S
            self._record(route, "route_on_trial", cause=cause, times=times, next_at=next_at)
        else:
            times = health.next_times(now, rules)
            jitter = self.ways.rng.uniform(0, rules.jitter_s)
            until = now + ejection_s(times, rules) + jitter
            self._record(route, "route_ejected", cause=cause, until=until, times=times)

    def _return(self, route: Route, by: str) -> bool:
        with self.deciding():
            health = self._of(route)
            if health.circuit is Circuit.CLOSED:
                return False
            if by == "probe" and health.circuit is Circuit.OPEN:  # ejected anew meanwhile
                return False
            self._record(route, "route_returned", by=by, answers=1 + self._take_answers(route))
        return True

    def _answered(self, route: Route) -> None:
        with self.deciding():
            if self._of(route).failures:
                self._record(route, "route_answered", answers=1 + self._take_answers(route))

    def _take_answers(self, route: Route) -> int:
        with self._tally_guard:
            return self._answers.pop(route.key, 0)

    def _may_probe(self, health: Health) -> bool:
        now = self.clock()
        if health.circuit is Circuit.OPEN:
            return health.is_over(now)
        return not health.is_probed(now)

    def _count(self, route: Route, outcome: Outcome) -> None:
        rules = self.ways.rules
        fewest = min(rules.success_rate_hosts, rules.failure_percentage_hosts)
        if len(self.ways.of(route.domain).routes) >= fewest:
            answered = outcome.status is not None
            one = [answered, answered and outcome.failed, True, not answered]
            with self._tally_guard:
                counts = self._tally.setdefault(self._window(), {})
                before = counts.get(route.key, [0, 0, 0, 0])
                counts[route.key] = [a + b for a, b in zip(before, one, strict=True)]
        if not outcome.failed:
            with self._tally_guard:
                self._answers[route.key] = self._answers.get(route.key, 0) + 1
        if self._tally:
            self.settle_counts()

    def _judge(self, domains: Iterable[str], window: int) -> None:
        for domain in sorted(domains):
            of_all = {route.key: route for route in self.ways.of(domain).routes}
            standing = {
                key: found
                for key in of_all
                if (found := self._health.get(key)) and found.circuit is not Circuit.OPEN
            }
            for key, cause in _outliers_of(standing, window, self.ways).items():
                self._leave_out(of_all[key], cause)

    def _window(self) -> int:
        return int(self.clock() // self.ways.rules.interval_s)

    def _record(self, route: Route, event_type: str, **facts: Any) -> None:
        where = {"domain": route.domain, "route": route.name, "address": route.address}
        self.record(event_type, **where, at=self.clock(), **facts)

    def _was_taken(self, domain: str) -> str:
        routes = self.ways.of(domain).routes
        return self._taken.get(domain) or (routes[0].address if routes else _OFFLINE)

    def _kind(self, domain: str, taken: str) -> str:
        kinds = {route.address: route.kind.value for route in self.ways.of(domain).routes}
        return kinds.get(taken, _OFFLINE)

    def _shown(self, route: Route) -> dict[str, Any]:
        health, now, rules = self._of(route), self.clock(), self.ways.rules
        out = health.circuit is Circuit.OPEN
        return {
            "domain": route.domain,
            "route": route.name,
            "kind": route.kind.value,
            "address": route.address,
            "circuit": health.circuit.value,
            "cause": health.cause,
            "until": health.until if out else None,
            "by_hand": health.by_hand,
            "due": health.circuit is not Circuit.CLOSED and self._may_probe(health),
            "times_ejected": health.times_left(now, rules),
            "failures": dict(health.failures),
            "taken": self._was_taken(route.domain) == route.address,
        }


def _outliers_of(standing: dict[str, Health], window: int, ways: Ways) -> dict[str, str]:
    """Those that answered worse than the others, and those that were reached less often."""
    counts: dict[str, Sequence[int]] = {
        key: health.windows[window] for key, health in standing.items() if window in health.windows
    }
    answers = outliers({key: (c[0], c[1]) for key, c in counts.items()}, ways.rules)
    local = outliers({key: (c[2], c[3]) for key, c in counts.items()}, ways.rules)
    return {key: f"{cause} (local origin)" for key, cause in local.items()} | answers
