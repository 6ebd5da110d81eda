"""
A sandboxed skill's requests to hosts behind a gate: judged as those of `skill:NAME`, then sent.

The skill speaks HTTP to its proxy as ever.  What it asks of `http://HOST/…` goes by the domain's
routes, at their addresses, and waits in the offline queue where none is open: the skill then has
202 and a receipt.  A tunnel (`https://…` in the skill) is for the skill and its host alone: of that
the gate decides whether it is made, and nothing in it can be carried or queued.  A host is meant on
the ports of its rule: on another it may be another service, which these routes do not lead to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from dino_os.errors import Denied, DinoError, InvalidInput
from dino_os.tool_sandbox.egress import http1
from dino_os.tool_sandbox.egress.carrying import Carried, Declined
from dino_os.tool_sandbox.egress.hosts import Rule, canonical
from engines.nav_mesh import (
    AnswerTooLarge,
    Doubtful,
    GateBusy,
    GateDenied,
    NavigationMesh,
    Receipt,
    Request,
    Response,
    Unreached,
    check_request,
)

QUEUED_HEADER = "Dino-Queued"
_LISTED = {"cookie": "; "}


class SkillCarrier:
    """
    Carries what one skill asks.

    Args:
        hosts: Whose requests are for which domain.
    """

    def __init__(self, mesh: NavigationMesh, hosts: Sequence[tuple[Rule, str]], skill: str) -> None:
        self._mesh = mesh
        self._hosts = hosts
        self._subject = f"skill:{skill}"

    def domain_of(self, host: str, port: int) -> str | None:
        for rule, domain in self._hosts:
            if rule.names(host) and port in rule.ports:
                return domain
        return None

    def admit(self, domain: str, host: str, port: int) -> None:
        del host, port
        try:
            token = self._mesh.issue_token(domain, self._subject, single_use=True)
            decision = self._mesh.decide(domain, token, self._subject)
            if not decision.allowed:
                raise Declined(*_refusal(GateDenied(decision)), denied=True)
        except DinoError as error:
            raise _declined(error) from None

    def carry(
        self, domain: str, asked: http1.Request, body: bytes | None, wanted: Callable[[], bool]
    ) -> Carried:
        path = self._below(domain, asked)
        request = Request(
            asked.method,
            path,
            _folded(asked.fields),
            body,
            # What it writes to one place arrives in the order in which it was written.
            ordered_by=f"{self._subject} {path.partition('?')[0]}",
        )
        try:
            check_request(request)
        except InvalidInput as error:
            raise Declined(400, str(error)) from None
        try:
            token = self._mesh.token_for(domain, self._subject, request)
        except DinoError as error:  # of InvalidInput: that it is not admitted
            raise _declined(error) from None
        try:
            found = self._mesh.send(domain, token, self._subject, request, wanted=wanted)
        except InvalidInput as error:
            if _cannot_wait(body):
                raise Declined(413, f"offline, and too large to wait: {error}") from None
            raise Declined(400, str(error)) from None
        except DinoError as error:
            raise _declined(error) from None
        if isinstance(found, Response):
            return Carried(found.status, found.fields or [*found.headers.items()], found.body)
        return _queued(found)

    def _below(self, domain: str, asked: http1.Request) -> str:
        """The path of *asked* from the routes' addresses on, where it has that of its host."""
        for route in self._mesh.ways.of(domain).routes:
            parts = urlsplit(route.address)
            base = parts.path.rstrip("/")
            if canonical(parts.hostname or "") == asked.host and base:
                rest = asked.path.removeprefix(base)
                if rest != asked.path and rest[:1] in {"", "/", "?"}:
                    return rest if rest.startswith("/") else f"/{rest}"
        return asked.path


def _cannot_wait(body: bytes | None) -> bool:
    """Whether it is more than the offline queue takes."""
    from engines.latent_cache import BODY_LIMIT  # noqa: PLC0415

    return len(body or b"") > BODY_LIMIT


def _queued(receipt: Receipt) -> Carried:
    headers = [("Content-Type", "application/json"), (QUEUED_HEADER, receipt.id)]
    return Carried(202, headers, json.dumps(receipt.as_dict()).encode() + b"\n")


def _declined(error: DinoError) -> Declined:
    status, why = _refusal(error)
    return Declined(status, why, denied=isinstance(error, GateDenied | Denied | InvalidInput))


def _refusal(error: DinoError) -> tuple[int, str]:
    """What of HTTP's statuses says best what *error* is."""
    if isinstance(error, GateBusy):
        return 429, str(error)
    if isinstance(error, GateDenied | Denied):
        return 403, str(error)
    if isinstance(error, InvalidInput):
        return 403, f"{error}; {error.hint}" if error.hint else str(error)
    if isinstance(error, AnswerTooLarge):
        return 502, str(error)
    if isinstance(error, Doubtful):
        return 504, str(error)
    return 503, f"offline: {error}" if isinstance(error, Unreached) else str(error)


def _folded(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each name once, values that were told apart in one list (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, value in fields:
        first = names.setdefault(name.lower(), name)
        between = _LISTED.get(name.lower(), ", ")
        found[first] = f"{found[first]}{between}{value}" if first in found else value
    return found
