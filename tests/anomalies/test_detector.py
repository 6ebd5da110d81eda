"""All detectors together: what is told, how often, in how much memory, and in which process."""

from __future__ import annotations

import json
from itertools import islice
from random import Random
from typing import Any

import pytest

from engines.anomalies import Anomaly, AnomalyDetector, AnomalyRules, Expectation
from engines.errors import InvalidInput
from tests.anomalies.streams import NOON, a_week_of_work, times, watched


def kinds(found: list[Anomaly]) -> list[str]:
    return [anomaly.kind.value for anomaly in found]


def test_twenty_five_events_within_a_second_are_a_burst_told_once() -> None:
    detector = AnomalyDetector()
    told = [detector.observe("e", NOON + n / 50, run=f"r{n}", ref=n) for n in range(40)]
    (found,) = detector.anomalies
    assert [number for number, one in enumerate(told) if one] == [24]
    assert (found.kind.value, found.seen, found.threshold) == ("burst", 25, 25)
    assert found.evidence["ref"] == 24
    assert detector.counts == {"burst": 1}
    assert "25 events within 1 s" in found.message


def test_what_is_usual_of_a_source_is_no_burst_and_a_crowd_as_ever_none_either() -> None:
    busy, clumped = AnomalyDetector(), AnomalyDetector()
    for at in islice(times(Random(1), mean_s=0.03), 3000):
        busy.observe("e", at)
    assert busy.counts["burst"] <= 1  # before it was known
    for crowd in range(40):
        for number in range(30):
            clumped.observe("e", NOON + 3600 * crowd + number / 100)
    assert clumped.counts["burst"] == 3
    told = [clumped.observe("e", NOON + 1e6 + number / 1000) for number in range(100)]
    assert sorted(kinds([one for found in told for one in found])) == ["burst", "rate_spike"]


def steady(
    detector: AnomalyDetector, events: int = 3600, begin: float = NOON, every_s: float = 1
) -> float:
    """Events of several kinds in order."""
    for number in range(events):
        kind = ("read", "work", "write")[number % 3]
        detector.observe(kind, begin + number * every_s, source="runs")
    return begin + events * every_s


def test_a_spike_is_told_while_it_goes_on_with_who_made_it() -> None:
    detector = AnomalyDetector(AnomalyRules(burst_events=10_000))
    end = steady(detector)
    assert detector.anomalies == []
    for number in range(600):
        detector.observe("read", end + number / 20, source="runs", run="mad")
    spikes = [one for one in detector.anomalies if one.kind.value == "rate_spike"]
    assert len(spikes) == 1
    assert spikes[0].timestamp < end + 30
    assert spikes[0].expected == pytest.approx(20, abs=2)
    assert spikes[0].series == "runs/read"
    assert spikes[0].evidence["mostly"] == "mad"


def test_the_same_is_told_again_only_after_it_has_cooled_down() -> None:
    detector = AnomalyDetector(AnomalyRules(cool_down_s=1000))
    for crowd in range(5):
        for number in range(30 * 2**crowd):
            detector.observe("e", NOON + 300 * crowd + number / 100)
    assert [one.timestamp - NOON > 1000 for one in detector.anomalies] == [False, True]
    assert detector.anomalies[1].evidence["held_back"] == 5  # the series' among them


def test_drift_mix_failures_order_and_novelty_each_have_a_series() -> None:
    detector = AnomalyDetector()
    draw = Random(1)
    steps = ("read", "work", "write")
    for number in range(2400):
        late = number >= 1500
        step = steps[number % 3] if number < 2380 else draw.choice(steps)
        detector.observe(
            step,
            NOON + 10 * number,
            source="runs",
            values={"seconds": draw.lognormvariate(2.0 if late else 0.0, 0.5)},
            labels={"skill": draw.choice("aaab" if late else "abb")},
            ok=draw.random() > (0.6 if late else 0.02),
        )
    detector.observe("other", NOON + 24_000, source="runs")
    series = {(one.kind.value, one.series) for one in detector.anomalies}
    assert {
        ("drift", "runs/work/seconds"),
        ("mix_drift", "runs/work/skill"),
        ("drift", "runs/work/failures"),
        ("failing", "runs/work"),
        ("unusual_sequence", "runs"),
        ("new_kind", "runs"),
    } <= series


