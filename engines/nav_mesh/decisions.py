"""
The rules of the gates: what a token that was read is refused for, and what each rule is called.

Pure: the same token, request, state and time give the same answer, in any process and later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from engines.nav_mesh.blocks import Blocks
from engines.nav_mesh.model import GateResult
from engines.nav_mesh.revoked import Revocations
from engines.nav_mesh.rules import LEEWAY_S, GateRule
from engines.nav_mesh.scope import lies_within
from engines.nav_mesh.state import GateKey
from engines.nav_mesh.tokens import Claims


class Asked(NamedTuple):
    """A request at a gate; *subject* is the pseudonym of *user_id*."""

    domain: str
    user_id: str
    subject: str
    flow: str = ""
    path: str = ""
    cell: str = ""


class Known(Protocol):
    """What of the gates' state decides."""

    @property
    def keys(self) -> Mapping[str, GateKey]: ...
    @property
    def number(self) -> int: ...
    @property
    def revoked(self) -> Revocations: ...
    @property
    def used(self) -> Mapping[str, float]: ...
    @property
    def forgotten(self) -> float: ...
    @property
    def blocks(self) -> Blocks: ...


def refusal(claims: Claims, asked: Asked, state: Known, rule: GateRule, now: float) -> str | None:
    """The rule by which *claims* do not let *asked* through, or None."""
    return (
        _not_theirs(claims, asked)
        or _not_now(claims, rule, now)
        or _key_refuses(claims, state.keys.get(claims.key_id), now)
        or _taken_back(claims, asked.subject, state)
        or _not_that(claims, asked)
        or _not_let_in(asked, state, rule, now)
    )


def _not_theirs(claims: Claims, asked: Asked) -> str | None:
    if claims.domain != asked.domain:
        return "wrong_audience"
    if claims.cell != asked.cell:
        return "wrong_cell"
    return None if claims.subject == asked.user_id else "wrong_subject"


def _not_now(claims: Claims, rule: GateRule, now: float) -> str | None:
    if now >= claims.expires + LEEWAY_S:
        return "expired"
    if claims.not_before > now + LEEWAY_S:
        return "not_yet"
    return "lives_too_long" if claims.expires - claims.issued > rule.token_s else None


def _taken_back(claims: Claims, subject: str, state: Known) -> str | None:
    if state.revoked.made and is_revoked(claims, subject, state.revoked):
        return "revoked"
    if claims.number > state.number:
        return "not_issued"
    if not claims.once:
        return None
    if claims.token_id in state.used:
        return "used"
    key = state.keys[claims.key_id]
    return "clock_set_back" if is_forgotten(claims.expires, key, state.forgotten) else None


def _not_that(claims: Claims, asked: Asked) -> str | None:
    if claims.flow and claims.flow != asked.flow:
        return "wrong_flow"
    if claims.path and not lies_within(asked.path, claims.path):
        return "wrong_path"
    return None


def _not_let_in(asked: Asked, state: Known, rule: GateRule, now: float) -> str | None:
    if rule.subjects and not rule.admits(asked.user_id):
        return "not_admitted"
    until = state.blocks.until(asked.domain, asked.subject, now)
    return None if until is None else "blocked"


def is_forgotten(expires: float, key: GateKey, forgotten: float) -> bool:
    """Whether nobody knows any more if it was used: the clock was ahead in between."""
    return expires + LEEWAY_S <= forgotten and key.forgotten < forgotten


def is_revoked(claims: Claims, subject: str, revoked: Revocations) -> bool:
    """Whether the token, one that it was narrowed from, or all of its kind were revoked."""
    family = claims.token_id, *claims.parents
    return revoked.mean(claims.domain, subject, family, issued=claims.issued, number=claims.number)


def _key_refuses(claims: Claims, key: GateKey | None, now: float) -> str | None:
    if key is None:
        return "unknown_header"
    if key.until is None or key.retired is None:
        return None
    if now >= key.until:
        return "key_retired"
    # Whoever stole an old key cannot make new tokens with it.
    newer = key.last is not None and claims.number > key.last
    return "key_retired" if newer or claims.not_before > key.retired + LEEWAY_S else None


REASONS = {
    "not_text": "that is no token",
    "too_long": "that is longer than any token",
    "malformed": "that is no token: not three parts of letters, digits, - and _",
    "unknown_header": "not signed with a key of this workspace's gates",
    "not_canonical": "not spelled as tokens are",
    "bad_signature": "the signature is wrong",
    "not_our_json": "not spelled as tokens are",
    "wrong_claims": "it says something that tokens do not say, or leaves something out",
    "wrong_types": "it says something of the wrong type",
    "wrong_issuer": "issued by another workspace",
    "wrong_audience": "issued for another domain",
    "wrong_cell": "issued for another cell, or for none where a cell asks",
    "wrong_subject": "issued to somebody else",
    "wrong_token_id": "its id is not one",
    "wrong_times": "its times contradict each other",
    "wrong_scope": "what it was narrowed to is nothing",
    "wrong_user_id": "not the name of a user: small letters, digits and . _ : / -, at most 128",
    "expired": "the token has expired",
    "not_yet": "the token is not good yet",
    "lives_too_long": "the token is good for longer than this domain allows",
    "key_retired": "signed with a key that is no longer in use",
    "revoked": "the token was revoked",
    "not_issued": "the record does not have that it was issued",
    "used": "the token was good for one use, and was used",
    "clock_set_back": "the clock was set back: whether the token was used is not known any more",
    "wrong_flow": "the token is for another flow",
    "wrong_path": "the token is for other paths",
    "not_admitted": "this user is not admitted to this domain",
    "blocked": "this user is kept out for a while",
    "rate_limited": "too many requests",
    "queued": "offline: to be queued, and decided again before it is sent",
    "ok": "",
}
_OUR_OWN = frozenset({"not_admitted", "blocked", "wrong_flow", "wrong_path", "wrong_user_id"})


def result_of(rule: str) -> GateResult:
    """What a gate says by that rule."""
    if rule in {"ok", "queued"}:
        return GateResult.ALLOWED
    if rule == "rate_limited":
        return GateResult.RATE_LIMITED
    return GateResult.DENIED if rule in _OUR_OWN else GateResult.INVALID_TOKEN
