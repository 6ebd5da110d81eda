"""Tokens: issued, narrowed, revoked, rotated; and every process finds the same."""

from __future__ import annotations

import contextlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import NavigationMesh as FromShim
from engines.errors import InvalidInput
from engines.journal import VolatileJournal
from engines.nav_mesh import (
    GateDenied,
    GateResult,
    GateRule,
    NavigationMesh,
    RouteType,
    Rules,
    ThresholdDomain,
)
from engines.nav_mesh.tokens import DEEPEST
from tests.nav_mesh.kit import Site

INFO, WEALTH = ThresholdDomain.INFO, ThresholdDomain.WEALTH


def rule(site: Site, token: str, user: str = "ada", domain: str = "info", **asked: str) -> str:
    return site.nav.decide(domain, token, user, **asked).rule


# --- the face that users' code knows ------------------------------------------------------------


def test_the_face_is_as_it_was(tmp_path: Path) -> None:
    """One log, keys beside it that nobody else can read, and (success, error, route)."""
    assert FromShim is NavigationMesh
    nav = NavigationMesh(tmp_path / "gate_log.jsonl")
    token = nav.issue_token(WEALTH, "user_001")
    assert nav.navigate(WEALTH, token, "user_001") == (True, None, RouteType.PRIMARY)
    success, error, _ = nav.navigate(INFO, token, "user_001")
    assert (success, error) == (False, "issued for another domain")
    assert nav.navigate(WEALTH, "nonsense", "user_001")[0] is False
    assert nav.navigate(WEALTH, None, "user_001", True) == (True, None, RouteType.OFFLINE)
    assert nav.detect_anomalies() == []
    status = nav.get_status()
    assert {"total_navigations", "path_switches", "gates", "routes", "anomalies"} <= status.keys()
    assert (status["total_navigations"], status["path_switches"]) == (4, 0)
    gate = status["gates"]["wealth"]
    assert (gate["domain"], gate["total_requests"], gate["total_allowed"]) == ("wealth", 3, 2)
    assert (gate["total_denied"], gate["breach_attempts"]) == (1, 1)
    assert gate["success_rate"] == pytest.approx(2 / 3)
    assert gate["recent_breaches"][0]["rule"] == "malformed"
    assert nav.verify_hash_chain()
    keys = tmp_path / "gate_log.keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    again = NavigationMesh(tmp_path / "gate_log.jsonl")
    assert again.navigate(WEALTH, token, "user_001")[0]


def test_a_life_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nav = NavigationMesh(journal=VolatileJournal())
    assert nav.navigate("info", nav.issue_token("info", "ada"), "ada")[0]
    assert [*tmp_path.iterdir()] == []


def test_the_record_has_no_name_and_no_token(site: Site) -> None:
    """But decisions with their rule, and the same pseudonym for the same user in all domains."""
    tokens = [site.nav.issue_token(domain, "ada.lovelace") for domain in ("info", "myth")]
    site.nav.decide("info", tokens[0], "ada.lovelace")
    site.nav.decide("myth", tokens[0], "ada.lovelace")
    site.nav.decide("info", None, "Ada Lovelace <ada@example.org>")
    text = site.log.read_text()
    assert "lovelace" not in text.lower()
    assert not any(part in text for token in tokens for part in token.split(".")[1:])
    events = [json.loads(line) for line in text.splitlines()]
    decided = [e for e in events if e["event_type"] in {"gate_allowed", "gate_denied"}]
    assert [e.get("rule") for e in decided] == [None, "wrong_audience", "wrong_user_id"]
    assert decided[0]["subject"] == decided[1]["subject"] == site.nav.pseudonym("ada.lovelace")


