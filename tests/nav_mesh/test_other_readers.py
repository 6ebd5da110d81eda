"""What our gates accept, PyJWT and joserfc accept too: ours are stricter, never laxer."""

from __future__ import annotations

import random
import time
import warnings
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from engines.nav_mesh.rules import LEEWAY_S
from tests.nav_mesh.kit import WIDE, Site, b64
from tests.security.test_forged_tokens import mutated

FOUND = {"accepted": 0, "refused": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """On the time that the others go by."""
    made = Site(tmp_path_factory.mktemp("readers"), WIDE)
    made.clock.now = time.time()
    made.nav.issue_token("info", "ada")
    return made


def public(site: Site) -> Ed25519PublicKey:
    return site.key().public_key()


def pyjwt(site: Site, token: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(
            token,
            public(site),
            algorithms=["EdDSA"],
            audience="dino:info",
            issuer=site.nav.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "nbf", "aud", "iss", "sub", "jti"]},
        )
    except jwt.PyJWTError:
        return None


def joserfc(site: Site, token: str) -> dict[str, Any] | None:
    raw = public(site).public_bytes_raw()
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64(raw)})
    registry = joserfc_jwt.JWTClaimsRegistry(
        leeway=int(LEEWAY_S),
        iss={"essential": True, "value": str(site.nav.issuer)},
        aud={"essential": True, "value": "dino:info"},
        exp={"essential": True},
    )
    try:
        with warnings.catch_warnings():  # that its name for Ed25519 is an old one
            warnings.simplefilter("ignore")
            found = joserfc_jwt.decode(token, key, algorithms=["EdDSA"])
        registry.validate(found.claims)
    except (JoseError, ValueError, RecursionError):
        return None
    return dict(found.claims)


def compare(site: Site, token: str, user: str, **asked: str) -> bool:
    """Whether ours accept it; where they do, so do the others, and read the same in it."""
    allowed = site.nav.check("info", token, user, **asked).allowed
    FOUND["accepted" if allowed else "refused"] += 1
    if allowed:
        theirs = pyjwt(site, token)
        assert theirs is not None
        assert theirs == joserfc(site, token)
        assert (theirs["sub"], theirs["aud"]) == (user, "dino:info")
    return allowed


def test_what_we_issue_they_read(site: Site) -> None:
    token = site.nav.issue_token("info", "desk/ada.b_1:c-2", flow="f", path="/a", single_use=True)
    assert compare(site, token, "desk/ada.b_1:c-2", flow="f", path="/a/b")
    child = site.nav.attenuate(site.nav.issue_token("info", "ada"), life_s=30)
    assert compare(site, child, "ada")


def times(site: Site) -> st.SearchStrategy[Any]:
    now = int(site.clock())
    near = st.integers(now - 20, now + 20) | st.integers(now - 4000, now + 4000)
    return near | st.sampled_from([0, -1, True, None, 1.5, "9", 2**64, float(now)])


NAMES = st.sampled_from(["ada", "eve", "", "Ada", "ada\n", "a" * 128, "a" * 129, "\u0430", 7, None])
EXTRA = {
    "num": st.sampled_from([1, 0, 9, True, "1", 1.5]),
    "flow": st.sampled_from(["f", "", 1]),
    "path": st.sampled_from(["/a", "/a/", "/", "a", "/..", "//", "/%2e"]),
    "once": st.sampled_from([True, False, 1]),
    "parent": st.sampled_from(["B" * 21 + "A", "", "x", "A" * 22]),
    "admin": st.just(1),
}


@given(data=st.data())
@settings(max_examples=45)
def test_whatever_is_signed_they_accept_what_we_accept(site: Site, data: st.DataObject) -> None:
    """Claims of any kind, in any order, under our own signature."""
    claims = site.claims(
        **{
            name: data.draw(times(site))
            for name in data.draw(st.sets(st.sampled_from(["iat", "nbf", "exp"])))
        },
        **{
            name: data.draw(values)
            for name, values in EXTRA.items()
            if data.draw(st.integers(0, 3)) == 0
        },
        **({"sub": data.draw(NAMES)} if data.draw(st.booleans()) else {}),
        **(
            {"aud": data.draw(st.sampled_from(["dino:info", "dino:", ["dino:info"]]))}
            if data.draw(st.booleans())
            else {}
        ),
    )
    if data.draw(st.integers(0, 5)) == 0:
        claims = dict(data.draw(st.permutations(list(claims.items()))))
    user = claims["sub"] if isinstance(claims["sub"], str) else "ada"
    compare(site, site.signed(claims), user, flow="f", path="/a/b")


def test_however_a_token_is_changed_they_accept_what_we_accept(site: Site) -> None:
    token = site.nav.issue_token("info", "ada")
    draw = random.Random(3)
    kept = sum(compare(site, mutated(token, draw), "ada") for _ in range(400))
    assert kept < 100  # pieces that were replaced by themselves


def test_the_comparison_saw_both(site: Site) -> None:
    """The laws above are about tokens that are accepted, and not only about such."""
    assert compare(site, site.signed(site.claims()), "ada")
    assert not compare(site, site.signed(site.claims(exp="9")), "ada")
    assert min(FOUND.values()) > 0
    laxer = site.signed(site.claims(exp="9999999999"))
    assert pyjwt(site, laxer) is not None  # so theirs are not ours
