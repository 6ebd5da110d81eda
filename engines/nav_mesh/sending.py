"""
One request, from the gate to an answer or a receipt.

    gate ──▶ primary ──▶ failover … ──▶ offline: queued, sent later
      └ denied

A failure without an answer leaves open whether the request arrived, unless there never was a
connection.  What may have arrived is only repeated where that does no harm: its method changes
nothing twice, or it has an idempotency key that the service honours.  Everything else is the
caller's to decide, and an error says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from engines.errors import JournalError
from engines.nav_mesh.breaker import is_failure, is_gateway_failure
from engines.nav_mesh.budget import Load
from engines.nav_mesh.deciding import refused
from engines.nav_mesh.hedging import in_turn
from engines.nav_mesh.issuing import GateDenied
from engines.nav_mesh.model import (
    GateResult,
    Grant,
    Receipt,
    Request,
    Response,
    ThresholdDomain,
    Unreached,
)
from engines.nav_mesh.requests import (
    KEY_HEADER,
    Doubtful,
    GateBusy,
    NoRoute,
    check_request,
    named_key,
    whole,
    with_key,
)
from engines.nav_mesh.routes import IDEMPOTENT, SAFE, DomainRoutes, Route
from engines.nav_mesh.routing import Outcome, Routing
from engines.nav_mesh.rules import domain_name
from engines.nav_mesh.scope import is_prefix

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


class Sending(Routing):
    """The part of a nav mesh that sends."""

    def __init__(self, gate_log_path: str | Path | None = None, **settings: Any) -> None:
        self._loads: dict[str, Load] = {}
        super().__init__(gate_log_path, **settings)

    # --- the face ----------------------------------------------------------------------------

    def send(
        self,
        domain: ThresholdDomain | str,
        token: str | None,
        user_id: str,
        request: Request,
        *,
        offline_ok: bool = True,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Response | Receipt:
        """
        Send *request* as *user_id*, by the first route of *domain* that answers.

        Without a token (None) nothing is sent: it is queued, and held until somebody releases it,
        or the same request comes with a token, under the same key.

        Args:
            offline_ok: Queue it where no route answers; what only asks (GET …) is never queued.
            wanted: Whether the sender still waits; what failed meanwhile is not queued behind the
                back of somebody who gave it up, and may be sending it anew.

        Returns:
            The answer, whatever its status, or a receipt where it waits in the offline queue; also
            where it does already, or one that goes before it.

        Raises:
            GateDenied: The token does not allow it.
            AnswerTooLarge: It was answered, with more than is taken.
            Unreached: No route answered, and it was not queued.
            Doubtful: It may have arrived; see the module.
            InvalidInput: It is no request that could be sent.
        """
        name = domain_name(domain)
        check_request(request)
        offline = token is None
        self._pass_gate(name, token, user_id, request, offline=offline)
        own_key = named_key(request)
        ways = self.ways.of(name)
        repeatable = bool(own_key) or ways.takes_keys or request.method in IDEMPOTENT
        if own_key or request.method not in SAFE:
            request = with_key(request, own_key or uuid4().hex)
        may_wait = offline_ok and self._may_wait(name, request)
        if offline and not may_wait:
            raise Unreached(f"without a token {request.method} is not sent", heard=False)
        if offline and not ways.routes:
            raise _no_address(name)
        must_wait = offline or (may_wait and self._must_wait(name, user_id, request, own_key))
        if must_wait:
            return self._queue(name, token, user_id, request, repeatable=repeatable)
        try:
            return whole(self._carry(name, request, repeatable=repeatable))
        except Unreached as error:
            may_repeat = repeatable or not error.heard
            if may_wait and may_repeat and ways.routes and wanted():
                return self._queue(name, token, user_id, request, repeatable=repeatable)
            if isinstance(error, NoRoute) and error.answer:
                return whole(error.answer)
            if may_repeat:
                raise
            raise Doubtful(
                f"{error}; it may have arrived, and is not sent again: "
                f"a {request.method} with an {KEY_HEADER} would be",
                heard=True,
            ) from None

    def resend(
        self,
        domain: ThresholdDomain | str,
        user_id: str,
        request: Request,
        *,
        queued_at: float | None = None,
        released_at: float | None = None,
        grant: Grant | None = None,
        repeatable: bool = True,
    ) -> Response:
        """
        Send what was queued, under its key, with a token of one use that the gate judges as any.

        Args:
            released_at: When somebody let it go, who knew of what was revoked before.
            grant: The token that it came with; without one it counts as issued at *queued_at*.
            repeatable: Whether to try again where it may have arrived.

        Raises:
            InvalidInput: The subject is given no token.
            GateDenied: The gate does not let it through now, or the token that it came with was
                revoked.
            Unreached: No route answered.
        """
        name = domain_name(domain)
        check_request(request)
        self.refresh()
        if queued_at is not None:
            known = grant or Grant(queued_at, ())
            if self._taken_back(name, user_id, known, queued_at, released_at):
                raise GateDenied(refused("revoked"))
        token = self.token_for(name, user_id, request)
        self._pass_gate(name, token, user_id, request)
        return self._carry(name, request, repeatable=repeatable)

    def token_for(self, domain: ThresholdDomain | str, user_id: str, request: Request) -> str:
        """
        A token for *request* alone, good for one use.

        Raises:
            InvalidInput: *user_id* is not admitted to *domain*.
        """
        path = request.path.partition("?")[0]
        scope = path if is_prefix(path) else ""
        return self.issue_token(domain, user_id, flow=request.flow, path=scope, single_use=True)

    # --- below -------------------------------------------------------------------------------

    def _pass_gate(
        self,
        domain: str,
        token: str | None,
        user_id: str,
        request: Request,
        *,
        offline: bool = False,
    ) -> None:
        scope = {"flow": request.flow, "path": request.path}
        decision = self.decide(domain, token, user_id, offline=offline, **scope)
        if not decision.allowed:
            late = decision.result is GateResult.RATE_LIMITED
            raise (GateBusy if late else GateDenied)(decision)

    def _may_wait(self, domain: str, request: Request) -> bool:
        return (
            self.ways.outgoing is not None
            and self.ways.of(domain).offline
            and request.method not in SAFE
        )

    def _must_wait(self, domain: str, user_id: str, request: Request, own_key: str | None) -> bool:
        """Whether it waits already, or one that goes before it."""
        outgoing = self.ways.outgoing
        if outgoing is None or not (own_key or request.ordered_by):
            return False
        return outgoing().must_wait(domain, user_id, request)

    def _queue(
        self, domain: str, token: str | None, user_id: str, request: Request, *, repeatable: bool
    ) -> Receipt:
        outgoing, keep_s = self.ways.outgoing, self.ways.of(domain).keep_s
        if outgoing is None:
            raise Unreached("there is no offline queue", heard=False)
        until = None if keep_s is None else self.clock() + keep_s
        claims = None if token is None else self.claims_of(token)
        receipt = outgoing().put(
            domain,
            user_id,
            request,
            authorised=claims is not None,
            grant=Grant(claims.issued, (claims.token_id, *claims.parents)) if claims else None,
            repeatable=repeatable,
            expires_at=until,
        )
        # It is queued, whether that can be noted here or not.
        with contextlib.suppress(JournalError), self.deciding():
            self.record("request_queued", domain=domain, request=receipt.id, at=self.clock())
            self.note_path(domain)
        return replace(receipt, held=receipt.held or domain in self.ways.held)

    def _carry(self, domain: str, request: Request, *, repeatable: bool) -> Response:
        """By the first route that answers, within the time there is."""
        ways = self.ways.of(domain)
        if not ways.routes or self.ways.transport is None:
            raise _no_address(domain)
        load = self._loads.setdefault(domain, Load(self.ways.rules))
        attempts: list[_Attempt] = []
        with load.request() as room:
            if not room:
                raise NoRoute(f"too many requests to {domain} are under way", heard=False)
            for attempt in self._attempts(ways, request, load):
                if attempt.settles and attempt.response:
                    return attempt.response
                attempts.append(attempt)
                if attempt.heard and not repeatable:
                    break
        return _verdict(domain, attempts)

    def _attempts(self, ways: DomainRoutes, request: Request, load: Load) -> Iterator[_Attempt]:
        """Each route once; then again, as often as the budget and the time allow."""
        timeout_s = ways.timeout_s if request.timeout_s is None else request.timeout_s
        deadline = self.ways.timer() + timeout_s
        hedge_s = self.ways.rules.hedge_after_s if request.method in SAFE else 0.0
        yield from in_turn(self._tries(ways, request, deadline), hedge_s)
        for again in range(ways.retries):
            longest = min(_PAUSE_S * 2**again, _LONGEST_PAUSE_S)
            tries = self._tries(ways, request, deadline, longest_pause_s=longest)
            while True:
                with load.retry() as room:  # before a route is asked whether it lets one try
                    if not room:
                        return
                    attempt = next(tries, None)
                    if attempt is None:
                        break
                    yield attempt()

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


def _no_address(domain: str) -> NoRoute:
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
