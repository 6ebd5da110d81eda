"""
Tokens that no gate may accept: forged, stale, confused, or spelled in another way.

Each makes a request at the gate `info` (domain, token, user, flow, path); beside it is the rule by
which it must be refused.  Where the forger has to have the domain's own key, that is the point:
also what bears our signature is held to the form that we write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.nav_mesh.kit import Site, b64

Make = Callable[[Site], object]
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519


def _header(site: Site, **changes: Any) -> dict[str, Any]:
    good = {"alg": "EdDSA", "kid": site.key_id(), "typ": "dino-gate+jwt"}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def headed(**changes: Any) -> Make:
    """A good token but for its header, which its signature covers."""
    return lambda site: site.with_header(_header(site, **changes))


def saying(**changes: Any) -> Make:
    """A good token but for what it says, with a right signature."""
    return lambda site: site.signed(site.claims(**changes))


def at(**times: Any) -> Make:
    """The same, of times in seconds from now."""
    return lambda site: site.signed(
        site.claims(**{name: int(site.clock()) + offset for name, offset in times.items()})
    )


def spelled(change: Callable[[str], str]) -> Make:
    """A good token whose payload is spelled in another way, with a right signature."""
    return lambda site: site.signed(change(json.dumps(site.claims(), separators=(",", ":"))))


def altered(change: Callable[[str], object]) -> Make:
    """A good token, altered after it was signed."""
    return lambda site: change(site.signed(site.claims()))


def _unsigned(algorithm: str) -> Make:
    def make(site: Site) -> str:
        head = b64(json.dumps({"alg": algorithm, "typ": "JWT"}))
        return f"{head}.{b64(json.dumps(site.claims()))}."

    return make


def _by_public_key(encoding: Encoding, form: PublicFormat) -> Make:
    """HS256 with our public key for its secret: the classic confusion."""

    def make(site: Site) -> str:
        secret = site.key().public_key().public_bytes(encoding, form)
        head = b64(json.dumps({"alg": "HS256", "kid": site.key_id(), "typ": "dino-gate+jwt"}))
        said = f"{head}.{b64(json.dumps(site.claims()))}"
        return f"{said}.{b64(hmac.digest(secret, said.encode(), hashlib.sha256))}"

    return make


def _hmac_under_our_header(site: Site) -> str:
    """A MAC of 64 bytes in the place of the signature."""
    said = f"{site.header()}.{b64(json.dumps(site.claims(), separators=(',', ':')))}"
    raw = site.key().public_key().public_bytes_raw()
    return f"{said}.{b64(hmac.digest(raw, said.encode(), hashlib.sha512))}"


def _other_payload(site: Site) -> str:
    header, _, signature = site.signed(site.claims()).split(".")
    return f"{header}.{b64(json.dumps(site.claims(sub='eve'), separators=(',', ':')))}.{signature}"


def _strange_key(site: Site) -> str:
    said = site.signed(site.claims()).rpartition(".")[0]
    return f"{said}.{b64(Ed25519PrivateKey.generate().sign(said.encode()))}"


def _embedded_key(site: Site) -> str:
    strange = Ed25519PrivateKey.generate()
    public = b64(strange.public_key().public_bytes_raw())
    head = _header(site, jwk={"kty": "OKP", "crv": "Ed25519", "x": public})
    said = f"{b64(json.dumps(head))}.{b64(json.dumps(site.claims()))}"
    return f"{said}.{b64(strange.sign(said.encode()))}"


def _signature(change: Callable[[bytes], bytes]) -> Make:
    def make(site: Site) -> str:
        said = site.signed(site.claims()).rpartition(".")[0]
        return f"{said}.{b64(change(site.key().sign(said.encode())))}"

    return make


def _malleable(raw: bytes) -> bytes:
    """The same point, and S plus the order of the group: equal, to a lax verifier."""
    return raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")


def _last_letter(token: str) -> str:
    """Another letter for the same bytes: the last one of 86 has four bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = alphabet.index(token[-1])
    return token[:-1] + alphabet[place ^ 1]


