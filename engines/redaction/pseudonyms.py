"""
Keyed pseudonyms: `<email:k3vq7xw2mtn5ya4c>`.

The same value has the same token under one key, so that what belongs together still does; without
the key nobody can say which value a token stands for, nor try values out, however few there are.

Source: keyed BLAKE2b, its `person` field keeping kinds apart (RFC 7693; hashlib).
"""

from __future__ import annotations

import re
from hashlib import blake2b

from engines.errors import InvalidInput

SHORTEST_KEY, LONGEST_KEY = 16, 64
_PERSON = 16  # the most that BLAKE2b takes
_NAME, _PROOF = 13, 3  # characters of five bits
# Base32's letters, one for the lower bits of each byte.
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8
_token = re.compile(r"<([a-z][a-z0-9_]{1,47}):([a-z2-7]{16})>")


class Pseudonyms:
    """
    The pseudonyms of one workspace.

    Args:
        key: 16 to 64 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
            raise InvalidInput(
                f"a pseudonyms' key has {SHORTEST_KEY} to {LONGEST_KEY} bytes, found {len(key)}"
            )
        self._key = key
        self.key_id = self._letters("key", "id", 8)
        """Says which key made a token, without saying which it is."""

    def token(self, kind: str, value: str) -> str:
        """What stands for *value*."""
        name = self._letters(kind, value, _NAME)
        return f"<{kind}:{name}{self._proof(kind, name)}>"

    def spans(self, text: str) -> list[tuple[int, int]]:
        """
        Where in *text* tokens of this key stand.

        A token proves itself: who does not have the key cannot dress a value up as one, but for
        one try in 32,768.
        """
        return [
            found.span()
            for found in _token.finditer(text)
            if self._proof(found[1], found[2][:_NAME]) == found[2][_NAME:]
        ]

    def _proof(self, kind: str, name: str) -> str:
        return self._letters(kind, f"\0{name}", _PROOF)

    def _letters(self, kind: str, value: str, size: int) -> str:
        raw = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        person = kind.encode()[:_PERSON]
        digest = blake2b(raw, key=self._key, person=person, digest_size=size).digest()
        return digest.translate(_LETTERS).decode()
