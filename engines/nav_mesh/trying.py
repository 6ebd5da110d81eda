"""
One request on the routes: each that may be taken in its turn, again where that is worth it.

Owns the attempts, their time and their budget, and what they come to; whether a request may be sent
or has to wait is decided before, in sending.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from engines.errors import JournalError
from engines.nav_mesh.breaker import is_failure, is_gateway_failure
from engines.nav_mesh.budget import Load
from engines.nav_mesh.hedging import in_turn
from engines.nav_mesh.model import Request, Response, Unreached
from engines.nav_mesh.requests import NoRoute
from engines.nav_mesh.routes import SAFE, DomainRoutes, Route
from engines.nav_mesh.routing import Outcome, Routing

_PAUSE_S, _LONGEST_PAUSE_S = 0.025, 0.25


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of one."""

    route: Route
    response: Response | None
    error: Unreached | None

    @property
    def settles(self) -> bool:
        """Whether it is the answer, whatever it says."""
        return self.response is not None and not is_failure(self.response.status)

    @property
    def heard(self) -> bool:
        return self.response is not None or (self.error is not None and self.error.heard)


class Trying(Routing):
    """The part of a nav mesh that tries routes."""

    def __init__(self, gate_log_path: str | Path | None = None, **settings: Any) -> None:
        self._loads: dict[str, Load] = {}
        super().__init__(gate_log_path, **settings)

    def _carry(
        self, domain: str, request: Request, *, repeatable: bool, may_wait: bool
    ) -> Response:
        """By the first route that answers, within the time there is."""
        ways = self.ways.of(domain)
        if not ways.routes or self.ways.transport is None:
            raise no_address(domain)
        load = self._loads.setdefault(domain, Load(self.ways.rules))
        attempts: list[_Attempt] = []
        with load.request() as room:
            if not room:
                raise NoRoute(f"too many requests to {domain} are under way", heard=False)
            for attempt in self._attempts(ways, request, load, may_wait=may_wait):
                if attempt.settles and attempt.response:
                    return attempt.response
                attempts.append(attempt)
                if attempt.heard and not repeatable:
                    break
        return _verdict(domain, attempts)

    def _attempts(
        self, ways: DomainRoutes, request: Request, load: Load, *, may_wait: bool
    ) -> Iterator[_Attempt]:
        """
        Each route once; then again, as often as the budget and the time allow.

        What may wait, and of which nobody has heard, is not tried again while somebody waits for
        it: there is no network, and the queue tries again by itself.
        """
        timeout_s = ways.timeout_s if request.timeout_s is None else request.timeout_s
        deadline = self.ways.timer() + timeout_s
        hedge_s = self.ways.rules.hedge_after_s if request.method in SAFE else 0.0
        heard = False
        for attempt in in_turn(self._tries(ways, request, deadline), hedge_s):
            heard = heard or attempt.heard
            yield attempt
        if may_wait and not heard:
            return
        for again in range(ways.retries):
            longest = min(_PAUSE_S * 2**again, _LONGEST_PAUSE_S)
            tries = self._tries(ways, request, deadline, longest_pause_s=longest)
            while True:
                with load.retry() as room:  # before a route is asked whether it lets one try
                    if not room:
                        return
                    following = next(tries, None)
                    if following is None:
                        break
                    yield following()

    def _tries(
        self,
        ways: DomainRoutes,
        request: Request,
        deadline: float,
        *,
        longest_pause_s: float = 0.0,
    ) -> Iterator[Callable[[], _Attempt]]:
        """An attempt at each route that may be taken when its turn comes, before the *deadline*."""
        for route in ways.routes:
            pause_s = self.ways.rng.uniform(0, longest_pause_s) if longest_pause_s else 0.0
            if self.ways.timer() + pause_s >= deadline:
                return
            if pause_s:
                self.ways.sleep(pause_s)
            admitted, probing = self.admits(route)
            if admitted:
                seconds = min(ways.attempt_s, deadline - self.ways.timer())
                yield partial(self._attempt, route, request, seconds, probing=probing)

    def _attempt(
        self, route: Route, request: Request, seconds: float, *, probing: bool
    ) -> _Attempt:
        response, error = None, None
        assert self.ways.transport  # noqa: S101  asked before the first attempt
        try:
            found = self.ways.transport(route.address, request, max(seconds, 0.001))
            response = replace(found, route=route.kind, target=route.address)
            status = response.status
            outcome = Outcome(status, f"answered with {status}" if is_failure(status) else "")
        except Unreached as failure:
            error, outcome = failure, Outcome(None, failure.message)
        except BaseException:  # such as a header that is none: of the route it says nothing
            if probing:
                with contextlib.suppress(JournalError):
                    self.give_back(route)
            raise
        # What cannot be noted takes no answer away: the gate's decision is on record already.
        with contextlib.suppress(JournalError):
            self.note(route, outcome, probing=probing)
        return _Attempt(route, response, error)


def no_address(domain: str) -> NoRoute:
    return NoRoute(f"no address is configured for {domain}", heard=False)


def _verdict(domain: str, attempts: Sequence[_Attempt]) -> Response:
    """
    What attempts of which none settled it come to.

    Raises:
        NoRoute: The service was not reached.
    """
    answers = [attempt.response for attempt in attempts if attempt.response]
    for answer in reversed(answers):
        if not is_gateway_failure(answer.status):
            return answer
    said = [f"{one.route.name}: {one.error}" for one in attempts if one.error]
    said += [f"{answer.route.value}: answered with {answer.status}" for answer in answers]
    raise NoRoute(
        "; ".join(dict.fromkeys(said)) or f"every route of {domain} is left out for now",
        heard=any(attempt.heard for attempt in attempts),
        answer=answers[-1] if answers else None,
    )
