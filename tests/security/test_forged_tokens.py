"""No forged, stale or confused token passes a gate, and each is counted as a breach."""

from __future__ import annotations

import itertools
import random
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.nav_mesh import GateResult
from tests.nav_mesh.kit import WIDE, Site, b64
from tests.security.forged_tokens import FORGED


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Gates that have issued tokens before, and let a good one pass."""
    made = Site(tmp_path)
    for domain in ("info", "wealth"):
        made.nav.issue_token(domain, "ada")
    return made


def test_there_are_enough_of_them() -> None:
    assert len(FORGED) >= 120


def test_a_good_one_passes(site: Site) -> None:
    """So what is wrong with the others is what their names say."""
    assert site.nav.decide("info", site.signed(site.claims()), "ada").rule == "ok"
    once = site.claims(jti="AAAAAAAAAAAAAAAAAAAAAQ", flow="f", path="/a", once=True)
    child = {**once, "jti": "AAAAAAAAAAAAAAAAAAAAAg", "parent": "BBBBBBBBBBBBBBBBBBBBBA"}
    for claims in (once, child):
        assert site.nav.decide("info", site.signed(claims), "ada", flow="f", path="/a/b").allowed


@pytest.mark.parametrize("name", FORGED)
def test_no_forged_token_passes(site: Site, name: str) -> None:
    """It is refused by the right rule, by every process, and counted as a breach that was blocked."""
    make, rule = FORGED[name]
    token = make(site)
    before = site.nav.get_status()["gates"]["info"]
    decision = site.nav.decide("info", token, "ada", path="/somewhere")  # type: ignore[arg-type]
    assert (decision.allowed, decision.rule) == (False, rule)
    assert decision.result in {GateResult.INVALID_TOKEN, GateResult.DENIED}
    assert decision.reason
    after = site.open().get_status()["gates"]["info"]
    assert after["breach_attempts"] == before["breach_attempts"] + 1
    assert after["breaches_blocked"] == before["breaches_blocked"] + 1
    assert after["total_allowed"] == before["total_allowed"]
    assert after["recent_breaches"][-1]["rule"] == rule
    assert site.open().decide("info", token, "ada", path="/somewhere").rule == rule  # type: ignore[arg-type]


# --- fuzzing: nothing but what was signed passes, and nothing is raised -------------------------

PIECES = (
    *(
        ".",
        "..",
        "=",
        "==",
        "\n",
        "\0",
        "%2e",
        "+",
        "/",
        "-",
        "_",
        "{",
        "}",
        '"',
        "\u0430",
        "\ud800",
    ),
    *("eyJhbGciOiJub25lIn0", "e30", "bnVsbA", "W10", "A" * 86, "A" * 85, "A" * 600),
)


def mutated(token: str, draw: random.Random) -> str:
    """*token*, with a few pieces removed, doubled, changed or put in."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(token) + 1)
        till = min(at + draw.choice((0, 1, 1, 2, 8, 40)), len(token))
        piece = draw.choice(
            (draw.choice(PIECES), draw.choice(string.printable), token[at:till], "")
        )
        token = token[:at] + piece + token[till:]
    return token


def test_a_grammar_of_tokens_yields_none_that_passes(tmp_path: Path) -> None:
    """The same for many more in `bench/gates.py --fuzz`."""
    site = Site(tmp_path, WIDE)
    token = site.nav.issue_token("info", "ada")
    draw = random.Random(6)
    with site.nav.deciding():
        for _ in range(3000):
            forged = mutated(token, draw)
            allowed = site.nav.decide("info", forged, "ada").allowed
            assert allowed == (forged == token)


def test_every_bit_of_a_token_counts(tmp_path: Path) -> None:
    site = Site(tmp_path, WIDE)
    token = site.nav.issue_token("info", "ada")
    with site.nav.deciding():
        for at, bit in itertools.product(range(len(token)), range(7)):
            flipped = token[:at] + chr(ord(token[at]) ^ 1 << bit) + token[at + 1 :]
            assert not site.nav.decide("info", flipped, "ada").allowed
        for length in range(len(token)):
            assert not site.nav.decide("info", token[:length], "ada").allowed


@given(payload=st.binary(max_size=200), user=st.text(max_size=20))
@settings(max_examples=24)
def test_any_bytes_that_bear_our_signature_are_read_or_refused(
    fuzzed: Site, payload: bytes, user: str
) -> None:
    """Whoever has the key, and whatever the user is called: a decision, never an error."""
    token = fuzzed.signed(payload)
    assert not fuzzed.nav.decide("info", token, user).allowed
    assert not fuzzed.nav.decide("info", b64(payload), user).allowed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NAMES = ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "num", "flow", "path", "once")
NAMES += ("parent",)


@given(changes=st.dictionaries(st.sampled_from(NAMES), json_values, min_size=1, max_size=3))
@settings(max_examples=18)
def test_claims_of_any_type_are_no_error(fuzzed: Site, changes: dict[str, object]) -> None:
    """A signed token with other values passes only where nothing that counts is another."""
    claims = fuzzed.claims(**changes)
    decision = fuzzed.nav.decide("info", fuzzed.signed(claims), "ada")
    same = {name: claims.get(name) for name in ("iss", "sub", "aud")}
    good = fuzzed.claims()
    assert not decision.allowed or same == {name: good[name] for name in same}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("fuzzed"), WIDE)
    made.nav.issue_token("info", "ada")
    return made


def test_a_flood_of_forgeries_does_not_fill_the_disk(tmp_path: Path) -> None:
    """Their number is exact, and their lines are few; also where each comes in another's name."""
    site = Site(tmp_path, WIDE)
    site.nav.issue_token("info", "ada")
    with site.nav.deciding():
        for number in range(5000):
            site.nav.decide("info", "a.b." + "A" * 86, "eve")
            site.nav.decide("info", "a.b." + "A" * 86, f"eve-{number}")
    site.nav.close()
    assert site.open().get_status()["gates"]["info"]["breaches_blocked"] == 10_000
    assert site.log.stat().st_size < 300_000