def _other_domain(site: Site) -> str:
    return site.nav.issue_token("wealth", "ada")


def _confused_audience(site: Site) -> str:
    """Signed by the key of `wealth`, for `info`."""
    return site.signed(site.claims(), domain="wealth")


def _narrowed(**scope: str) -> Make:
    return lambda site: site.nav.issue_token("info", "ada", **scope)  # type: ignore[arg-type]


def _used(site: Site) -> str:
    token = site.nav.issue_token("info", "ada", single_use=True)
    assert site.nav.decide("info", token, "ada").allowed
    return token


def _after(what: Callable[[Site, str], object]) -> Make:
    def make(site: Site) -> str:
        token = site.nav.issue_token("info", "ada")
        assert site.nav.decide("info", token, "ada").allowed
        what(site, token)
        return token

    return make


def _child_of_revoked(site: Site) -> str:
    parent = site.nav.issue_token("info", "ada")
    child = site.nav.attenuate(site.nav.attenuate(parent), life_s=60)
    assert site.nav.decide("info", child, "ada").allowed
    site.nav.revoke(token_id=site.nav.claims_of(parent).token_id)
    return child


def _old_key_new_token(site: Site) -> str:
    """Somebody got hold of a key that was rotated away, and signs as if it were in use."""
    stolen, header = site.key(), site.header()
    site.nav.rotate("info")
    site.clock.go(60)
    said = f"{header}.{b64(json.dumps(site.claims(), separators=(',', ':')))}"
    return f"{said}.{b64(stolen.sign(said.encode()))}"


def _old_key_new_number(site: Site) -> str:
    """The same, as if it had been signed while the key was in use."""
    stolen, header, claims = site.key(), site.header(), site.claims(num=site.nav.number + 1)
    site.nav.rotate("info")
    site.nav.issue_token("info", "ada")
    said = f"{header}.{b64(json.dumps(claims, separators=(',', ':')))}"
    return f"{said}.{b64(stolen.sign(said.encode()))}"


def _other_workspace(site: Site) -> str:
    return site.signed(site.claims(iss="dino.local/ffffffffffffffffffffffffffffffff"))


def _nested(text: str) -> str:
    return text[:-1] + ',"flow":' + "[" * 400 + "]" * 400 + "}"


TWICE = "AAAAAAAAAAAAAAAAAAAAAA"

