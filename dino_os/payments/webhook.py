"""
Webhooks: what a provider tells by itself, believed only where its signature stands.

The signature is a header `t=1789412345,v1=<hex>`: HMAC-SHA256 with the shared key over the time, a
point and the body's bytes.  Several `v1` may stand there while a key is being changed.  One that is
too old, or too far ahead, is refused, so that none can be kept for later.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

from dino_os.errors import Denied, InvalidInput
from dino_os.payments.over_http import answer_of
from dino_os.secret import Secret
from engines.orders import Answer

LARGEST = 1 << 20
_LONGEST_HEADER = 4096
_part = re.compile(
    r"\s*(t=(?P<time>[0-9]{1,12})|v1=(?P<mac>[0-9a-f]{64})|[a-z0-9]{1,8}=[^,]{0,256})\s*"
).fullmatch


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook says: *answer* about the transfer that has *name*, ours or the provider's."""

    event_id: str
    name: str
    answer: Answer


def accept(body: bytes, signature: str, key: Secret, *, now: float, tolerance_s: float) -> Notice:
    """
    Read a webhook that was signed with *key*.

    Raises:
        Denied: It was not, or too long ago.
        InvalidInput: It is too large, or not a notice of a payment.
    """
    if len(body) > LARGEST:
        raise InvalidInput(f"webhook: more than {LARGEST:,} bytes")
    verify(body, signature, key, now=now, tolerance_s=tolerance_s)
    return read(body)


def verify(body: bytes, signature: str, key: Secret, *, now: float, tolerance_s: float) -> None:
    """
    Check that *body* was signed with *key*, about *now*.

    Raises:
        Denied: It was not.
    """
    parts = signature.split(",") if len(signature) <= _LONGEST_HEADER else [""]
    matches = [_part(part) for part in parts]
    times = [m["time"] for m in matches if m and m["time"]]
    macs = [m["mac"] for m in matches if m and m["mac"]]
    if len(times) != 1 or not macs or not all(matches):
        raise Denied("webhook: not a signature", hint="its header reads t=SECONDS,v1=HEX")
    wanted = _mac(times[0], body, key)
    good = [hmac.compare_digest(mac, wanted) for mac in macs]
    if not any(good):
        raise Denied("webhook: the signature does not fit: another key, or other content")
    if abs(now - int(times[0])) > tolerance_s:
        raise Denied(
            f"webhook: signed {abs(now - int(times[0])):.0f} s from now, allowed are "
            f"{tolerance_s:g} s",
            hint="check the clock, or orders.http.webhook_tolerance_s",
        )


def sign(body: bytes, key: Secret, *, now: float) -> str:
    """The header of *body*: what the other side does."""
    time = str(int(now))
    return f"t={time},v1={_mac(time, body, key)}"


def read(body: bytes) -> Notice:
    """
    Read {"id", "type", "data": a payment or a refund} of a webhook whose signature stands.

    Raises:
        InvalidInput: It is not one.
    """
    try:
        form: Any = json.loads(body)
        data = form["data"]
        answer, ours = answer_of(data), data.get("reference")
        event_id = form["id"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"webhook: not a notice of a payment: {error}") from None
    if not isinstance(event_id, str) or (ours is not None and not isinstance(ours, str)):
        raise InvalidInput("webhook: not a notice of a payment: id and reference are texts")
    return Notice(event_id[:200], ours or answer.reference or "", answer)


def _mac(time: str, body: bytes, key: Secret) -> str:
    return hmac.new(key.reveal().encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
