"""Whatever the clock does: what was taken back stays so, and what is given out later is good."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import DinoError, InvalidInput
from engines.journal import VolatileJournal
from engines.nav_mesh import GateDenied, GateRule, MemoryKeys, NavigationMesh, Rules
from engines.nav_mesh.model import Grant, Request, ThresholdDomain
from engines.nav_mesh.tokens import Claims
from tests.nav_mesh.kit import NOON, Clock, Site

HOUR_S, DAY_S = 3600.0, 86_400.0
STEPS = (-2.0, -HOUR_S, -DAY_S, 2.0, HOUR_S, DAY_S)


def rule(site: Site, token: str, user: str = "ada", **asked: str) -> str:
    return site.nav.check("info", token, user, **asked).rule


def revoked_by_id(nav: NavigationMesh, claims: Claims) -> None:
    nav.revoke(token_id=claims.token_id)


REVOKED: dict[str, Callable[[NavigationMesh, Claims], object]] = {
    "by id": revoked_by_id,
    "by user": lambda nav, _: nav.revoke(subject="ada"),
    "by domain": lambda nav, _: nav.revoke(domain="info"),
    "by its key": lambda nav, _: nav.rotate("info", now=True),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", REVOKED)
def test_a_revocation_holds_also_where_the_clock_stepped_before_it(
    site: Site, how: str, step: float
) -> None:
    """And once the clock is right again, after further revocations, and for what was narrowed."""
    token = site.nav.issue_token("info", "ada")
    child = site.nav.attenuate(token, path="/a")
    site.clock.go(step)
    REVOKED[how](site.nav, site.nav.claims_of(token))
    site.nav.revoke(subject="zoe")
    site.clock.go(-step)
    site.nav.revoke(subject="zoe")
    for nav in (site.nav, site.open()):
        assert not nav.check("info", token, "ada").allowed
        assert not nav.check("info", child, "ada", path="/a").allowed


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", REVOKED)
def test_a_revocation_shuts_out_nobody_who_is_given_a_token_later(
    site: Site, how: str, step: float
) -> None:
    """However far ahead the clock was as it was made."""
    token = site.nav.issue_token("info", "ada")
    site.clock.go(step)
    REVOKED[how](site.nav, site.nav.claims_of(token))
    site.clock.go(-step)
    for user in ("ada", "grace"):
        assert rule(site, site.nav.issue_token("info", user), user) == "ok"


def test_a_time_that_was_given_means_what_was_issued_before_it_so_far(site: Site) -> None:
    """Also one that is still to come; what is issued later is good at once."""
    old = site.nav.issue_token("info", "ada")
    site.clock.go(60)
    new = site.nav.issue_token("info", "ada")
    site.nav.revoke(subject="ada", before=site.clock() - 30)
    assert (rule(site, old), rule(site, new)) == ("revoked", "ok")
    site.nav.revoke(subject="ada", before=site.clock() + DAY_S)
    assert rule(site, new) == "revoked"
    assert rule(site, site.nav.issue_token("info", "ada")) == "ok"
    site.nav.revoke(subject="ada", before=NOON)  # which says less than what was said before
    assert rule(site, new) == "revoked"


def test_of_very_many_revocations_the_first_are_forgotten_and_their_tokens_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.nav_mesh.revoked.MOST", 2)
    lost = site.nav.issue_token("info", "ada")
    site.nav.revoke(token_id=site.nav.claims_of(lost).token_id)
    late = site.nav.issue_token("info", "ada")
    for user in ("x", "y"):
        site.nav.revoke(subject=user)
    for nav in (site.nav, site.open()):
        assert nav.check("info", lost, "ada").rule == "revoked"
        assert nav.check("info", late, "ada").rule == "ok"


def test_many_revocations_of_one_user_by_earlier_and_earlier_times_stay_few(site: Site) -> None:
    tokens = [site.nav.issue_token("info", "ada")]
    for number in range(150):
        site.nav.revoke(subject="ada", before=NOON + 1000 - number)
    site.clock.go(1)
    tokens.append(site.nav.issue_token("info", "ada"))
    assert [rule(site, token) for token in tokens] == ["revoked", "ok"]
    assert max(map(len, site.nav.revoked.made.values())) <= 101


def test_a_key_in_wrong_hands_is_no_good_on_any_clock(site: Site) -> None:
    """Nor one that was changed before it, and had lost its time on a clock that was ahead."""
    token = site.nav.issue_token("info", "ada")
    site.nav.rotate("info")
    site.clock.go(DAY_S)
    site.nav.rotate("info", now=True)
    site.clock.go(-DAY_S)
    assert not site.nav.check("info", token, "ada").allowed
    assert site.nav.get_status()["gates"]["info"]["old_keys"] == []


def test_a_log_of_before_there_were_numbers_says_what_it_said(tmp_path: Path) -> None:
    """Its tokens, which have none, its revocations by time, and its blocks; and goes on from there."""
    site = Site(tmp_path)
    token = {user: site.nav.issue_token("info", user) for user in ("ada", "eve", "zoe", "kim")}
    key = site.key_id()
    old = {user: site.signed(site.claims(sub=user, jti=_id(user))) for user in token}
    lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    until = NOON + DAY_S
    added = [
        ("gate_revoked", {"subject": _name(site, "eve"), "before": NOON + 1, "until": until}),
        ("gate_revoked", {"subject": _name(site, "ada"), "before": NOON - 60, "until": until}),
        ("gate_revoked", {"token": _id("zoe"), "until": until}),
        (
            "gate_blocked",
            {"domain": "info", "subject": _name(site, "kim"), "until": NOON + 60, "why": "by hand"},
        ),
    ]
    other = Site(tmp_path / "old")
    other.clock.now, other.keys = site.clock.now, site.keys
    other.nav = other.open()
    with other.nav.deciding():
        for event in lines:
            facts = {name: value for name, value in event.items() if name not in HEAD}
            facts.pop("number", None)
            if event["event_type"] != "journal_opened":
                other.nav.record(event["event_type"], **facts)
        for kind, facts in added:
            other.nav.record(kind, **facts)
    for nav in (other.nav, other.open()):
        found = {user: nav.check("info", one, user).rule for user, one in old.items()}
        assert found == {"ada": "ok", "eve": "revoked", "zoe": "revoked", "kim": "blocked"}
    assert other.key_id() == key
    fresh = other.nav.issue_token("info", "eve")
    assert rule(other, fresh, "eve") == "ok"
    other.clock.go(-HOUR_S)
    other.nav.revoke(subject="ada")
    other.clock.go(HOUR_S)
    assert rule(other, old["ada"]) == "revoked"


HEAD = frozenset({"seq", "event_type", "timestamp", "parent_hash", "event_hash"})


def _id(user: str) -> str:
    return user[0] * 21 + "A"


def _name(site: Site, user: str) -> str:
    return site.nav.pseudonym(user)


def test_a_token_that_the_record_has_lost_is_refused(site: Site, tmp_path: Path) -> None:
    """As where a backup was put back: what was revoked since then is lost with it."""
    site.nav.issue_token("info", "ada")
    before = site.log.read_bytes()
    token = site.nav.issue_token("info", "ada")
    site.nav.revoke(subject="ada")
    backup = tmp_path / "backup" / site.log.name
    backup.parent.mkdir()
    backup.write_bytes(before)
    nav = NavigationMesh(backup, keys=site.keys, clock=site.clock)
    assert nav.check("info", token, "ada").rule == "not_issued"


# --- whatever the clock does --------------------------------------------------------------------


class Given(NamedTuple):
    """A token, or a queued request that one let through, and whether it was taken back since."""

    user: str
    domain: str
    token: str
    family: tuple[str, ...]
    grant: Grant
    released: int | None
    gone: bool


class Steps:
    """Tokens and what waits, with what must hold of them, on a clock that goes anywhere."""

    def __init__(self) -> None:
        wide = {domain: GateRule(10**6) for domain in ThresholdDomain}
        self.clock = Clock()
        self.nav = NavigationMesh(
            journal=VolatileJournal(clock=self.clock),
            keys=MemoryKeys(),
            rules=Rules(wide),
            clock=self.clock,
        )
        self.given: list[Given] = []

    def step(self, seconds: float) -> None:
        self.clock.now = max(self.clock.now + seconds, 10.0)

    def issue(self, number: int) -> None:
        user, domain = ("ada", "eve")[number % 2], ("info", "myth")[number // 2 % 2]
        self._take(user, domain, self.nav.issue_token(domain, user, single_use=number % 5 == 0))

    def narrow(self, number: int) -> None:
        if one := self._one(number):
            try:
                child = self.nav.attenuate(one.token)
            except (GateDenied, InvalidInput):
                return
            assert not one.gone
            self._take(one.user, one.domain, child)

    def release(self, number: int) -> None:
        """Somebody looks at what waits by that token, and lets it go."""
        if one := self._one(number):
            index = self.given.index(one)
            self.given[index] = one._replace(released=self.nav.last_number(), gone=False)

    def revoke(self, number: int) -> None:
        user, domain = ("ada", "eve")[number % 2], ("info", "myth")[number // 2 % 2]
        which = number // 4 % 5
        one = self._one(number)
        if which == 0 and one:
            self.nav.revoke(token_id=one.family[0])
            self._gone(lambda other: one.family[0] in other.family)
        elif which == 1:
            self.nav.revoke(subject=user)
            self._gone(lambda other: other.user == user)
        elif which == 2:
            self.nav.revoke(domain=domain)
            self._gone(lambda other: other.domain == domain)
        elif which == 3:
            self.nav.rotate(domain, now=True)
            self._gone(lambda other: other.domain == domain)
        else:
            self.nav.revoke(subject=user, domain=domain)
            self._gone(lambda other: (other.user, other.domain) == (user, domain))

    def rotate(self, number: int) -> None:
        self.nav.rotate(("info", "myth")[number % 2])

    def use(self, number: int) -> None:
        if one := self._one(number):
            self.nav.decide(one.domain, one.token, one.user)

    def look(self) -> None:
        """What was taken back never passes; nothing else is refused for that."""
        for one in self.given:
            if one.released is None:
                found = self.nav.check(one.domain, one.token, one.user)
                assert not (one.gone and found.allowed), (one, found)
                assert one.gone or found.rule != "revoked", (one, found)

    def send(self) -> None:
        """The same of what waits; which issues tokens, so that it comes last."""
        for one in self.given:
            assert self._may_wait(one) is not one.gone, one

    def _may_wait(self, one: Given) -> bool:
        request = Request("POST", "/1")
        try:
            self.nav.resend(
                *(one.domain, one.user, request),
                queued_at=one.grant.issued,
                grant=one.grant,
                released=one.released,
            )
        except GateDenied as error:
            return error.rule != "revoked"
        except DinoError:  # the gate let it through, and there is no route
            return True
        return True

    def _take(self, user: str, domain: str, token: str) -> None:
        claims = self.nav.claims_of(token)
        family = claims.token_id, *claims.parents
        grant = Grant(claims.issued, family, claims.number)
        self.given.append(Given(user, domain, token, family, grant, None, gone=False))

    def _one(self, number: int) -> Given | None:
        return self.given[number % len(self.given)] if self.given else None

    def _gone(self, meant: Callable[[Given], bool]) -> None:
        self.given = [one._replace(gone=one.gone or meant(one)) for one in self.given]


DOES: list[Callable[[Steps, int], None]] = [
    *(Steps.issue, Steps.issue, Steps.revoke, Steps.revoke, Steps.narrow),
    *(Steps.release, Steps.rotate, Steps.use),
]
JUMPS = st.sampled_from([0.0, 0.0, *STEPS, -30 * DAY_S, 400 * DAY_S]) | st.floats(-9e3, 9e3)


@given(
    steps=st.lists(st.tuples(st.sampled_from(DOES), st.integers(0, 99), JUMPS), max_size=14),
)
@settings(max_examples=45, deadline=None)
def test_whatever_the_clock_does_what_was_taken_back_never_passes(
    steps: list[tuple[Any, int, float]],
) -> None:
    """And what was issued, or released, after a revocation is not refused because of it."""
    story = Steps()
    for does, number, jump in steps:
        does(story, number)
        story.step(jump)
        story.look()
    story.send()


# --- what is written, and what is not -----------------------------------------------------------


def test_numbers_are_given_out_once_over_all_processes(site: Site) -> None:
    """To tokens, narrowed ones and revocations, in the order of the record."""
    ours, theirs = site.nav, site.open()
    tokens = []
    for nav in (ours, theirs, ours):
        tokens.append(nav.issue_token("info", "ada"))
        nav.revoke(subject="eve")
        tokens.append(nav.attenuate(tokens[-1]))
    numbers = [ours.claims_of(token).number for token in tokens]
    assert numbers == [1, 3, 4, 6, 7, 9]
    assert theirs.last_number() == 9


CHANGES: dict[str, Callable[[NavigationMesh, str], object]] = {
    "a token": lambda nav, _: nav.issue_token("info", "ada"),
    "a narrowed one": lambda nav, token: nav.attenuate(token),
    "a revocation": lambda nav, _: nav.revoke(subject="ada"),
    "a rotation": lambda nav, _: nav.rotate("info"),
    "a rotation at once": lambda nav, _: nav.rotate("info", now=True),
    "a block": lambda nav, _: nav.block("info", nav.pseudonym("ada"), 60),
    "a release": lambda nav, _: nav.release("info", nav.pseudonym("eve")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_the_disk_does_not_take_gives_nobody_anything(
    site: Site, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked is told; and the next process finds what was there before, and goes on."""
    token, gone = (site.nav.issue_token("info", "ada") for _ in range(2))
    site.nav.revoke(token_id=site.nav.claims_of(gone).token_id)
    site.nav.block("info", site.nav.pseudonym("eve"), HOUR_S)
    before, lines = site.nav.last_number(), site.log.read_bytes()

    def full() -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(site.nav.journal, "commit", full)
        with pytest.raises(OSError, match="no space"):
            CHANGES[what](site.nav, token)
    assert site.log.read_bytes() == lines
    for nav in (site.nav, site.open()):
        assert nav.last_number() == before
        assert nav.check("info", gone, "ada").rule == "revoked"
        assert nav.check("info", token, "ada").rule == "ok"
        assert nav.blocks.until("info", nav.pseudonym("eve"), NOON) == NOON + HOUR_S
    fresh = site.nav.issue_token("info", "ada")
    assert rule(site, fresh) == "ok"
    site.nav.revoke(subject="ada")
    assert (rule(site, fresh), rule(site, token)) == ("revoked", "revoked")