@pytest.mark.parametrize("user", ["user_001", "desk/ada", "skill:tide-2", "a.b", "x" * 128, "0"])
def test_names_of_users_are_plain(site: Site, user: str) -> None:
    assert rule(site, site.nav.issue_token("info", user), user) == "ok"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"user_id": "Ada"}, "not a name of a user"),
        ({"user_id": ""}, "not a name of a user"),
        ({"user_id": "a" * 129}, "not a name of a user"),
        ({"user_id": None}, "not a name of a user"),
        ({"domain": "welth"}, "did you mean 'wealth'"),
        ({"domain": ["info"]}, "no domain"),
        ({"life_s": 0}, "at least 1"),
        ({"life_s": 3601}, "allows tokens of 3600 s"),
        ({"flow": "A b"}, "not a name of a flow"),
        ({"cell": "a/b"}, "not a name of a cell"),
        ({"cell": 7}, "not a name of a cell"),
        ({"path": "tides"}, "cannot be|no token can be narrowed"),
        ({"path": "/a/../b"}, "no token can be narrowed"),
        ({"path": "/a?b"}, "no token can be narrowed"),
    ],
)
def test_what_cannot_be_issued_is_said(site: Site, asked: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        site.nav.issue_token(**{"domain": "info", "user_id": "ada", **asked})  # type: ignore[arg-type]
    assert not site.log.exists()


def test_the_leeway_is_five_seconds_at_both_ends(site: Site) -> None:
    token = site.nav.issue_token("info", "ada", life_s=60)
    for offset, expected in ((-5, "ok"), (-6, "not_yet"), (64, "ok"), (65, "expired")):
        site.clock.now = 1_800_000_000 + offset
        assert rule(site, token) == expected


def test_only_who_is_admitted_gets_in(tmp_path: Path) -> None:
    rules = Rules({INFO: GateRule(subjects=("ada", "desk/*"))})
    site = Site(tmp_path, rules)
    for user in ("ada", "desk/grace"):
        assert rule(site, site.nav.issue_token("info", user), user) == "ok"
    with pytest.raises(InvalidInput, match="not admitted"):
        site.nav.issue_token("info", "eve")
    token = site.open(Rules()).issue_token("info", "eve")  # before that was set
    assert site.nav.decide("info", token, "eve").result is GateResult.DENIED
    assert site.nav.decide("info", None, "eve", offline=True).rule == "not_admitted"


# --- narrowing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "path", "within"),
    [
        *(("/a", "/a", True), ("/a", "/a/", True), ("/a", "/a/b?c=/../d", True)),
        *(
            ("/a/", "/a/b", True),
            ("/", "/x", True),
            ("/a", "/a%20b", False),
            ("/a", "/a/b%20c", True),
        ),
        *(("/a", "/ab", False), ("/a", "/", False), ("/a", "", False), ("/a", "a", False)),
        *(("/a", "/a/../b", False), ("/a", "/a/./b", False), ("/a", "/a//b", False)),
        *(("/a", "/a/%2e%2e/b", False), ("/a", "/a%2fb", False), ("/a", "/a/b%5cc", False)),
        *(("/a", "/a\\b", False), ("/a", "/a/\u00fc", False), ("/a", "/a/b\n", False)),
        *(("/a", "/a#b", False), ("/a", "/A", False), ("/a", "/a/%zz", False)),
        *(("/a", "/a/..;/b", False), ("/a", "/a/.;x/b", False), ("/a", "/a/;/b", False)),
        *(("/a", "/a;v=1/b", False), ("/a", "/a/b;v=1", True), ("/a", "/a/b..;v", True)),
        *(("/a", "/a/%252e%252e/b", False), ("/a", "/a/..%3b/b", False)),
        *(("/a", "/a/%c0%ae%c0%ae/b", False), ("/a", "/a/%E0%80%AE/b", False)),
        *(("/a", "/a/%c3%a9", True), ("/a", "/a/%e0%a4%85", True)),
    ],
)
def test_a_path_lies_below_another_part_by_part(
    site: Site, prefix: str, path: str, within: bool
) -> None:
    token = site.nav.issue_token("info", "ada", path=prefix)
    assert rule(site, token, path=path) == ("ok" if within else "wrong_path")


def test_narrowing_only_ever_narrows(site: Site) -> None:
    parent = site.nav.issue_token("info", "ada", path="/tides", life_s=600)
    child = site.nav.attenuate(parent, flow="report", path="/tides/elbe", life_s=60)
    assert rule(site, child, flow="report", path="/tides/elbe/3") == "ok"
    assert rule(site, child, path="/tides/elbe") == "wrong_flow"
    assert rule(site, child, flow="report", path="/tides") == "wrong_path"
    assert rule(site, child, "eve", flow="report", path="/tides/elbe") == "wrong_subject"
    for wider in ({"path": "/"}, {"path": "/tidesx"}, {"flow": "other"}):
        with pytest.raises(InvalidInput):
            site.nav.attenuate(child, **wider)
    grandchild = site.nav.claims_of(site.nav.attenuate(child, life_s=3600))
    assert grandchild.expires == site.nav.claims_of(child).expires
    assert (grandchild.flow, grandchild.path) == ("report", "/tides/elbe")
    site.clock.go(66)
    assert rule(site, child, flow="report", path="/tides/elbe") == "expired"
    assert rule(site, parent, path="/tides") == "ok"


