"""E-mail addresses (RFC 5321, 6531), from their @ outwards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.redaction.model import SURE, Hit
from engines.redaction.views import Text

_LOCAL, _URL, _TOKEN = 64, 200, 16
_password_in_url = re.compile(r"://[^\s/@:]{0,64}:[^\s/@]{0,128}$")
_local_backwards = re.compile(r"[\w.+\-!#$^*~%']{1,64}")
_quoted_backwards = re.compile(r"\"[^\"\r\n]{1,62}\"")
_domain = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]{1,59}|[^\W\d_]{2,63}(?![\w-])|[a-z]{2,4}(?=_))(?![^\W_]|-)",
    re.IGNORECASE,
)
# Names of units and files that only look like domains.
_NO_DOMAIN = frozenset(
    [
        "css",
        "gif",
        "ico",
        "jpeg",
        "jpg",
        "js",
        "json",
        "md",
        "mount",
        "path",
        "png",
        "py",
        "scope",
        "service",
        "slice",
        "socket",
        "svg",
        "swap",
        "target",
        "timer",
        "ts",
        "webp",
    ]
)


def find_emails(scanned: Text) -> Iterator[Hit]:
    text = scanned.text
    at = text.find("@")
    while at >= 0:
        if hit := _around(text, at):
            yield hit
        at = text.find("@", at + 1)


def _around(text: str, at: int) -> Hit | None:
    if at == 0 or not (domain := _domain.match(text, at + 1)):
        return None
    if domain[0].rpartition(".")[2].lower() in _NO_DOMAIN:
        return None
    before = text[max(0, at - _LOCAL) : at][::-1]
    local = (_quoted_backwards if before[0] == '"' else _local_backwards).match(before)
    if not local:
        return None
    size = len(local[0].rstrip(".'-+!#$^*~%"))
    # `git@host:path` names a host, as in every clone.
    if not size or (text[at - size : at] == "git" and text[domain.end() : domain.end() + 1] == ":"):
        return None
    start = at - size
    if _is_credential(text, start, size):
        return None
    value = text[start : domain.end()].lower()
    return Hit("email", start, domain.end(), "email", SURE, "an address with a domain", value)


def _is_credential(text: str, start: int, size: int) -> bool:
    """Whether it is a password in a URL, or a token, and its host."""
    if _password_in_url.search(text, max(0, start - _URL), start):
        return True
    behind_scheme = text[max(0, start - 3) : start] == "://"
    return behind_scheme and size >= _TOKEN and any(map(str.isdigit, text[start : start + size]))
