"""User names and passwords within URLs (RFC 3986, section 3.2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.views import Text

_userinfo = re.compile(r"([^\s/@:\"'<>?#\\]{0,128}):([^\s\"'<>]{1,256})@(?=[\w\[.-])")
_token = re.compile(r"([\w.~%+-]{16,256})@(?=[\w\[.-])")
_port = re.compile(r"\d{1,5}(?:[/?#]|$)")
_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}$")
_blank = re.compile(
    r"[x*.]+$|\$\{?\w+\}?$|%\w$|\{\{?[\w .]+\}?\}$|<[\w-]+>?$|\[?redacted\]?$", re.IGNORECASE
)


def find_url_credentials(scanned: Text) -> Iterator[Hit]:
    text = scanned.text
    at = text.find("://")
    while at >= 0:
        if _scheme.search(text, max(0, at - 21), at) and (hit := _behind(text, at + 3)):
            yield hit
        at = text.find("://", at + 3)


def _behind(text: str, at: int) -> Hit | None:
    if found := _userinfo.match(text, at):
        end = _last_at(found)
        password = text[found.start(2) : end]
        if _port.match(password) or _blank.match(password) or "://" in password:
            return None
        why = "a password before the host"
        return Hit("url_credentials", at, end, "url_credentials", SURE, why)
    if (found := _token.match(text, at)) and any(map(str.isdigit, found[1])):
        why = "a token before the host"
        return Hit("url_credentials", at, found.end(1), "url_credentials", LIKELY, why)
    return None


def _last_at(found: re.Match[str]) -> int:
    """A password may hold an @ or a slash; a path with an @ in it is none."""
    inner = found[2]
    slash = inner.find("/")
    at = inner.find("@")
    return (
        found.start(2) + at
        if at >= 0 and (slash < 0 or at < slash) and "@" not in inner[at + 1 :] and "/" in inner
        else found.end(2)
    )