FORGED: dict[str, tuple[Make, str]] = {
    # no token at all
    "nothing": (lambda _: None, "not_text"),
    "bytes": (altered(str.encode), "not_text"),
    "a list": (altered(lambda t: [t]), "not_text"),
    "empty": (lambda _: "", "malformed"),
    "two parts": (altered(lambda t: t.rpartition(".")[0]), "malformed"),
    "four parts": (altered(lambda t: f"{t}.{'A' * 86}"), "malformed"),
    "five parts, as an encrypted one has": (lambda _: "a.b.c.d.e", "malformed"),
    "three dots": (lambda _: "...", "malformed"),
    # algorithms
    "no algorithm": (_unsigned("none"), "malformed"),
    "no algorithm, in other letters": (_unsigned("NoNe"), "malformed"),
    "no algorithm, our signature": (headed(alg="none"), "unknown_header"),
    "HS256 by the public key, raw": (
        _by_public_key(Encoding.Raw, PublicFormat.Raw),
        "malformed",
    ),
    "HS256 by the public key, PEM": (
        _by_public_key(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "malformed",
    ),
    "a MAC under our header": (_hmac_under_our_header, "bad_signature"),
    "another name of the algorithm": (headed(alg="Ed25519"), "unknown_header"),
    "another algorithm": (headed(alg="ES256"), "unknown_header"),
    "algorithm in small letters": (headed(alg="eddsa"), "unknown_header"),
    "a bomb of iterations": (
        headed(alg="PBES2-HS256+A128KW", p2c=2**31 - 1, p2s="AAAA"),
        "unknown_header",
    ),
    # headers
    "key id that is a path": (headed(kid="../../dev/null"), "unknown_header"),
    "key id that is SQL": (headed(kid="x' UNION SELECT 'k' --"), "unknown_header"),
    "key id that is a command": (headed(kid="|id"), "unknown_header"),
    "key id of nobody": (headed(kid="0" * 16), "unknown_header"),
    "key id that is a number": (headed(kid=7), "unknown_header"),
    "no key id": (headed(kid=...), "unknown_header"),
    "embedded key": (_embedded_key, "unknown_header"),
    "key at an address": (headed(jku="https://example.org/keys"), "unknown_header"),
    "key in a file": (headed(jku="file:///etc/passwd"), "unknown_header"),
    "certificate at an address": (headed(x5u="https://example.org/c"), "unknown_header"),
    "embedded certificate": (headed(x5c=["MIIB"]), "unknown_header"),
    "critical extension": (headed(crit=["x"], x=1), "unknown_header"),
    "payload that is not encoded": (headed(crit=["b64"], b64=False), "unknown_header"),
    "compressed": (headed(zip="DEF"), "unknown_header"),
    "type of an access token": (headed(typ="at+jwt"), "unknown_header"),
    "type JWT": (headed(typ="JWT"), "unknown_header"),
    "no type": (headed(typ=...), "unknown_header"),
    "nested token": (headed(cty="JWT"), "unknown_header"),
    "header in another order": (
        lambda s: s.with_header(dict(reversed(_header(s).items()))),
        "unknown_header",
    ),
    "header with a space": (lambda s: s.with_header(json.dumps(_header(s))), "unknown_header"),
    "algorithm twice": (
        lambda s: s.with_header(
            f'{{"alg":"none","alg":"EdDSA","kid":"{s.key_id()}","typ":"dino-gate+jwt"}}'
        ),
        "unknown_header",
    ),
    "header that is no object": (lambda s: s.with_header('"EdDSA"'), "unknown_header"),
    # signatures
    "no signature": (altered(lambda t: t.rpartition(".")[0] + "."), "malformed"),
    "signature cut short": (altered(lambda t: t[:-1]), "malformed"),
    "signature of half the size": (_signature(lambda raw: raw[:32]), "malformed"),
    "signature with more behind it": (_signature(lambda raw: raw + b"\0"), "malformed"),
    "signature of zeros": (_signature(lambda raw: bytes(64)), "bad_signature"),
    "signature of ones": (_signature(lambda raw: b"\xff" * 64), "bad_signature"),
    "point of small order": (_signature(lambda raw: b"\1" + bytes(63)), "bad_signature"),
    "malleable signature": (_signature(_malleable), "bad_signature"),
    "one bit of the signature": (
        _signature(lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
        "bad_signature",
    ),
    "somebody else's signature": (_strange_key, "bad_signature"),
    "another payload": (_other_payload, "bad_signature"),
    # spellings
    "padding": (altered(lambda t: t + "=="), "malformed"),
    "another last letter": (altered(_last_letter), "not_canonical"),
    "line feed behind": (altered(lambda t: t + "\n"), "malformed"),
    "space before": (altered(lambda t: " " + t), "malformed"),
    "NUL behind": (altered(lambda t: t + "\0"), "malformed"),
    "standard alphabet": (altered(lambda t: t[:-2] + "+/"), "malformed"),
    "percent signs": (altered(lambda t: t.replace(".", "%2E")), "malformed"),
    "full-width dots": (altered(lambda t: t.replace(".", "\uff0e")), "malformed"),
    "Bearer in front": (altered(lambda t: f"Bearer {t}"), "malformed"),
    "in the JSON form": (
        altered(
            lambda t: json.dumps(
                dict(zip(("protected", "payload", "signature"), t.split("."), strict=True))
            )
        ),
        "malformed",
    ),
    "five megabytes": (lambda _: "A" * 5_000_000, "too_long"),
    "a little too long": (lambda _: "A" * 2049, "too_long"),
    "five megabytes, signed": (saying(flow="a" * 5_000_000), "too_long"),
    # JSON
    "subject twice": (
        spelled(lambda t: t.replace('"sub":"ada"', '"sub":"eve","sub":"ada"')),
        "not_our_json",
    ),
    "expiry twice": (spelled(lambda t: t[:-1] + ',"exp":9999999999}'), "not_our_json"),
    "white space": (spelled(lambda t: t.replace(",", ", ")), "not_our_json"),
    "escaped letter": (spelled(lambda t: t.replace("ada", "\\u0061da")), "not_our_json"),
    "more behind it": (spelled(lambda t: t + "{}"), "not_our_json"),
    "byte order mark": (spelled(lambda t: "\ufeff" + t), "not_our_json"),
    "an array": (spelled(lambda t: f"[{t}]"), "not_our_json"),
    "a text": (spelled(lambda _: '"ada"'), "not_our_json"),
    "nothing in it": (spelled(lambda _: "{}"), "wrong_claims"),
    "no JSON": (spelled(lambda _: "ada"), "not_our_json"),
    "not UTF-8": (lambda s: s.signed(b'{"iss":"\xff"}'), "not_our_json"),
    "lone surrogate": (spelled(lambda t: t.replace("ada", "\\ud800")), "not_our_json"),
    "nested 400 deep": (spelled(_nested), "not_our_json"),
    "expiry that is NaN": (
        spelled(lambda t: t.replace('"exp":', '"exp":NaN,"x":')),
        "not_our_json",
    ),
    "expiry that is no end": (
        spelled(lambda t: t.replace('"exp":', '"exp":1e999,"x":')),
        "not_our_json",
    ),
    # claims
    "no expiry": (saying(exp=...), "wrong_claims"),
    "no issue time": (saying(iat=...), "wrong_claims"),
    "no id": (saying(jti=...), "wrong_claims"),
    "no audience": (saying(aud=...), "wrong_claims"),
    "no issuer": (saying(iss=...), "wrong_claims"),
    "a claim of its own": (saying(admin=True), "wrong_claims"),
    "claims in another order": (
        lambda s: s.signed(dict(reversed(s.claims().items()))),
        "wrong_claims",
    ),
    "expiry as a text": (saying(exp="9999999999"), "wrong_types"),
    "expiry as a fraction": (saying(exp=1_800_000_500.5), "wrong_types"),
    "expiry that is true": (saying(exp=True), "wrong_types"),
    "expiry that is null": (saying(exp=None), "wrong_types"),
    "expiry beyond all numbers": (saying(exp=2**63), "wrong_types"),
    "times before the epoch": (saying(iat=-1, nbf=-1), "wrong_types"),
    "subject that is a number": (saying(sub=7), "wrong_types"),
    "subject that is a list": (saying(sub=["ada"]), "wrong_types"),
    "audience as a list": (saying(aud=["dino:info"]), "wrong_types"),
    "issuer as a list": (lambda s: s.signed(s.claims(iss=[s.nav.issuer])), "wrong_types"),
    "once that is no": (saying(once=False), "wrong_types"),
    "once that is one": (saying(once=1), "wrong_types"),
    "a number that is none": (saying(num=0), "wrong_types"),
    "a number below all": (saying(num=-1), "wrong_types"),
    "a number that is true": (saying(num=True), "wrong_types"),
    "a number as a text": (saying(num="1"), "wrong_types"),
    "a number as a fraction": (saying(num=1.5), "wrong_types"),
    "a number beyond all numbers": (saying(num=2**53), "wrong_types"),
    "a number behind what was narrowed": (saying(flow="f", num=1), "wrong_claims"),
    "a number that nothing was given": (
        lambda s: s.signed(s.claims(num=s.nav.number + 1)),
        "not_issued",
    ),
    "another audience": (saying(aud="dino:wealth"), "wrong_audience"),
    "beginning of the audience": (saying(aud="dino:inf"), "wrong_audience"),
    "audience and more": (saying(aud="dino:info.x"), "wrong_audience"),
    "audience and a cell": (saying(aud="dino:info/x"), "wrong_cell"),
    "a cell without a name": (saying(aud="dino:info/"), "wrong_audience"),
    "a cell in a cell": (saying(aud="dino:info/x/y"), "wrong_audience"),
    "a cell that leads up": (saying(aud="dino:info/../wealth"), "wrong_audience"),
    "a cell in other letters": (saying(aud="dino:info/X"), "wrong_audience"),
    "another domain's cell": (saying(aud="dino:wealth/x"), "wrong_audience"),
    "audience in other letters": (saying(aud="dino:INFO"), "wrong_audience"),
    "another domain's key": (_confused_audience, "wrong_audience"),
    "another domain's token": (_other_domain, "wrong_audience"),
    "another workspace's": (_other_workspace, "wrong_issuer"),
    "beginning of the issuer": (
        lambda s: s.signed(s.claims(iss=str(s.nav.issuer)[:-1])),
        "wrong_issuer",
    ),
    "somebody else's": (saying(sub="eve"), "wrong_subject"),
    "a subject that looks alike": (saying(sub="\u0430da"), "wrong_subject"),
    "a subject with an accent that joins": (saying(sub="ada\u0301"), "wrong_subject"),
    "a subject in other letters": (saying(sub="Ada"), "wrong_subject"),
    "a subject with a line feed": (saying(sub="ada\n"), "wrong_subject"),
    "a subject that is empty": (saying(sub=""), "wrong_subject"),
    "a subject with NUL": (saying(sub="ada\0"), "wrong_subject"),
    "an id that is a path": (saying(jti="../../../../etc/passwd"), "wrong_token_id"),
    "an id of too few bits": (saying(jti="AAAA"), "wrong_token_id"),
    "an id spelled in another way": (saying(jti="A" * 21 + "B"), "wrong_token_id"),
    "its own parent": (saying(parent=TWICE), "wrong_token_id"),
    "a parent that is none": (saying(parent=""), "wrong_token_id"),
    "too many parents": (
        saying(parent=".".join("B" * 20 + letter + "A" for letter in "abcdefghi")),
        "wrong_token_id",
    ),
    "a flow that is none": (saying(flow="A b"), "wrong_scope"),
    "a path that leads up": (saying(path="/a/../b"), "wrong_scope"),
    # times
    "expired": (at(iat=-700, nbf=-700, exp=-5), "expired"),
    "expired this moment": (at(iat=-700, nbf=-700, exp=-5), "expired"),
    "expires before it begins": (at(nbf=601), "wrong_times"),
    "begins when it expires": (at(nbf=600), "wrong_times"),
    "good before it was issued": (at(iat=10), "wrong_times"),
    "not good yet": (at(nbf=6), "not_yet"),
    "issued in the future": (at(iat=6, nbf=6), "not_yet"),
    "good for too long": (at(exp=3601), "lives_too_long"),
    "good for ever": (saying(exp=2**53 - 1), "lives_too_long"),
    "an hour later": (_after(lambda s, _: s.clock.go(3605)), "expired"),
    "the clock went back": (_after(lambda s, _: s.clock.go(-3600)), "not_yet"),
    # state
    "used up": (_used, "used"),
    "revoked by its id": (
        _after(lambda s, t: s.nav.revoke(token_id=s.nav.claims_of(t).token_id)),
        "revoked",
    ),
    "revoked with its user": (_after(lambda s, _: s.nav.revoke(subject="ada")), "revoked"),
    "revoked with its domain": (_after(lambda s, _: s.nav.revoke(domain="info")), "revoked"),
    "revoked with its time": (
        _after(lambda s, _: s.nav.revoke(before=s.clock() + 1)),
        "revoked",
    ),
    "a grandchild of a revoked one": (_child_of_revoked, "revoked"),
    "a key that was given away": (
        _after(lambda s, _: s.nav.rotate("info", now=True)),
        "unknown_header",
    ),
    "a new token by an old key": (_old_key_new_token, "key_retired"),
    "one of a number behind its key's last": (_old_key_new_number, "key_retired"),
    # scope
    "of a cell": (_narrowed(cell="x"), "wrong_cell"),
    "of another flow": (_narrowed(flow="report"), "wrong_flow"),
    "of another path": (_narrowed(path="/tides"), "wrong_path"),
}
