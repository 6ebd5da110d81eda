"""JSON Web Tokens, signed and encrypted (RFC 7515, 7516): three or five parts and a header."""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator

from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.views import Text

_parts = re.compile(
    r"(?<![\w-])eyJ[\w-]{8,8192}\.[\w-]{0,65536}\.[\w-]{0,65536}(?:\.[\w-]{0,65536}\.[\w-]{0,4096})?"
)


def find_jwts(scanned: Text) -> Iterator[Hit]:
    for found in _parts.finditer(scanned.text):
        header, body = found[0].split(".")[:2]
        if _has_algorithm(header):
            yield Hit("jwt", *found.span(), "jwt", SURE, "three parts, and a header that decodes")
        elif body.startswith("eyJ"):
            yield Hit("jwt", *found.span(), "jwt", LIKELY, "three parts, two of them objects")


def _has_algorithm(header: str) -> bool:
    try:
        form = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(form, dict) and isinstance(form.get("alg"), str)