def test_silence_is_told_once_when_it_was_looked_for_and_again_after_it_came() -> None:
    rules = AnomalyRules(expected=(Expectation("backup/done", 90_500),))
    detector = AnomalyDetector(rules)
    end = steady(detector, 900, every_s=100)
    assert not detector.is_due(end + 100)
    assert detector.is_due(end + 1000)
    (backup, *learned) = sorted(detector.look(end + 1000), key=lambda one: one.series)
    assert (backup.series, backup.evidence["expectation"]) == ("backup/done", "configured")
    assert {(one.series, one.evidence["expectation"]) for one in learned} == {
        *(("runs/read", "learned"), ("runs/work", "learned"), ("runs/write", "learned")),
    }
    assert detector.look(end + 1100) == []
    detector.observe("done", end + 1200, source="backup")
    steady(detector, 200, end + 1200, every_s=100)
    found = detector.look(end + 10 * 86_400)
    assert {one.series for one in found} == {
        *("runs/read", "runs/work", "runs/write", "backup/done"),
    }
    worst = {one.series: one.severity.value for one in found}
    assert worst == dict.fromkeys(worst, "medium") | {"backup/done": "critical"}


def test_one_cause_is_one_alarm_and_a_loop_is_no_heartbeat() -> None:
    """A skill that taps sixty times in a loop, run twice; and a hundred short runs in a row."""
    detector = AnomalyDetector()
    for number in range(120):
        run, loop = f"r{number // 60}", NOON + number * 0.006 + number // 60 * 0.5
        detector.observe("skill.t", loop, run=run)
    assert detector.look(NOON + 5) == detector.look(NOON + 100_000) == []
    assert [one.message for one in detector.anomalies] == [
        "burst in (all): 25 events within 1 s, not fewer"
    ]
    often = AnomalyDetector()
    begin = steady(often, 400, every_s=600)
    for number in range(100):
        for kind in ("read", "work", "write"):
            often.observe(kind, begin + number / 10, source="runs", run=f"r{number}")
    assert often.counts["burst"] == 1


def test_ordinary_weeks_of_a_small_workspace_have_no_alarm() -> None:
    found = [one for seed in range(3) for one in watched(a_week_of_work(Random(seed))).anomalies]
    assert [one.message for one in found] == []


def test_memory_has_an_end_and_what_makes_way_is_counted() -> None:
    rules = AnomalyRules(most_series=10)
    detector = AnomalyDetector(rules)
    for number in range(8_000):
        detector.observe(
            f"kind {number % 500}",
            NOON + number,
            source=f"source {number % 150}",
            run=str(number),
            values={f"v{number % 40}": 1.0},
            labels={"word": str(number)},
        )
    assert detector.series == 10
    assert detector.dropped > 1000
    assert len(json.dumps(detector.as_dict())) < 5_000_000
    assert len(detector.anomalies) <= 1000


def test_another_process_goes_on_where_one_stopped() -> None:
    """Wherever it is cut, the anomalies are the same."""
    draw = Random(4)
    events = [
        (draw.choice("abc"), at, draw.gauss(number > 700, 1), draw.random() > 0.1)
        for number, at in enumerate(islice(times(draw, mean_s=100), 1000))
    ]
    rules = AnomalyRules(bucket_s=400, least=2, burst_events=3)
    whole, parts = AnomalyDetector(rules), AnomalyDetector(rules)
    for number, (kind, at, value, ok) in enumerate(events):
        for detector in (whole, parts):
            detector.observe(kind, at, source="s", values={"v": value}, labels={"w": kind}, ok=ok)
        if number % 97 == 0:
            assert parts == whole
            parts = AnomalyDetector.from_dict(json.loads(json.dumps(parts.as_dict())), rules)
    assert len(whole.anomalies) > 1
    assert [one.as_dict() for one in parts.anomalies] == [one.as_dict() for one in whole.anomalies]
    end = events[-1][1] + 10_000
    assert parts.look(end) == whole.look(end) != []


@pytest.mark.parametrize("data", [{}, {"format": 1, "state": {}}, {"format": 2, "state": []}])
def test_what_is_no_state_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="not the state of a detector"):
        AnomalyDetector.from_dict(data)


@pytest.mark.parametrize(
    ("arguments", "more"),
    [(("", 1.0), {}), (("e", float("nan")), {}), (("e", 1.0), {"values": {"v": "1"}})],
)
def test_what_is_no_event_is_refused(arguments: tuple[Any, ...], more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        AnomalyDetector().observe(*arguments, **more)


def test_time_that_goes_back_and_numbers_that_are_none_harm_nothing() -> None:
    detector, odd = AnomalyDetector(), (float("nan"), float("inf"), -1e308, 10**400, 1e299)
    for number in range(700):
        at = NOON - 1000 * (number % 7) + number
        values = {"v": odd[number % 5], "w": (-1) ** number * 9e299}
        detector.observe("e", at, values=values, labels={"long": "x" * 10_000})
    assert len(json.dumps(detector.as_dict(), allow_nan=False)) < 50_000
