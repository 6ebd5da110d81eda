"""Rate limits: so many of a subject in any minute, whoever decides, and in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.nav_mesh import GateResult, limits
from engines.nav_mesh.limits import RateTable
from tests.nav_mesh.kit import NOON, Site


@pytest.mark.parametrize(("domain", "limit"), [("wealth", 100), ("info", 200), ("myth", 50)])
def test_so_many_pass_within_a_minute(site: Site, domain: str, limit: int) -> None:
    """By two processes in turns; then none, until a minute after the first."""
    token = site.nav.issue_token(domain, "ada")
    both = [site.nav, site.open()]
    for number in range(10):
        nav = both[number % 2]
        with nav.deciding():
            passed = [nav.decide(domain, token, "ada").allowed for _ in range(limit // 10)]
        assert all(passed)
    refused = both[0].decide(domain, token, "ada")
    assert refused.result is GateResult.RATE_LIMITED
    assert refused.retry_after_s == pytest.approx(60)
    assert site.nav.issue_token(domain, "grace")
    site.clock.go(59.9)
    assert not both[1].decide(domain, token, "ada").allowed
    site.clock.go(0.1)
    assert both[1].decide(domain, token, "ada").allowed
    gate = site.open().get_status()["gates"][domain]
    assert (gate["rate_limited"], gate["breach_attempts"]) == (2, 0)


def test_the_limit_is_each_subjects_own(site: Site) -> None:
    ada, grace = (site.nav.issue_token("myth", user) for user in ("ada", "grace"))
    with site.nav.deciding():
        assert sum(site.nav.decide("myth", ada, "ada").allowed for _ in range(60)) == 50
        assert site.nav.decide("myth", grace, "grace").allowed


def test_what_is_queued_offline_is_limited_by_itself(site: Site) -> None:
    """And uses up nothing of what passes online."""
    token = site.nav.issue_token("myth", "ada")
    with site.nav.deciding():
        every = [site.nav.decide("myth", None, "ada", offline=True) for _ in range(60)]
        assert [one.rule for one in every].count("queued") == 50
        assert site.nav.decide("myth", token, "ada").allowed
    gate = site.nav.get_status()["gates"]["myth"]
    assert (gate["total_queued"], gate["rate_limited"]) == (50, 10)


@given(
    steps=st.lists(st.floats(0, 30) | st.floats(0, 0.5), max_size=60),
    limit=st.integers(1, 6),
)
def test_no_minute_sees_more(steps: list[float], limit: int) -> None:
    """Wherever it begins; and who waits as long as told is let in."""
    table, now, passed = RateTable(), NOON, list[float]()
    for step in steps:
        now += step
        wait = table.wait_s("info", "ada", limit, now)
        if wait:
            assert 0 < wait <= 60
            assert table.wait_s("info", "ada", limit, now + wait + 1e-3) == 0
            continue
        table.add("info", "ada", now)
        passed.append(now)
    for begin in passed:
        assert sum(begin <= at < begin + 60 - 1e-3 for at in passed) <= limit
    assert RateTable.from_plain(table.to_plain()).to_plain() == table.to_plain()


def test_a_clock_that_is_set_back_locks_nobody_out_and_opens_nothing() -> None:
    """For more than a minute at once it begins anew, once; for less it goes on counting."""
    table = RateTable()
    for _ in range(5):
        table.add("info", "ada", NOON)
    assert table.wait_s("info", "ada", 5, NOON - 30)
    now = NOON - 3600
    for _ in range(5):
        assert not table.wait_s("info", "ada", 5, now)
        table.add("info", "ada", now)
    assert table.wait_s("info", "ada", 5, now)


def test_the_state_is_bounded_and_forgets_nobody_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all places are taken by those of the last minute, a new one has to wait."""
    monkeypatch.setattr(limits, "MOST_SUBJECTS", 3)
    table = RateTable()
    for number in range(3):
        table.add("info", f"s{number}", NOON + number)
    assert table.wait_s("info", "new", 9, NOON + 10) == pytest.approx(50)
    table.add("info", "s0", NOON + 20)  # so the longest idle one is another
    assert table.wait_s("info", "new", 9, NOON + 61.5) == 0
    table.add("info", "new", NOON + 61.5)
    assert len(table) == 3
    assert table.wait_s("info", "s0", 1, NOON + 61.5)


def test_the_limits_outlive_the_process(tmp_path: Path) -> None:
    site = Site(tmp_path)
    token = site.nav.issue_token("myth", "ada")
    with site.nav.deciding():
        for _ in range(50):
            site.nav.decide("myth", token, "ada")
    site.nav.save_snapshot()
    again = site.open()
    assert again.decide("myth", token, "ada").rule == "rate_limited"
