"""Who is kept out is let in when it is time, and no sooner, by a clock that steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.journal import VolatileJournal
from engines.nav_mesh import MemoryKeys, NavigationMesh
from tests.nav_mesh.kit import NOON, Clock, Site

HOUR_S, DAY_S = 3600.0, 86_400.0


@pytest.fixture
def blocked(site: Site) -> Callable[[], bool]:
    """Whether ada is kept out now, and what that looks like to everybody."""

    def look() -> bool:
        token = site.nav.issue_token("info", "ada")
        found = site.nav.decide("info", token, "ada").rule
        assert found in {"ok", "blocked"}
        assert site.open().check("info", token, "ada").rule == found
        assert bool(site.nav.get_status()["blocked"]) == (found == "blocked")
        return found == "blocked"

    return look


def keep_out(site: Site, for_s: float = HOUR_S) -> None:
    site.nav.block("info", site.nav.pseudonym("ada"), for_s)


def test_a_clock_that_is_ahead_for_a_while_ends_no_block(
    site: Site, blocked: Callable[[], bool]
) -> None:
    """Though somebody passed meanwhile; and it ends when it should have."""
    keep_out(site)
    site.clock.go(DAY_S)
    assert not blocked()
    site.clock.go(10 - DAY_S)
    assert blocked()
    site.clock.go(HOUR_S)
    assert not blocked()


def test_a_block_that_was_set_while_the_clock_was_behind_lasts_once_it_is_right(
    site: Site, blocked: Callable[[], bool]
) -> None:
    assert not blocked()
    site.clock.go(-DAY_S)
    keep_out(site)
    assert blocked()
    site.clock.go(DAY_S)
    assert blocked()
    site.clock.go(HOUR_S)
    assert not blocked()


def test_a_block_that_was_set_while_the_clock_was_ahead_is_no_longer_for_that(
    site: Site, blocked: Callable[[], bool]
) -> None:
    """It has its length from when the clock was set right, and does not come again later."""
    site.clock.go(DAY_S)
    keep_out(site)
    site.clock.go(-DAY_S)
    assert blocked()
    site.clock.go(HOUR_S - 1)
    assert blocked()
    site.clock.go(1)
    assert not blocked()
    site.clock.go(DAY_S - HOUR_S + 60)
    assert not blocked()


def test_a_clock_that_falls_behind_for_a_while_ends_no_block(
    site: Site, blocked: Callable[[], bool]
) -> None:
    keep_out(site)
    site.clock.go(60 - DAY_S)
    assert blocked()
    site.clock.go(DAY_S)
    assert blocked()
    site.clock.go(HOUR_S)
    assert not blocked()


def test_who_is_let_in_by_hand_is_not_kept_out_by_a_clock_that_steps(
    site: Site, blocked: Callable[[], bool]
) -> None:
    keep_out(site)
    site.clock.go(DAY_S)
    assert not site.nav.release("info", site.nav.pseudonym("ada"))  # nobody is kept out, it seems
    site.clock.go(-DAY_S)
    assert not blocked()


def test_blocks_that_are_over_make_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.nav_mesh.blocks.MOST", 3)
    for number in range(6):
        site.nav.block("info", f"user-{number}", 100 if number else HOUR_S)
        site.clock.go(100)
    assert [one["subject"] for one in site.nav.get_status()["blocked"]] == ["user-0"]
    assert len(site.nav.blocks.set_) == 3


@given(
    off=st.sampled_from([-30 * DAY_S, -DAY_S, -HOUR_S, -60.0, 60.0, HOUR_S, 30 * DAY_S]),
    wrong=st.tuples(st.integers(0, 9000), st.integers(1, 9000)),
    begins=st.integers(0, 9000),
    looks=st.lists(st.integers(0, 20_000), max_size=12),
)
@settings(max_examples=18, deadline=None)
def test_a_clock_that_is_wrong_for_a_while_lets_nobody_in_before_his_time(
    off: float, wrong: tuple[int, int], begins: int, looks: list[int]
) -> None:
    """Whenever it is right, whoever looked in between; unless it had been behind as it was set."""
    clock = Clock()
    nav = NavigationMesh(journal=VolatileJournal(clock=clock), keys=MemoryKeys(), clock=clock)
    for at in sorted({*looks, begins, begins + 1}):
        is_wrong = wrong[0] <= at < sum(wrong)
        clock.now = NOON + at + (off if is_wrong else 0.0)
        if at == begins:
            if is_wrong and off < 0:
                return
            nav.block("info", nav.pseudonym("ada"), HOUR_S)
        token = nav.issue_token("info", "ada")
        found = nav.decide("info", token, "ada").rule
        if begins <= at < begins + HOUR_S and (not is_wrong or off < 0):
            assert found == "blocked"


def test_a_snapshot_has_it_all(site: Site) -> None:
    """Revocations, the last number of a key, and a block that two clocks tell."""
    token = site.nav.issue_token("info", "ada")
    site.nav.rotate("info")
    site.nav.revoke(subject="ada", before=NOON + 60)
    site.nav.revoke(token_id=site.nav.claims_of(token).token_id)
    keep_out(site)
    site.clock.go(-DAY_S)
    site.nav.issue_token("info", "eve")
    site.nav.save_snapshot()
    assert site.nav.check_snapshot() is None
    again = site.open()
    assert (again.revoked, again.blocks, again.keys) == (
        *(site.nav.revoked, site.nav.blocks, site.nav.keys),
    )
    assert again.check("info", token, "ada").rule != "ok"
    assert len(again.blocks.doubtful) == 1
