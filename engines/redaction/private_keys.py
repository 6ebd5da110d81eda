"""
Private keys: PEM (RFC 7468), OpenSSH's and PGP's alike, PuTTY's, and their bare content.

What is cut off before its last line counts as far as it goes.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator

from engines.redaction.model import SURE, Hit

_LONGEST = 1 << 16
_begin = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,40})PRIVATE KEY(?: BLOCK)?-----")
_end = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_rest = re.compile(r"[A-Za-z0-9+/=\s\\:,.()\-]{0,65536}")
_putty_start = re.compile(r"PuTTY-User-Key-File-[23]: ")
_putty_private = re.compile(r"Private-Lines: \d{1,4}")
_putty_end = re.compile(r"Private-MAC: [0-9a-f]{40,64}")
_bare_start = re.compile(
    r"(?<![A-Za-z0-9+/])(?:MI[GHI][A-Za-z0-9+/]|MC4C|b3BlbnNzaC1rZXktdjE)[A-Za-z0-9+/\s]{40,16384}={0,2}"
)
_OPENSSH = b"openssh-key-v1\0"
# In DER a private key begins with its version: SEQUENCE { INTEGER 0 or 1, … }.
_der = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01][\x02\x04\x30]", re.DOTALL)


def _pem(text: str) -> Iterator[Hit]:
    here = 0
    while begin := _begin.search(text, here):
        end = _end.search(text, begin.end(), begin.end() + _LONGEST)
        rest = _rest.match(text, begin.end())
        here = end.end() if end else rest.end() if rest else begin.end()
        yield Hit("private_key", begin.start(), here, "private_key", SURE, "its armour")


def _putty(text: str) -> Iterator[Hit]:
    here = 0
    while begin := _putty_start.search(text, here):
        private = _putty_private.search(text, begin.end(), begin.end() + _LONGEST)
        here = begin.end()
        if private:
            end = _putty_end.search(text, private.end(), private.end() + _LONGEST)
            rest = _rest.match(text, private.end())
            here = end.end() if end else rest.end() if rest else private.end()
            yield Hit("private_key", begin.start(), here, "putty_key", SURE, "a file of PuTTY's")


def _bare(text: str) -> Iterator[Hit]:
    for found in _bare_start.finditer(text):
        body = re.sub(r"\s", "", found[0][:64])
        try:
            head = b64decode(body[:36])
        except binascii.Error:
            continue
        if head.startswith(_OPENSSH) or _der.match(head):
            yield Hit("private_key", *found.span(), "bare_key", SURE, "the first bytes of a key")


def find_private_keys(text: str) -> Iterator[Hit]:
    """In a text of any number of lines."""
    if "PRIVATE KEY" in text:
        yield from _pem(text)
    if "PuTTY-User-Key-File-" in text:
        yield from _putty(text)
    if "MI" in text or "MC4C" in text or "b3BlbnNz" in text:
        yield from _bare(text)
