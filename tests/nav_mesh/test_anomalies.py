"""Anomalies: found in the record by whoever reads it, told once, acted on by rule."""

from __future__ import annotations

import random
from math import exp
from pathlib import Path

import pytest

from engines.anomalies import Dependency, Rate
from engines.nav_mesh import AnomalyRule, Rules
from tests.nav_mesh.kit import NOON, WIDE, Site

RULE = AnomalyRule()


def poisson(draw: random.Random, mean: float) -> int:
    count, left = 0, draw.random()
    while left > exp(-mean):
        left *= draw.random()
        count += 1
    return count


def delay(draw: random.Random, mean: float, factor: float) -> int | None:
    """After how many intervals a rate is noticed that has become so many times as high."""
    rate = Rate()
    for number in range(400):
        grown = mean * factor if number >= 360 else mean
        at = NOON + number * RULE.bucket_s
        if rate.advance(at, RULE):
            return number - 360
        rate.count = poisson(draw, grown)
    return None


@pytest.mark.parametrize(
    ("mean", "factor", "most"), [(20, 3, 3), (20, 10, 1), (8, 10, 1), (8, 4, 3)]
)
def test_a_rate_that_jumps_is_noticed_soon(mean: float, factor: float, most: int) -> None:
    """Ten times as much in the first interval, three times as much within three."""
    draw = random.Random(1)
    delays = [delay(draw, mean, factor) for _ in range(20)]
    assert all(found is not None and 1 <= found <= most for found in delays)


