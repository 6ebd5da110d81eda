"""
The provider `http`: payments over one plain HTTP shape.

    POST /v1/payments               {"amount": 1250, "currency": "EUR", "reference": KEY, …}
    GET  /v1/payments/ID
    POST /v1/payments/ID/refunds    {"amount": 1250, "reference": KEY}
    GET  /v1/payments/ID/refunds/ID

Each POST carries `Idempotency-Key: KEY`, each request `Authorization: Bearer …`.  Answers are
{"id", "status": confirmed | pending | declined, "amount", "currency", "reference", "reason"?}.
402 is declined.  409 (one with this key is under way), 429 and 5xx are unavailable; a request is
sent again where nothing came back or a 5xx did, which its key makes safe.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from dino_os.payments.exchange import Lost, NotSent, Reply, Site
from dino_os.payments.model import Charge
from dino_os.redaction import Redactor
from dino_os.secret import Secret
from engines.orders import Answer, Outcome

_OK, _DECLINED, _LIMITED, _BROKEN = range(200, 300), 402, 429, range(500, 600)
# Nothing was charged, and the same request would fare no better.
_REFUSED = {400, 404, 405, 410, 413, 415}
_STATUSES = {Outcome.CONFIRMED, Outcome.PENDING, Outcome.DECLINED}
_name = re.compile(r"[A-Za-z0-9._:-]{1,200}").fullmatch
_PAUSE_S = 0.25


class HttpProvider:
    """
    A `PaymentProvider` behind *site*.

    Args:
        key: The bearer key.
        key_life_s: How long the other side remembers idempotency keys.
        tries: How often a request is sent at most.
        pause: Waits between two tries.
    """

    moves_money = True
    local = False

    def __init__(
        self,
        site: Site,
        key: Secret,
        *,
        key_life_s: float,
        tries: int = 3,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.key_life_s = key_life_s
        self._site = site
        self._key = key
        self._tries = tries
        self._pause = pause
        self._redactor = Redactor([key.reveal()])

    def charge(self, order: Charge, idempotency_key: str) -> Answer:
        body: dict[str, Any] = {
            "amount": order.amount,
            "currency": order.currency,
            "reference": idempotency_key,
            "order": order.order_id,
        }
        if order.customer:
            body["customer"] = order.customer
        return self._ask("POST", "/v1/payments", idempotency_key, body)

    def status(self, reference: str) -> Answer:
        return self._ask("GET", f"/v1/payments/{_checked(reference)}")

    def refund(self, reference: str, amount: int, idempotency_key: str) -> Answer:
        path = f"/v1/payments/{_checked(reference)}/refunds"
        body = {"amount": amount, "reference": idempotency_key}
        return self._ask("POST", path, idempotency_key, body)

    def refund_status(self, reference: str, refund: str) -> Answer:
        return self._ask("GET", f"/v1/payments/{_checked(reference)}/refunds/{_checked(refund)}")

    # --- below the face ----------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, key: str | None = None, body: dict[str, Any] | None = None
    ) -> Answer:
        """Ask until there is an answer that counts; the last one where there is none."""
        headers = {"Authorization": f"Bearer {self._key.reveal()}", "Accept": "application/json"}
        if key:
            headers |= {"Idempotency-Key": key, "Content-Type": "application/json"}
        content = json.dumps(body).encode() if body else None
        heard, last = False, ""
        for number in range(self._tries):
            if number:
                self._pause(_PAUSE_S * 2 ** (number - 1))
            try:
                reply = self._site.ask(method, path, headers, content)
            except NotSent as error:
                last = f"cannot be reached: {error}"
                continue
            except Lost as error:
                heard, last = True, f"its answer got lost: {error}"
                continue
            if reply.status not in _BROKEN:
                return self._read(reply, key)
            heard, last = True, f"it is out of order ({reply.status})"
        return self._unavailable(last, sent=heard)

    def _read(self, reply: Reply, key: str | None) -> Answer:
        if reply.status in _OK:
            return self._read_body(reply.body, key)
        reason = f"{_said(reply.body)} ({reply.status})".strip()
        if reply.status == _DECLINED:
            return Answer(Outcome.DECLINED, reason=self._redactor.redact(f"declined: {reason}"))
        if reply.status in _REFUSED and key:
            return Answer(Outcome.DECLINED, reason=self._redactor.redact(f"refused: {reason}"))
        wait = (
            _retry_after_s(reply)
            if reply.status == _LIMITED or "retry-after" in reply.headers
            else None
        )
        return self._unavailable(reason, retry_after_s=wait)

    def _read_body(self, body: bytes, key: str | None) -> Answer:
        try:
            answer = answer_of(json.loads(body))
            said = json.loads(body).get("reference", key)
        except (ValueError, RecursionError) as error:
            return self._unavailable(f"its answer cannot be read: {error}")
        if key and said != key:
            return self._unavailable(f"it speaks of another payment: {str(said)[:80]}")
        return answer

    def _unavailable(
        self, reason: str, *, sent: bool = True, retry_after_s: float | None = None
    ) -> Answer:
        text = self._redactor.redact(reason)
        return Answer(Outcome.UNAVAILABLE, reason=text, sent=sent, retry_after_s=retry_after_s)


def answer_of(form: Any) -> Answer:
    """
    Read a payment's, or a refund's, JSON form.

    Raises:
        ValueError: It is not one.
    """
    if not isinstance(form, dict):
        raise ValueError("not an object")  # noqa: TRY004  of the text, not of a call
    name, status, amount = form.get("id"), form.get("status"), form.get("amount")
    currency, reason = form.get("currency"), form.get("reason")
    if not (isinstance(name, str) and _name(name)):
        raise ValueError("no id")
    if not isinstance(status, str) or status not in _STATUSES:
        raise ValueError(f"status {str(status)[:40]!r} is none of confirmed, pending, declined")
    if type(amount) is not int or not isinstance(currency, str):
        raise ValueError("no amount in minor units, or no currency")
    text = reason if isinstance(reason, str) else ""
    return Answer(Outcome(status), name, amount, currency[:8], text)


def _checked(reference: str) -> str:
    if not _name(reference):
        raise ValueError("not a reference of ours")
    return reference


def _said(body: bytes) -> str:
    """The reason in an answer's body, where there is one."""
    try:
        form = json.loads(body)
        text = form.get("reason") or form.get("message") or ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    return text[:200] if isinstance(text, str) else ""


def _retry_after_s(reply: Reply) -> float | None:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
