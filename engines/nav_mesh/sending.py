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
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from engines.errors import JournalError
from engines.nav_mesh.deciding import refused
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
from engines.nav_mesh.routes import IDEMPOTENT, SAFE
from engines.nav_mesh.rules import domain_name
from engines.nav_mesh.scope import is_prefix
from engines.nav_mesh.trying import Trying, no_address


class Sending(Trying):
    """The part of a nav mesh that sends."""

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
            raise no_address(name)
        must_wait = offline or (may_wait and self._must_wait(name, user_id, request, own_key))
        if must_wait:
            return self._queue(name, token, user_id, request, repeatable=repeatable)
        try:
            return whole(self._carry(name, request, repeatable=repeatable, may_wait=may_wait))
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
        released: int | None = None,
        grant: Grant | None = None,
        repeatable: bool = True,
    ) -> Response:
        """
        Send what was queued, under its key, with a token of one use that the gate judges as any.

        Args:
            queued_at: When it was queued; without it no revocation is looked for.
            grant: The token that it came with; without one it counts as issued at *queued_at*.
            released: The record's `last_number` when somebody let it go, who knew of what was
                revoked before.
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

        def revoked() -> bool:
            return queued_at is not None and self._taken_back(
                name, user_id, grant, queued_at, released
            )

        token = None
        if not revoked():
            self._unlock(name)
            with self.deciding():  # what is revoked after this means the new token too
                token = None if revoked() else self.token_for(name, user_id, request)
        if token is None:
            raise GateDenied(refused("revoked"))
        self._pass_gate(name, token, user_id, request)
        return self._carry(name, request, repeatable=repeatable, may_wait=True)

    def token_for(self, domain: ThresholdDomain | str, user_id: str, request: Request) -> str:
        """
        A token for *request* alone, good for one use.

        Raises:
            InvalidInput: *user_id* is not admitted to *domain*.
        """
        path = request.path.partition("?")[0]
        scope = path if is_prefix(path) else ""
        flow, cell = request.flow, request.cell
        return self.issue_token(domain, user_id, flow=flow, path=scope, single_use=True, cell=cell)

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
        scope = {"flow": request.flow, "path": request.path, "cell": request.cell}
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
        grant = None
        if claims:
            family = claims.token_id, *claims.parents
            grant = Grant(claims.issued, family, claims.number)
        receipt = outgoing().put(
            domain,
            user_id,
            request,
            authorised=claims is not None,
            grant=grant,
            repeatable=repeatable,
            expires_at=until,
        )
        # It is queued, whether that can be noted here or not.
        with contextlib.suppress(JournalError), self.deciding():
            self.record("request_queued", domain=domain, request=receipt.id, at=self.clock())
            self.note_path(domain)
        return replace(receipt, held=receipt.held or domain in self.ways.held)
