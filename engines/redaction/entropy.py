"""
Strings with so much chance in them that no person chose them, beside words for secrets.

Without such a word they are left: hashes, identifiers and data look the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from engines.redaction.context import stands_before, words
from engines.redaction.model import LIKELY, POSSIBLE, Hit
from engines.redaction.views import Text

_string = re.compile(r"(?<![A-Za-z0-9+/=_~.-])[A-Za-z0-9+/_~-]{20,512}={0,2}(?![A-Za-z0-9])")
_hex = re.compile(r"[0-9a-fA-F]+")
_known = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"  # a UUID
    r"|(?:[a-z]{1,24}[-_/]){1,24}[a-z]{1,24}$|/|[\w-]{0,40}/[\w-]{0,40}/[\w-]"  # words, a path
)
secret_words = words(
    "secret", "token", "api[ _-]?key", "apikey", "access[ _-]?key", "private[ _-]?key",
    "credential", "auth", "bearer", "passw", "passphrase", "signing", "encrypt(?:ion)?[ _-]key",
    "master[ _-]?key",
    "license[ _-]?key", "session[ _-]?(?:id|key)", "webhook[ _-]?(?:secret|key)", "hmac",
)  # fmt: skip
_BITS, _HEX_BITS = 3.5, 3.0
_REACH = 40


def find_random(scanned: Text) -> Iterator[Hit]:
    runs = (_string.search(scanned.text, *span) for span in scanned.long)
    for found in filter(None, runs):
        run = found[0]
        if not stands_before(secret_words, scanned, found.start(), _REACH) or _known.match(run):
            continue
        hexadecimal = _hex.fullmatch(run.rstrip("=")) is not None
        enough = _HEX_BITS if hexadecimal else _BITS
        if bits_of(run) >= enough and any(map(str.isdigit, run)):
            score = LIKELY if not hexadecimal else POSSIBLE
            yield Hit("secret", *found.span(), "entropy", score, "chance, and words for secrets")


def bits_of(text: str) -> float:
    """Shannon's entropy, in bits for each character."""
    size = len(text)
    return -sum(n / size * log2(n / size) for n in Counter(text).values())
