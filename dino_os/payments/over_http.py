"""
The provider `http`: payments over one plain HTTP shape.

    POST /v1/payments               {"amount": 1250, "currency": "EUR", "reference": KEY, …}
    GET  /v1/payments/ID
    POST /v1/payments/ID/refunds    {"amount": 1250, "reference": KEY}
    GET  /v1/payments/ID/refunds/ID

Each POST carries `Idempotency-Key: KEY`, each request `Authorization: Bearer …`.  Answers are
{"id", "status": confirmed | pending | declined, "amount", "currency", "reference", "reason"?}.
402 is declined; so are 400, 404 and the like, but only where no request with that key can have been
heard before.  409 (one with this key is under way), 429 and 5xx are unavailable; a request is
sent again where nothing came back or a 5xx did, which its key makes safe.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dino_os.errors import InvalidInput
from dino_os.payments.model import Charge
from dino_os.redaction import Redactor
from dino_os.secret import Secret
from dino_os.web_calls import Unreachable, call, checked_url
from engines.orders import Answer, Outcome

if TYPE_CHECKING:
    from dino_os.web_calls import Answer as Reply

_DECLINED, _BROKEN = 402, range(500, 600)
# This request charged nothing, and would fare no better again.
_REFUSED = {400, 404, 405, 410, 413, 415}
_STATUSES = {Outcome.CONFIRMED, Outcome.PENDING, Outcome.DECLINED}
_name = re.compile(r"[A-Za-z0-9._:-]{1,200}").fullmatch
_PAUSE_S = 0.25
_MOST_BYTES = 1 << 20
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


class HttpProvider:
    """
    A `PaymentProvider` below the address *url*.

    Args:
        key: The bearer key.
        timeout_s: Of each try.
        key_life_s: How long the other side remembers idempotency keys.
        tries: How often a request is sent at most.
        pause: Waits between two tries.

    Raises:
        InvalidInput: It is no address, or would carry the key in clear over a network.
    """

    moves_money = True
    local = False

    def __init__(
        self,
        url: str,
        key: Secret,
        *,
        timeout_s: float,
        key_life_s: float,
        tries: int = 3,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.key_life_s = key_life_s
        self._url = _checked_site(url)
        self._timeout_s = timeout_s
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
                reply = call(
                    method,
                    self._url + path,
                    headers=headers,
                    body=content,
                    timeout_s=self._timeout_s,
                    most_bytes=_MOST_BYTES,
                )
            except Unreachable as error:
                heard = heard or error.heard
                what = "its answer got lost" if error.heard else "cannot be reached"
                last = f"{what}: {error.message}"
                continue
            if reply.status not in _BROKEN:
                return self._read(reply, key, heard_before=heard)
            heard, last = True, f"it is out of order ({reply.status})"
        return self._unavailable(last, sent=heard)

    def _read(self, reply: Reply, key: str | None, *, heard_before: bool) -> Answer:
        if reply.ok:
            return self._read_body(reply.body, key)
        reason = f"{_said(reply.body)} ({reply.status})".strip()
        if reply.status == _DECLINED:
            return Answer(Outcome.DECLINED, reason=self._redactor.redact(f"declined: {reason}"))
        if reply.status in _REFUSED and key and not heard_before:
            text = self._redactor.redact(f"refused: {reason}")
            return Answer(Outcome.DECLINED, reason=text, refused=True)
        return self._unavailable(reason, retry_after_s=reply.retry_after_s)

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


def _checked_site(url: str) -> str:
    try:
        parts = checked_url(url)
    except InvalidInput as error:
        raise InvalidInput(f"orders.http.url: {error.message}", hint=error.hint) from None
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise InvalidInput(
            f"orders.http.url: {url!r} would send the key in clear", hint="use https"
        )
    return parts._replace(path=parts.path.rstrip("/"), query="", fragment="").geturl()


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
