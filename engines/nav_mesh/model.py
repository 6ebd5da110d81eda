"""The words of the nav mesh: domains, routes, requests, what a gate decides, what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from engines.checks import time_text
from engines.errors import DinoError


class ThresholdDomain(Enum):
    """What a request is about; a token is good for one."""

    WEALTH = "wealth"
    INFO = "info"
    MYTH = "myth"


class RouteType(Enum):
    """The way that a request took."""

    PRIMARY = "primary"
    FAILOVER = "failover"
    OFFLINE = "offline"


class GateResult(Enum):
    """What a gate says."""

    ALLOWED = "allowed"
    DENIED = "denied"
    RATE_LIMITED = "rate_limited"
    INVALID_TOKEN = "invalid_token"  # noqa: S105  a word, no token


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What a gate decided, and by which rule.

    Attributes:
        rule: The rule that decided, in snake_case: "ok", "expired", "wrong_audience", "revoked" …
        reason: The same for people.
        token_id: Of the token, where it could be read.
        retry_after_s: When a request that came too soon may come again.
    """

    result: GateResult
    rule: str
    reason: str = ""
    token_id: str | None = None
    retry_after_s: float | None = None

    @property
    def allowed(self) -> bool:
        return self.result is GateResult.ALLOWED


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request for the service behind a domain, whichever route it takes.

    Attributes:
        path: With its query, from the route's address on; begins with "/".
        idempotency_key: The same for every attempt; what has one may be sent again.
        ordered_by: Requests with the same are sent in the order in which they were queued.
        flow: What it is a step of; a token can be narrowed to one.
        cell: The part of the domain whose gate it passes; "" is the domain's own gate.
        timeout_s: For all attempts together; None is the domain's own.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    idempotency_key: str | None = None
    ordered_by: str = ""
    flow: str = ""
    timeout_s: float | None = None
    cell: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """
    What a service answered; header names in small letters.

    Attributes:
        lacks: Why its body is not here; "" where it is.
        fields: Its headers as they came, also those of one name, where they are known.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    route: RouteType = RouteType.PRIMARY
    target: str = ""
    lacks: str = ""
    fields: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """For a request that was queued durably, and is sent once, later."""

    id: str
    domain: str
    idempotency_key: str
    queued_at: float
    held: bool = False  # somebody has to release it

    def as_dict(self) -> dict[str, Any]:
        """It as whoever sent the request is shown it."""
        return {
            "queued": self.id,
            "domain": self.domain,
            "idempotency_key": self.idempotency_key,
            "queued_at": time_text(self.queued_at),
            "held": self.held,
        }


class Unreached(DinoError):
    """
    No answer came from a route: offline, refused, cut off, or not in time.

    Attributes:
        heard: Whether the request may have arrived all the same.
    """

    exit_code = 4

    def __init__(self, message: str, *, heard: bool) -> None:
        self.heard = heard
        super().__init__(message)


Transport = Callable[[str, Request, float], Response]
"""(address of the route, request, seconds) → response; raises `Unreached`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """
    The token that let a request through, as far as a revocation can mean it.

    Attributes:
        issued: When the first was that it came from.
        tokens: Its id, and those of the tokens that it was narrowed from.
        number: What has a higher one was recorded later.
    """

    issued: float
    tokens: tuple[str, ...]
    number: int = 0


class Outgoing(Protocol):
    """Where requests wait that have no route: the offline queue's face."""

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
        """Queue *request*; the same idempotency key gets the same receipt."""

    def must_wait(self, domain: str, subject: str, request: Request) -> bool:
        """Whether *request* waits already, or one that goes before it."""