def test_a_token_of_a_cell_opens_that_cell_and_nothing_else(site: Site) -> None:
    """And one of the domain opens no cell, but can be narrowed to one."""
    domain = site.nav.issue_token("info", "ada")
    cell = site.nav.issue_token("info", "ada", cell="desk.2", path="/a")
    assert site.nav.claims_of(cell).audience == "dino:info/desk.2"
    for nav in (site.nav, site.open()):
        assert nav.decide("info", cell, "ada", cell="desk.2", path="/a").rule == "ok"
        assert nav.check("info", cell, "ada", cell="desk.2", path="/b").rule == "wrong_path"
        for asked in ("", "desk", "desk.22", "DESK.2", None):
            assert not nav.decide("info", cell, "ada", cell=asked, path="/a").allowed  # type: ignore[arg-type]
        assert nav.decide("wealth", cell, "ada", cell="desk.2").rule == "wrong_audience"
        assert nav.decide("info", domain, "ada", cell="desk.2").rule == "wrong_cell"
    narrowed = site.nav.attenuate(domain, cell="desk.2")
    assert site.nav.navigate(INFO, narrowed, "ada", cell="desk.2")[0]
    assert rule(site, narrowed) == "wrong_cell"
    step = site.nav.attenuate(narrowed, life_s=60)
    assert site.nav.claims_of(step).cell == "desk.2"
    with pytest.raises(InvalidInput, match=r"for the cell 'desk\.2'"):
        site.nav.attenuate(step, cell="desk")
    events = map(json.loads, site.log.read_text().splitlines())
    allowed = [event["seq"] for event in events if event["event_type"] == "gate_allowed"]
    assert all(site.nav.explain(line).agrees for line in allowed)


PATHS = st.sampled_from(["", "/", "/a", "/a/b", "/a/b/c", "/ab", "/a/b%20c"])
FLOWS = st.sampled_from(["", "f", "g"])
NARROWING = st.fixed_dictionaries({"flow": FLOWS, "path": PATHS, "life_s": st.integers(1, 900)})


@given(steps=st.lists(NARROWING, min_size=1, max_size=4), waits=st.integers(0, 700), data=st.data())
@settings(max_examples=24)
def test_what_a_narrowed_token_opens_each_before_it_opens(
    chain_site: Site, steps: list[dict[str, Any]], waits: int, data: st.DataObject
) -> None:
    """Whatever it was narrowed to, and by how many steps; and with any of them it is revoked."""
    nav, clock = chain_site.nav, chain_site.clock
    chain = [nav.issue_token("info", "ada", life_s=600)]
    for step in steps:
        with contextlib.suppress(InvalidInput):  # that would have been wider
            chain.append(nav.attenuate(chain[-1], **step))
    asked = {"flow": data.draw(FLOWS), "path": data.draw(PATHS)}
    clock.go(waits)
    opened = [nav.check("info", token, "ada", **asked).allowed for token in chain]
    assert opened == sorted(opened, reverse=True)
    taken = data.draw(st.integers(0, len(chain) - 1))
    nav.revoke(token_id=nav.claims_of(chain[taken]).token_id)
    after = [nav.check("info", token, "ada", **asked).allowed for token in chain]
    assert after == opened[:taken] + [False] * (len(chain) - taken)


def test_what_is_narrowed_in_the_leeway_behind_its_end_can_be_read(site: Site) -> None:
    token = site.nav.issue_token("info", "ada", life_s=60)
    for offset in (60, 4):
        site.clock.go(offset)
        assert rule(site, site.nav.attenuate(token)) == "ok"


@pytest.fixture(scope="module")
def chain_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("chain"))


def test_refusals_of_the_minute_before_are_not_forgotten(site: Site) -> None:
    """Also where what comes next is no request, but an attempt to narrow."""
    token = site.nav.issue_token("info", "ada")
    for _ in range(9):
        site.nav.decide("info", token[:-4] + "AAAA", "ada")
    site.clock.go(60)
    with pytest.raises(GateDenied):
        site.nav.attenuate(token[:-4] + "AAAA")
    assert site.open().get_status()["gates"]["info"]["breaches_blocked"] == 10