def test_chance_alone_raises_hardly_an_alarm() -> None:
    """Fewer than one a day, of a rate that goes up and down as the day does."""
    draw, rate, alarms, days = random.Random(2), Rate(), 0, 3
    for number in range(int(days * 86_400 / RULE.bucket_s)):
        at = NOON + number * RULE.bucket_s
        alarms += rate.advance(at, RULE) is not None
        rate.count = poisson(draw, 25 if 8 <= int(at // 3600) % 24 < 18 else 15)
    assert alarms <= days


def test_what_an_hour_usually_has_is_no_jump() -> None:
    """The first day's nightly batch is odd, the next days' is not; a larger one is."""
    draw, rate, alarms = random.Random(3), Rate(), []
    for number in range(int(4 * 86_400 / RULE.bucket_s)):
        at = NOON + number * RULE.bucket_s
        if rate.advance(at, RULE):
            alarms.append(int((at - NOON) // 86_400))
        batch = int(at // 3600) % 24 == 3
        day = int((at - NOON) // 86_400)
        rate.count = poisson(draw, (120 if day == 3 else 40) if batch else 4)
    assert 0 in alarms
    assert 3 in alarms
    assert not {1, 2} & set(alarms)


def test_long_silence_is_folded_quickly_and_harms_nothing() -> None:
    rate = Rate()
    rate.add(NOON, 3, "s", RULE)
    rate.add(NOON + 10 * 365 * 86_400, 1, "s", RULE)
    assert rate.count == 1
    assert rate.ends > NOON + 10 * 365 * 86_400


def test_a_dependency_fails_after_three_in_a_row_not_after_one_in_twenty() -> None:
    known = Dependency()
    assert [known.add(ok=ok) for ok in [True] * 9 + [False] * 3] == [False] * 11 + [True]
    assert not any(known.add(ok=False) for _ in range(5))  # told once
    while known.failing:
        known.add(ok=True)
    assert [known.add(ok=False) for _ in range(3)][-1]
    steady = Dependency()
    assert not any(steady.add(ok=number % 20 != 0) for number in range(1, 2000))


# --- at the gates -------------------------------------------------------------------------------


def traffic(site: Site, token: str, intervals: int, each: int) -> None:
    for _ in range(intervals):
        with site.nav.deciding():
            for _ in range(each):
                site.nav.decide("info", token, "ada")
        site.clock.go(10)


def test_a_spike_is_found_with_its_evidence(tmp_path: Path) -> None:
    """When somebody looks, and told once; by another process the same."""
    site = Site(tmp_path, WIDE)
    token = site.nav.issue_token("info", "ada")
    traffic(site, token, 40, 5)
    assert site.nav.detect_anomalies() == []
    traffic(site, token, 1, 60)
    (found,) = site.open().detect_anomalies()
    assert (found["type"], found["domain"], found["severity"]) == ("rate_spike", "info", "high")
    assert found["subject"] == site.nav.pseudonym("ada")
    assert found["evidence"]["count"] == 60
    assert found["evidence"]["expected"] == pytest.approx(5, abs=0.5)
    assert found["blocked_until"] is None
    assert "60 requests at info within 10 s" in found["message"]
    assert found["timestamp"].startswith("2027-01-15T")
    assert site.nav.detect_anomalies() == site.open().detect_anomalies() == [found]
    traffic(site, token, 2, 80)
    assert len(site.nav.detect_anomalies()) == 1  # it cools down
    site.clock.go(3601)
    assert site.nav.detect_anomalies() == []


def test_breaches_that_repeat_are_a_pattern_of_their_subject(site: Site) -> None:
    site.nav.issue_token("info", "ada")
    for number in range(5):
        site.nav.decide("info", "a.b." + "A" * 86, "eve")
        site.nav.decide("info", "nonsense", f"someone-{number}")
        site.clock.go(1)
    (found,) = site.open().detect_anomalies()
    assert (found["type"], found["severity"]) == ("breach_pattern", "high")
    assert found["subject"] == site.nav.pseudonym("eve")
    assert found["evidence"]["rules"] == {"unknown_header": 5}


def test_breaches_in_many_names_are_a_wave(site: Site) -> None:
    site.nav.issue_token("info", "ada")
    for number in range(25):
        site.nav.decide("info", "nonsense", f"someone-{number}")
    (found,) = site.nav.detect_anomalies()
    assert (found["type"], found["severity"], found["subject"]) == ("breach_wave", "critical", "*")


def test_old_breaches_count_less(site: Site) -> None:
    for _ in range(12):
        site.nav.decide("info", "nonsense", "eve")
        site.clock.go(300)
    assert site.nav.detect_anomalies() == []


def test_by_rule_somebody_is_kept_out_for_a_while(tmp_path: Path) -> None:
    """Who replays tokens of his own; who lets him in again by hand is in the record."""
    site = Site(tmp_path, Rules(anomalies=AnomalyRule(block_s=120)))
    used = site.nav.issue_token("info", "ada", single_use=True)
    good = site.nav.issue_token("info", "ada")
    for _ in range(6):
        site.nav.decide("info", used, "ada")
    theirs = site.open()
    (found,) = theirs.detect_anomalies()
    assert found["blocked_until"] == NOON + 120
    assert theirs.decide("info", good, "ada").rule == "blocked"
    wealth = theirs.issue_token("wealth", "ada")
    assert theirs.decide("wealth", wealth, "ada").allowed
    site.clock.go(120)
    assert site.nav.decide("info", good, "ada").allowed
    assert '"gate_released"' not in site.log.read_text()  # a clock may be set right again
    assert not theirs.release("info", site.nav.pseudonym("ada"))
    site.nav.block("info", site.nav.pseudonym("ada"), 60)
    assert theirs.decide("info", good, "ada").rule == "blocked"
    assert theirs.release("info", site.nav.pseudonym("ada"))
    assert not theirs.release("info", site.nav.pseudonym("ada"))
    assert site.nav.decide("info", good, "ada").allowed


def test_nobody_is_kept_out_for_what_others_send_in_his_name(tmp_path: Path) -> None:
    """Rubbish, or a token of their own that is good."""
    site = Site(tmp_path, Rules(anomalies=AnomalyRule(block_s=120)))
    good = site.nav.issue_token("info", "ada")
    theirs = site.nav.issue_token("info", "mallory")
    for _ in range(50):
        site.nav.decide("info", good[:-6] + "AAAAAA", "ada")
        site.nav.decide("info", theirs, "ada")
    assert {one["type"] for one in site.nav.detect_anomalies()} >= {"breach_pattern"}
    assert site.nav.decide("info", good, "ada").allowed
