"""
What a webhook gets: a POST of JSON, signed where a key is named.

At least once, under one key: `Idempotency-Key` and `webhook-id` stay the same over all attempts, so
a receiver that remembers it takes each delivery once.  The signature follows Standard Webhooks: the
HMAC-SHA256 of `ID.TIME.BODY` in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from dino_os.errors import DinoError
from dino_os.outbox.model import Delivery
from dino_os.outbox.places import document
from dino_os.web_calls import Unreachable, call

_ANSWER_BYTES = 65536
_LONGEST_WAIT_S = 86400.0
_PREFIX = "whsec_"
_OVERLOADED = frozenset({408, 425, 429})
_SERVER_FAULT = 500


class Refused(DinoError):
    """
    It was answered, and not with a yes.

    Attributes:
        overloaded: Whether the receiver as a whole is in trouble, not this delivery.
        after_s: How long it asks us to wait.
    """

    def __init__(self, message: str, *, overloaded: bool, after_s: float | None) -> None:
        self.overloaded, self.after_s = overloaded, after_s
        super().__init__(message)


def post(delivery: Delivery, url: str, *, secret: str | None, now: float, timeout_s: float) -> int:
    """
    Send *delivery* to *url*; the status of the answer.

    Args:
        secret: Signs it.

    Raises:
        Unreachable: Nobody answered, or not in time; it may have arrived all the same.
        Refused: The answer was no.
        InvalidInput: The address cannot be called.
    """
    body = json.dumps(document(delivery), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "dino",
        "Idempotency-Key": delivery.key,
        "webhook-id": delivery.key,
        "webhook-timestamp": str(int(now)),
    }
    if secret:
        headers["webhook-signature"] = signature(secret, delivery.key, int(now), body)
    answer = call(
        "POST",
        url,
        headers=headers,
        body=body,
        timeout_s=timeout_s,
        most_bytes=_ANSWER_BYTES,
    )
    if answer.ok:
        return answer.status
    asked = answer.retry_after_s
    raise Refused(
        f"answered with status {answer.status}",
        overloaded=answer.status in _OVERLOADED or answer.status >= _SERVER_FAULT,
        after_s=None if asked is None else min(asked, _LONGEST_WAIT_S),
    )


def signature(secret: str, key: str, moment: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{key}.{moment}.".encode() + body
    digest = hmac.new(_secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _secret_bytes(secret: str) -> bytes:
    """The bytes behind `whsec_…`, as Standard Webhooks writes keys; of another text its own."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            pass
    return secret.encode()


__all__ = ["Refused", "Unreachable", "post", "signature"]