def test_what_is_not_good_is_not_narrowed(site: Site) -> None:
    """And whoever tries it is counted among the breaches."""
    once = site.nav.issue_token("info", "ada", single_use=True)
    with pytest.raises(InvalidInput, match="one use"):
        site.nav.attenuate(once)
    good = site.nav.issue_token("info", "ada")
    with pytest.raises(GateDenied) as forged:
        site.nav.attenuate(good[:-4] + "AAAA")
    assert (forged.value.rule, forged.value.exit_code) == ("bad_signature", 3)
    site.nav.revoke(subject="ada")
    with pytest.raises(GateDenied, match="revoked"):
        site.nav.attenuate(good)
    with pytest.raises(GateDenied):
        site.nav.attenuate("nonsense")
    assert site.open().get_status()["gates"]["info"]["breach_attempts"] == 2
    unknown = site.open().get_status()["gates"]["unknown"]  # that was meant for no gate
    assert (unknown["breaches_blocked"], unknown["breach_attempts"]) == (1, 1)
    assert site.nav.get_status()["total_navigations"] == 3
    token = site.nav.issue_token("info", "grace")
    for _ in range(DEEPEST):
        token = site.nav.attenuate(token)
    with pytest.raises(InvalidInput, match="no further"):
        site.nav.attenuate(token)


# --- taken back ---------------------------------------------------------------------------------


def test_a_revocation_is_heeded_at_the_next_check_of_every_process(site: Site) -> None:
    """Though each has verified the token before, and remembers it."""
    ours, theirs = site.nav, site.open()
    token = ours.issue_token("info", "ada")
    other = ours.issue_token("info", "grace")
    assert theirs.decide("info", token, "ada").allowed
    theirs.revoke(subject="ada")
    assert ours.decide("info", token, "ada").rule == "revoked"
    assert ours.decide("info", other, "grace").allowed
    fresh = ours.issue_token("info", "ada")  # in the very second of the revocation
    assert theirs.decide("info", fresh, "ada").allowed


