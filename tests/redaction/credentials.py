"""Secrets without a service's form: passwords, tokens, private keys."""

from __future__ import annotations

import base64
import json
import string
import zlib

from tests.redaction.values import ALNUM, HEX, Maker


def password(m: Maker) -> str:
    return m.one(
        "hunter", "Tr0ub4dor&", "correct-horse-", "p@ss!", "Sommer_", "zaq1ZAQ", "%dragon."
    ) + m.digits(3)


def jwt(m: Maker) -> str:
    def part(form: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(form).encode()).decode().rstrip("=")

    header = {"alg": m.one("HS256", "RS256", "EdDSA"), "typ": "JWT"}
    return f"{part(header)}.{part({'sub': m.digits(8), 'iat': m.rng.randrange(10**9)})}.{m.of(ALNUM + '-_', 43)}"


def private_key(m: Maker) -> str:
    label = m.one(
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    )
    body = "\n".join(m.of(ALNUM + "+/", 64) for _ in range(m.rng.randrange(3, 9)))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----"


def putty_key(m: Maker) -> str:
    lines = "\n".join(m.of(ALNUM + "+/", 64) for _ in range(4))
    return f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 2\n{m.of(ALNUM, 64)}\n{m.of(ALNUM, 20)}\nPrivate-Lines: 4\n{lines}\nPrivate-MAC: {m.of(HEX, 64)}"


def random_secret(m: Maker) -> str:
    return m.until(
        lambda: m.of(ALNUM, m.rng.randrange(32, 48)), lambda s: any(c.isdigit() for c in s)
    )


def url_credentials(m: Maker) -> str:
    return f"{m.one('app', 'svc', 'admin')}:{m.of(ALNUM + '_-', 12)}1"


def _crc62(body: str) -> str:
    number, out = zlib.crc32(body.encode()), ""
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    for _ in range(6):
        number, digit = divmod(number, 62)
        out = alphabet[digit] + out
    return out


def github(m: Maker) -> str:
    body = m.of(ALNUM, 30)
    return f"{m.one('ghp', 'gho', 'ghu', 'ghs')}_{body}{_crc62(body)}"
