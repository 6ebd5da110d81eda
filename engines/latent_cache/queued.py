"""A request of the offline queue, and how it lies in its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from engines import checks
from engines.errors import InvalidInput
from engines.nav_mesh import Grant, Receipt, Request

BODY_LIMIT = 8 * 2**20
QUEUED, CLAIMED, HELD = "queued", "claimed", "held"
SENT, DEAD, DROPPED, EXPIRED = "sent", "dead", "dropped", "expired"
LIVE = (QUEUED, CLAIMED, HELD)
COLUMNS = (
    "id, domain, subject, key, method, path, headers, body, ordered_by, flow, cell, timeout_s, "
    "state, attempts, answered, due, queued, expires, ended, authorised, granted, repeatable, "
    "released, released_number, owner, status, reason"
)
LISTED = COLUMNS.replace("body", "NULL AS body")


@dataclass(frozen=True, slots=True)
class Queued:
    """
    A request that waits, or waited, to be sent.

    Attributes:
        state: queued, claimed, held; or at its end sent, dead, dropped or expired.
        request: Without its body where several are listed, and once it was sent.
        attempts: How often it was tried; `answered`: how often the service itself refused it.
        due: When it is to be tried; of one that is claimed, when the lease ends.
        authorised: Whether a gate had let it through before it was queued, by the token `grant`.
        repeatable: Whether it may be sent again where it may have arrived.
        released_at: When somebody looked at it, and let it go.
        released_number: The last number that the gate log had given out then.
        reason: Why it is not sent yet, or never will be.
    """

    id: str
    domain: str
    subject: str
    request: Request
    idempotency_key: str
    state: str
    attempts: int
    answered: int
    due: float
    queued_at: float
    expires_at: float | None
    ended_at: float | None
    authorised: bool
    grant: Grant | None
    repeatable: bool
    released_at: float | None
    released_number: int | None
    owner: str | None
    status: int | None
    reason: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Queued:
        request = Request(
            row["method"],
            row["path"],
            orjson.loads(row["headers"]),
            row["body"],
            idempotency_key=row["key"],
            ordered_by=row["ordered_by"],
            flow=row["flow"],
            timeout_s=row["timeout_s"],
            cell=row["cell"],
        )
        return cls(
            id=row["id"],
            domain=row["domain"],
            subject=row["subject"],
            request=request,
            idempotency_key=row["key"],
            state=row["state"],
            attempts=row["attempts"],
            answered=row["answered"],
            due=row["due"],
            queued_at=row["queued"],
            expires_at=row["expires"],
            ended_at=row["ended"],
            authorised=bool(row["authorised"]),
            grant=_grant(row["granted"]),
            repeatable=bool(row["repeatable"]),
            released_at=row["released"],
            released_number=row["released_number"],
            owner=row["owner"],
            status=row["status"],
            reason=row["reason"],
        )

    def can_retry(self) -> bool:
        """Whether it is still to be sent."""
        return self.state in LIVE

    @property
    def receipt(self) -> Receipt:
        return Receipt(
            self.id, self.domain, self.idempotency_key, self.queued_at, held=self.state == HELD
        )

    def as_dict(self) -> dict[str, Any]:
        """What may be shown of it: neither headers nor body."""
        return {
            "id": self.id,
            "domain": self.domain,
            "subject": self.subject,
            "method": self.request.method,
            "path": self.request.path,
            "cell": self.request.cell or None,
            "key": self.idempotency_key,
            "ordered_by": self.request.ordered_by or None,
            "state": self.state,
            "attempts": self.attempts,
            "authorised": self.authorised,
            "queued_at": checks.time_text(self.queued_at),
            "due_at": checks.time_text(self.due) if self.state in {QUEUED, CLAIMED} else None,
            "expires_at": checks.time_text(self.expires_at),
            "ended_at": checks.time_text(self.ended_at),
            "status": self.status,
            "reason": self.reason or None,
        }


def _grant(written: str | None) -> Grant | None:
    if written is None:
        return None
    form = orjson.loads(written)
    return Grant(form["issued"], tuple(form["tokens"]), form.get("number", 0))


def fingerprint(request: Request) -> str:
    """What tells a request from another under the same key."""
    parts = [request.method.encode(), request.path.encode(), request.body or b""]
    if request.cell:  # what passed another gate is another
        parts.append(request.cell.encode())
    return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()


def check(request: Request) -> None:
    """
    Raises:
        InvalidInput: It cannot be kept.
    """
    body = request.body
    if body is not None and (not isinstance(body, bytes) or len(body) > BODY_LIMIT):
        raise InvalidInput(f"a request's body must be bytes, at most {BODY_LIMIT:,}")
    if not request.path.startswith("/"):
        raise InvalidInput(f'a request\'s path begins with "/", found {request.path!r}'[:200])
    if request.idempotency_key == "":
        raise InvalidInput("an idempotency key must not be empty")
    for name, value in request.headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidInput(f"a request's headers must be text, found {name!r}"[:200])