def test_what_was_narrowed_dies_with_what_was_issued_before(site: Site) -> None:
    """By time too: it counts as issued when what it came from was."""
    old = site.nav.issue_token("info", "ada")
    site.clock.go(10)
    child = site.nav.attenuate(old)
    site.nav.revoke(before=site.clock() - 5)
    assert rule(site, child) == "revoked"
    assert rule(site, site.nav.issue_token("info", "ada")) == "ok"


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"token_id": "short"},
        {"token_id": "A" * 22, "domain": "info"},
        {"subject": "A B"},
        {"domain": "x"},
        {"before": float("nan")},
    ],
)
def test_a_revocation_of_nothing_is_refused(site: Site, what: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        site.nav.revoke(**what)  # type: ignore[arg-type]


def test_what_passed_with_a_stolen_token_counts_as_let_through(site: Site) -> None:
    """So the threshold lock falls below all: breaches blocked, of breaches."""
    token = site.nav.issue_token("info", "ada")
    rule(site, token)
    site.clock.go(60)
    stolen = site.clock()
    for _ in range(3):
        rule(site, token)
    found = site.nav.revoke(token_id=site.nav.claims_of(token).token_id, since=stolen)
    assert found == {"info": 3}
    assert rule(site, token) == "revoked"
    gate = site.open().get_status()["gates"]["info"]
    assert (gate["breaches_blocked"], gate["breach_attempts"]) == (1, 4)


def test_a_token_for_one_use_is_used_once(site: Site) -> None:
    """Also where two processes have it, after a restart, and until it has expired."""
    ours, theirs = site.nav, site.open()
    token = ours.issue_token("info", "ada", single_use=True)
    assert theirs.check("info", token, "ada").allowed  # which uses nothing up
    assert ours.decide("info", token, "ada").allowed
    assert theirs.decide("info", token, "ada").rule == "used"
    site.clock.go(3604)
    assert site.open().decide("info", token, "ada").rule == "used"
    site.clock.go(1)
    assert site.open().decide("info", token, "ada").rule == "expired"


@pytest.mark.parametrize("theirs", [1, 256])
def test_a_clock_that_was_ahead_makes_nothing_good_again(site: Site, theirs: int) -> None:
    """What was forgotten meanwhile is refused all the same; and what is issued then is good."""
    revoked = site.nav.issue_token("info", "ada")
    site.nav.revoke(token_id=site.nav.claims_of(revoked).token_id)
    used = [site.nav.issue_token("info", "ada", single_use=True) for _ in range(theirs - 1)]
    assert all(rule(site, token) == "ok" for token in used[:200])
    site.clock.go(60)
    assert all(rule(site, token) == "ok" for token in used[200:])
    site.clock.go(86_400)
    rule(site, site.nav.issue_token("info", "ada", single_use=True))
    site.nav.revoke(subject="zoe")
    site.clock.go(-86_400)
    for nav in (site.nav, site.open()):
        assert nav.decide("info", revoked, "ada").rule == "revoked"
        assert {nav.check("info", token, "ada").rule for token in used} <= {"clock_set_back"}
    for _ in range(2):  # where something was forgotten by another key, whose tokens it cannot mean
        fresh = site.nav.issue_token("info", "ada", life_s=9)
        assert site.open().decide("info", fresh, "ada").rule == "ok"
        assert site.nav.check("info", site.nav.attenuate(fresh, life_s=2), "ada").allowed
    assert len(site.nav.keys) == (2 if used else 1)


# --- keys ---------------------------------------------------------------------------------------


def test_a_rotation_leaves_what_is_out_as_it_is(site: Site) -> None:
    """Until the last of it has expired; then the old key is nothing more."""
    theirs = site.open()
    old = site.nav.issue_token("info", "ada")
    first = site.key_id()
    assert theirs.decide("info", old, "ada").allowed
    site.clock.go(1800)
    site.nav.rotate("info")
    assert site.key_id() != first
    new = theirs.issue_token("info", "ada")
    assert theirs.claims_of(new).key_id == site.key_id()
    for nav in (theirs, site.nav, site.open()):
        assert nav.decide("info", old, "ada").allowed
        assert nav.decide("info", new, "ada").allowed
    assert [one["key"] for one in theirs.get_status()["gates"]["info"]["old_keys"]] == [first]
    site.clock.go(3700)
    site.nav.rotate("info")
    assert first not in site.nav.keys
    assert rule(site, old) == "unknown_header"


def test_a_key_in_wrong_hands_is_no_good_at_once(site: Site) -> None:
    theirs = site.open()
    token, wealth = (site.nav.issue_token(domain, "ada") for domain in ("info", "wealth"))
    assert theirs.decide("info", token, "ada").allowed
    site.nav.rotate("info", now=True)
    assert not theirs.decide("info", token, "ada").allowed
    assert theirs.decide("wealth", wealth, "ada").allowed


def test_a_private_key_that_is_lost_is_replaced(site: Site) -> None:
    """As after a crash between the vault and the record; what is out stays good."""
    token = site.nav.issue_token("info", "ada")
    site.keys.save("info", bytes(32))
    theirs = site.open()
    assert theirs.decide("info", theirs.issue_token("info", "ada"), "ada").allowed
    assert theirs.decide("info", token, "ada").allowed
    assert len(theirs.keys) == 2


def test_verifying_needs_no_key_but_that_of_the_pseudonyms(site: Site) -> None:
    token = site.nav.issue_token("info", "ada")

    def locked(*_: object) -> None:
        raise AssertionError("the vault was asked")

    site.keys.load = site.keys.save = site.keys.unlock = locked  # type: ignore[method-assign,assignment]
    assert site.open().decide("info", token, "ada").allowed


def test_many_decisions_share_one_commit(site: Site) -> None:
    """All or none of them: and each has a line of its own."""
    token = site.nav.issue_token("info", "ada")
    lines = len(site.log.read_bytes().splitlines())

    def fail_halfway() -> None:
        with site.nav.deciding():
            assert site.nav.decide("info", token, "ada").allowed
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert len(site.log.read_bytes().splitlines()) == lines
    with site.nav.deciding():
        assert all(site.nav.decide("info", token, "ada").allowed for _ in range(9))
    assert len(site.log.read_bytes().splitlines()) == lines + 9
    assert site.nav.get_status()["gates"]["info"]["total_allowed"] == 9
