"""Streams with known change points, each of a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, count
from random import Random
from statistics import median

from engines.anomalies import AnomalyDetector

NOON = 1_800_000_000.0
NEVER = 10**9

Draw = Callable[[Random], float]


def times(
    draw: Random, *, mean_s: float, shape: float = 1.0, begin: float = NOON
) -> Iterator[float]:
    """Times of events whose gaps have that mean; of shape 1 they come by chance."""
    gaps = (draw.gammavariate(shape, mean_s / shape) for _ in count())
    return accumulate(gaps, initial=begin)


def chain(draw: Random, kinds: int, skew: float) -> Iterator[str]:
    """A Markov chain; the more skew, the more its next kind is decided by the last."""
    rows = [[draw.random() ** skew for _ in range(kinds)] for _ in range(kinds)]
    at = 0
    while True:
        yield str(at)
        at = draw.choices(range(kinds), rows[at])[0]


def share(of: Callable[[Random], bool], runs: int) -> float:
    """In what share of so many seeds it is so."""
    return sum(of(Random(seed)) for seed in range(runs)) / runs


def typical(of: Callable[[Random], int], runs: int) -> float:
    return median(of(Random(seed)) for seed in range(runs))


def a_week_of_work(draw: Random, of_run: int = 3) -> Iterator[tuple[float, str, str, float]]:
    """Jobs each hour and each night, and people who run something now and then by day."""
    for hour in range(7 * 24):
        at = NOON + 3600 * hour
        jobs = [(at + draw.random() * 5, 1)]
        if hour % 24 == 2:
            jobs.append((at + 60 + draw.random() * 60, 15))
        if 9 <= hour % 24 < 17 and hour < 5 * 24:
            jobs += [(at + 300 + draw.random() * 3000, of_run) for _ in range(draw.randrange(12))]
        for number, (begin, taps) in enumerate(sorted(jobs)):
            took, run = draw.lognormvariate(0, 0.7), f"{hour}-{number}"
            yield begin, "runs/run_started", run, 0.0
            for tap in range(taps):
                yield begin + took * tap / taps, "/skill.step", run, 0.0
            yield begin + took, "runs/run_finished", run, took


def watched(events: Iterable[tuple[float, str, str, float]]) -> AnomalyDetector:
    """What has taken those events in their order, and looked for silence each ten minutes."""
    detector, last = AnomalyDetector(), NOON
    for at, series, run, took in sorted(events):
        for look in range(int(last // 600) + 1, int(at // 600) + 1):
            detector.look(600.0 * look)
        source, kind = series.split("/")
        values = {"seconds": took} if took else {}
        detector.observe(kind, at, source=source, run=run, values=values, ok=True)
        last = at
    return detector
