"""
The circuit breaker of one route: closed, open (ejected), half open (one request at a time tries).

Owns the state and how facts change it; nothing here decides or looks at a clock.  Counting and the
length of an ejection are Envoy's.  Where Envoy lets all requests back at once when the time of an
ejection is over, here one goes first: its success closes the circuit, its failure ejects again.
The last route of a domain is never ejected; where it fails, it is half open within seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from engines.nav_mesh.routes import RouteRules

BY_HAND = "operator"
FIVES, GATEWAY, LOCAL = "5xx", "gateway", "local"
_GATEWAY = frozenset({502, 503, 504})
_SERVER_FAULT, _NO_STATUS = 500, 600


class Circuit(Enum):
    """Whether a route is taken."""

    CLOSED = "closed"  # as any
    OPEN = "open"  # ejected: not at all
    HALF_OPEN = "half_open"  # by one request at a time


def is_failure(status: int) -> bool:
    """Whether an answer of that *status* is the route's fault; 4xx is whoever asked's."""
    return _SERVER_FAULT <= status < _NO_STATUS


def is_gateway_failure(status: int) -> bool:
    """Whether it says that the service behind the route was not reached."""
    return status in _GATEWAY


@dataclass(slots=True)
class Health:
    """
    What is known of one route.

    Attributes:
        failures: Of each kind, how many came one after the other.
        times: How often in a row it was ejected, when it last was.
        since: When the ejection, or the probe, began.
        until: When an ejection ends; None where somebody has to end it.
        returned_at: When it was last let back; each interval from then on takes one of *times*.
        probe_until: Until when the one request that tries it, or has just done so in vain, keeps
            others away.
        windows: Interval → [answered, of these failures, tried, of these without answer].
    """

    circuit: Circuit = Circuit.CLOSED
    failures: dict[str, int] = field(default_factory=dict)
    times: int = 0
    since: float = 0.0
    until: float | None = 0.0
    returned_at: float = 0.0
    probe_until: float = 0.0
    cause: str = ""
    windows: dict[int, list[int]] = field(default_factory=dict)

    # --- what facts change -------------------------------------------------------------------

    def failed(self, status: int | None) -> None:
        """One more failure: an answer of that *status*, or none."""
        if status is None:
            self._one_more(LOCAL)
            return
        self.failures.pop(LOCAL, None)  # somebody was there
        self._one_more(FIVES)
        if is_gateway_failure(status):
            self._one_more(GATEWAY)
        else:
            self.failures.pop(GATEWAY, None)

    def answered(self) -> None:
        self.failures.clear()

    def ejected(self, since: float, until: float | None, times: int, cause: str) -> None:
        self.since = since
        self.circuit, self.until, self.times, self.cause = Circuit.OPEN, until, times, cause
        self.failures.clear()
        self.probe_until = 0.0

    def on_trial(self, since: float, next_at: float, times: int, cause: str) -> None:
        """Half open without having been ejected; nobody tries it before *next_at*."""
        self.circuit, self.until, self.times, self.cause = Circuit.HALF_OPEN, 0.0, times, cause
        self.failures.clear()
        self.since, self.probe_until = since, next_at

    def probed(self, since: float, until: float) -> None:
        self.circuit, self.since, self.probe_until = Circuit.HALF_OPEN, since, until

    def returned(self, at: float) -> None:
        self.circuit, self.returned_at, self.cause = Circuit.CLOSED, at, ""
        self.until = self.probe_until = 0.0
        self.failures.clear()

    def counted(self, window: int, counts: list[int]) -> None:
        before = self.windows.get(window, [0, 0, 0, 0])
        self.windows[window] = [a + b for a, b in zip(before, counts, strict=True)]
        for old in [number for number in self.windows if number < window - 1]:
            del self.windows[old]

    def _one_more(self, kind: str) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + 1

    # --- what follows from it ----------------------------------------------------------------

    @property
    def by_hand(self) -> bool:
        """Whether somebody left it out, whatever it would answer."""
        return self.circuit is Circuit.OPEN and self.cause == BY_HAND

    def tripped(self, rules: RouteRules) -> str:
        """Which count says that it is to be left out; "" where none does."""
        limits = {
            FIVES: ("consecutive_5xx", rules.consecutive_5xx),
            GATEWAY: ("consecutive_gateway_failure", rules.consecutive_gateway_failure),
            LOCAL: ("consecutive_local_origin_failure", rules.consecutive_local_origin_failure),
        }
        for kind, (cause, most) in limits.items():
            if most and self.failures.get(kind, 0) >= most:
                return cause
        return ""

    def is_over(self, now: float) -> bool:
        """Whether an ejection's time has passed, also where the clock was set back since."""
        return self.until is not None and not self.since <= now < self.until

    def is_probed(self, now: float) -> bool:
        """Whether a request tries it now, or has just failed to."""
        return self.since <= now < self.probe_until

    def times_left(self, now: float, rules: RouteRules) -> int:
        """What counts of *times*: one less for each interval that it has been back."""
        if self.circuit is not Circuit.CLOSED:
            return self.times
        passed = now // rules.interval_s - self.returned_at // rules.interval_s
        return max(self.times - max(int(passed), 0), 0)

    def next_times(self, now: float, rules: RouteRules) -> int:
        """Its *times* if it is ejected now."""
        times, base = self.times_left(now, rules), rules.base_ejection_s
        # It stops growing where more would make no difference, so that it wears off sooner.
        return times + 1 if times * base < rules.max_ejection_s + base else times


def ejection_s(times: int, rules: RouteRules) -> float:
    """How long an ejection lasts, without jitter."""
    return min(rules.base_ejection_s * times, rules.max_ejection_s)
