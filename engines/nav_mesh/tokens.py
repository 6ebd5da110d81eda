"""
The gates' tokens: made here, and read strictly; exactly one spelling of each is accepted.

A token is a JWT in the compact form, signed with Ed25519.  Its law: nothing of it is looked into
before it is known to be ours.  In this order: at most 2,048 characters of the alphabet in three
parts; a header that is, byte for byte, the one of a key that is known; base64url in its only form;
the signature; and then claims that are exactly those that we write, spelled as we spell them.

    {"alg":"EdDSA","kid":"…","typ":"dino-gate+jwt"}
    {"iss":…,"sub":…,"aud":"dino:info" or "dino:info/CELL","iat":…,"nbf":…,"exp":…,"jti":…
     [,"num":…][,"flow":…][,"path":…][,"once":true][,"parent":"id of the first.id of the next"]}

`num` is the number that the record gave it: only tokens of before there were numbers have none.
What was narrowed keeps the `iat` of the token that it came from: whoever revokes what was issued
before some time means that too.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from engines.nav_mesh.scope import is_cell, is_flow, is_prefix

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

LONGEST = 2048
DEEPEST = 8
"""How often a token can be narrowed that came from a narrowed one."""

AUDIENCE = "dino:"
_NEEDED = ("iss", "sub", "aud", "iat", "nbf", "exp", "jti")
_FURTHER = ("num", "flow", "path", "once", "parent")
_LATEST = 1 << 53  # the numbers that every reader of JSON agrees on

_in_form = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}").fullmatch
is_token_id = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]").fullmatch  # 128 bits
is_subject = re.compile(r"[a-z0-9._:/-]{1,128}").fullmatch


class BadToken(Exception):
    """
    A token that is refused.

    Attributes:
        rule: By which rule.
        token_id: Of one that bears our signature, where it could be read.
        authentic: Whether it bears our signature.
    """

    def __init__(self, rule: str, *, token_id: str | None = None, authentic: bool = False) -> None:
        self.rule, self.token_id, self.authentic = rule, token_id, authentic
        super().__init__(rule)


@dataclass(frozen=True, slots=True)
class Claims:
    """
    What a token says; times are whole seconds since the epoch.

    Attributes:
        parents: The tokens that it was narrowed from, first one first.
        cell: The one cell of the domain that it is for; "" is the domain itself.
        number: Its place among all that was issued and revoked; 0 is before all that have one.
    """

    token_id: str
    domain: str
    subject: str
    issued: int
    not_before: int
    expires: int
    flow: str = ""
    path: str = ""
    once: bool = False
    parents: tuple[str, ...] = ()
    key_id: str = ""
    cell: str = ""
    number: int = 0

    @property
    def audience(self) -> str:
        """Whose gate it opens, as it stands in the token."""
        return f"{AUDIENCE}{self.domain}{self.cell and '/'}{self.cell}"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What verifies a domain's tokens."""

    key_id: str
    domain: str
    key: Ed25519PublicKey

    @property
    def header(self) -> str:
        """The first part of every token that it verifies."""
        return header_of(self.key_id)


def key_id_of(public: bytes) -> str:
    return sha256(b"dino-gate\n" + public).hexdigest()[:16]


def header_of(key_id: str) -> str:
    return _encoded(b'{"alg":"EdDSA","kid":"%b","typ":"dino-gate+jwt"}' % key_id.encode())


def public_key(key_id: str, domain: str, raw: bytes) -> PublicKey:
    """The key with those 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  heavy
        Ed25519PublicKey,
    )

    return PublicKey(key_id, domain, Ed25519PublicKey.from_public_bytes(raw))


def private_key(raw: bytes) -> Ed25519PrivateKey:
    """
    The signing key with those 32 bytes.

    Raises:
        ValueError: They are not 32.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  heavy
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.from_private_bytes(raw)


def new_token_id() -> str:
    import secrets  # noqa: PLC0415  only where a token is made

    while (found := secrets.token_urlsafe(16)).startswith("-"):
        pass  # on a command line it would be taken for an option
    return found


def sign(claims: Claims, issuer: str, key: Ed25519PrivateKey) -> str:
    """The token that says *claims*."""
    form: dict[str, Any] = {
        "iss": issuer,
        "sub": claims.subject,
        "aud": claims.audience,
        "iat": claims.issued,
        "nbf": claims.not_before,
        "exp": claims.expires,
        "jti": claims.token_id,
    }
    further: dict[str, Any] = {"num": claims.number, "flow": claims.flow, "path": claims.path}
    further["once"] = claims.once
    further["parent"] = ".".join(claims.parents)
    form |= {name: value for name, value in further.items() if value}
    signed = f"{header_of(claims.key_id)}.{_encoded(orjson.dumps(form))}"
    return f"{signed}.{_encoded(key.sign(signed.encode()))}"


