"""Credentials in the headers of requests and in the options of programs that make them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from engines.redaction.fields import PASSWORD, SECRET, fits
from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.views import Text

_bearer = re.compile(r"(?<![\w-])bearer\s{1,3}([\w.~+/-]{16,4096}={0,2})", re.IGNORECASE)
_basic = re.compile(r"(?<![\w-])basic\s{1,3}([A-Za-z0-9+/]{6,1024}={0,2})(?![\w+/])", re.IGNORECASE)
_user = re.compile(r"(?<!\S)(?:-u|--user)[ =]{0,3}[\"']?([^\s\"':]{0,64}):([^\s\"']{0,128})")
_sshpass = re.compile(r"(?<!\S)sshpass\s{1,3}-p\s{0,2}[\"']?([^\s\"']{1,128})")
_mysql = re.compile(
    r"(?<![\w-])(?:mysql|mysqldump|mysqladmin|mysqlimport|mysqlsh|mariadb|mariadb-dump)\s"
    r"[^\r\n|;&]{0,256}?(?<=\s)-p[\"']?([^\s\"']{1,128})"
)
_OPTION = "a program's password option"
_digit = re.compile(r"\d|[A-Z].*[a-z]|[a-z].*[A-Z]")


_MYSQL = ("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlsh", "mariadb")
_words = frozenset({"bearer", "basic", "sshpass", *_MYSQL})


def cue(scanned: Text) -> bool:
    return scanned.says(_words) or "-u " in scanned.text or "--user" in scanned.text


def find_headers(scanned: Text) -> Iterator[Hit]:
    text = scanned.text
    for found in _bearer.finditer(text):
        if _digit.search(found[1]) and fits(SECRET, found[1]):
            yield Hit(SECRET, *found.span(1), "bearer", LIKELY, "a token behind its scheme")
    for found in _basic.finditer(text):
        if _is_user_and_password(found[1]):
            yield Hit(PASSWORD, *found.span(1), "basic", SURE, "decodes to a user and a password")
    for found in _user.finditer(text):
        which = 2 if found[2] else 1  # some give a key in place of the user
        if fits(PASSWORD, found[which]):
            yield Hit(PASSWORD, *found.span(which), "option", LIKELY, _OPTION)
    for found in chain(_sshpass.finditer(text), _mysql.finditer(text)):
        if fits(PASSWORD, found[1]):
            yield Hit(PASSWORD, *found.span(1), "option", LIKELY, _OPTION)


def _is_user_and_password(run: str) -> bool:
    import binascii  # noqa: PLC0415
    from base64 import b64decode  # noqa: PLC0415

    try:
        plain = b64decode(run + "=" * (-len(run) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in plain and plain.isprintable()