def read(token: object, keys: Mapping[str, PublicKey], issuer: str | None) -> Claims:
    """
    What *token* says, if it bears the signature of one of *keys*, which are known by their header.

    Raises:
        BadToken: It is not a token, not signed by a key of ours, or not as we write them.
    """
    if not isinstance(token, str):
        raise BadToken("not_text")
    if len(token) > LONGEST:
        raise BadToken("too_long")
    if not _in_form(token):
        raise BadToken("malformed")
    header, payload, signature = token.split(".")
    key = keys.get(header)
    if key is None:
        raise BadToken("unknown_header")
    raw, signed = _decoded(payload), _decoded(signature)
    if raw is None or signed is None:
        raise BadToken("not_canonical")
    if not _is_signed(key, signed, token[: len(header) + 1 + len(payload)]):
        raise BadToken("bad_signature")
    return _claims(raw, key, issuer)


def _claims(raw: bytes, key: PublicKey, issuer: str | None) -> Claims:
    """What a payload says that bears our signature: it may still be none of our tokens."""
    form = _parsed(raw)
    token_id = form.get("jti")
    known = token_id if isinstance(token_id, str) and is_token_id(token_id) else None
    rule = _wrong_form(form) or _wrong_value(form, key, issuer)
    if rule:
        raise BadToken(rule, token_id=known, authentic=True)
    parents = form.get("parent", "")
    return Claims(
        form["jti"],
        key.domain,
        form["sub"],
        form["iat"],
        form["nbf"],
        form["exp"],
        form.get("flow", ""),
        form.get("path", ""),
        form.get("once", False),
        tuple(parents.split(".")) if parents else (),
        key.key_id,
        form["aud"].partition("/")[2],
        form.get("num", 0),
    )


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        form = orjson.loads(raw)
        # Names that stand twice, white space, other spellings of a number or a letter: not ours.
        same = isinstance(form, dict) and orjson.dumps(form) == raw
    except (ValueError, TypeError):  # RecursionError: orjson raises its own, a ValueError
        same = False
    if not same:
        raise BadToken("not_our_json", authentic=True)
    return form  # type: ignore[no-any-return]


def _wrong_form(form: dict[str, Any]) -> str | None:
    names = tuple(form)
    expected = (*_NEEDED, *(name for name in _FURTHER if name in form))
    if names != expected:
        return "wrong_claims"
    texts = (form[name] for name in ("iss", "sub", "aud", "jti"))
    times = (form[name] for name in ("iat", "nbf", "exp"))
    sound = (
        all(type(text) is str for text in texts)
        and all(type(time) is int and 0 <= time < _LATEST for time in times)
        and form.get("once", True) is True
        and type(form.get("num", 1)) is int
        and 0 < form.get("num", 1) < _LATEST
        and all(type(form.get(name, "")) is str for name in ("flow", "path", "parent"))
    )
    return None if sound else "wrong_types"


def _wrong_value(form: dict[str, Any], key: PublicKey, issuer: str | None) -> str | None:
    if form["iss"] != issuer:
        return "wrong_issuer"
    domain, named, cell = form["aud"].partition("/")
    if domain != AUDIENCE + key.domain or (named and not is_cell(cell)):
        return "wrong_audience"
    if not is_subject(form["sub"]):
        return "wrong_subject"
    if not is_token_id(form["jti"]) or not _is_lineage(form):
        return "wrong_token_id"
    in_order = form["iat"] <= form["nbf"] < form["exp"]
    scoped = is_flow(form.get("flow", "a")) and is_prefix(form.get("path", "/"))
    return None if in_order and scoped else "wrong_scope" if in_order else "wrong_times"


def _is_lineage(form: dict[str, Any]) -> bool:
    if "parent" not in form:
        return True
    parents = form["parent"].split(".")
    every = [*parents, form["jti"]]
    return (
        len(parents) <= DEEPEST
        and all(is_token_id(one) for one in parents)
        and len(set(every)) == len(every)
    )


def _is_signed(key: PublicKey, signature: bytes, signed: str) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  heavy; loaded by now

    try:
        key.key.verify(signature, signed.encode())
    except InvalidSignature:
        return False
    return True


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(part: str) -> bytes | None:
    """The bytes of *part*, if that is how they are written; it is of the alphabet already."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None
    return raw if _encoded(raw) == part else None
