"""
Anomalies: updates per second, false alarms on stable streams, delay behind planted changes.

    python bench/anomalies.py [STREAMS [SEED]]      default: 300 of 1,000 stable samples, from 0 on

Peer in the same run, where it is installed: river's ADWIN, Page-Hinkley and KSWIN as they come.
False alarms: the share of streams with any; every stream has a seed of its own, SEED that of the
first.  Seconds are of processor time: the machine may have other things to do.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from side_by_side import verdict

from engines.anomalies import (
    Adwin,
    AnomalyDetector,
    AnomalyRules,
    Burst,
    Dependency,
    Gaps,
    Mix,
    Novelty,
    Rate,
    Sequences,
    Shift,
)
from engines.anomalies.failures import FOUR_IN_A_ROW
from tests.anomalies.streams import NOON, a_week_of_work, chain, times, watched

try:
    from river import drift
except ImportError:  # the figures of ours need it not
    drift = None

STABLE = 1000
NEVER = 10**6
MOST_FALSE, MOST_DELAY = 0.03, 40

Add = Callable[[Any], object]
Draw = Callable[[Random], Iterator[Any]]


def main() -> None:
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    seeds = range(first, first + streams)
    print(f"{streams} streams of {STABLE:,} stable samples, from seed {first} on, then a change")
    print(f"{'detector and stream':46} {'updates/s':>10} {'false':>7} {'delay, half within':>19}")
    for name, make, warm_up, stable, changed in cases():
        JUDGED[name] = show(name, make, warm_up, (stable, changed), seeds)
    show_judgement(streams)
    show_all()
    show_weeks(first)
    show_memory()


# --- each by itself ------------------------------------------------------------------------------


def cases() -> Iterator[tuple[str, Callable[[], Add], int, Draw, Draw | None]]:
    """What is fed, for how long before it counts, and what it is fed behind the change."""
    for name, stable, changed in (
        ("normal, then 1 sigma higher", gauss(0, 1), gauss(1, 1)),
        ("normal, then twice as wide", gauss(0, 1), gauss(0, 2)),
        ("log-normal, then half as much again", logs(0), logs(0.405)),
        ("three values, then more of the highest", words("abc"), words("bccc")),
    ):
        yield f"Shift: {name}", lambda: Shift().add, 128, stable, changed
    yield "Adwin: 5 % fail, then 30 %", lambda: Adwin().add, 200, fails(0.05), fails(0.3)
    yield "Dependency: 5 % fail, then 60 %", dependency, 0, fails(0.05), fails(0.6)
    few, many = [str(n) for n in range(5)], [str(n) for n in range(50)]
    yield "Mix: 5 words, then in another order", lambda: Mix().add, 640, zipf(few), zipf(few[::-1])
    yield "Mix: 50 words, likewise", lambda: Mix().add, 640, zipf(many), zipf(many[::-1])
    yield "Novelty: 20 kinds, then a new one", lambda: Novelty().add, 1000, one_of(20), zipf(["n"])
    for shape in (0.3, 1.0, 2.0, 4.0):
        name = f"Burst: gaps of shape {shape:g}, then 5 times as fast"
        yield name, burst, 200, gaps(10, shape), gaps(2, shape)
    for kinds, skew in ((8, 4), (8, 12), (3, 2)):
        name = f"Sequences: {kinds} kinds in order ({skew}), then in none"
        yield name, lambda: Sequences().add, 300, walk(kinds, skew), walk(kinds, 0)
    yield "Rate: 20 per interval, then 2 times as many", rate, 60, poisson(20), poisson(40)
    if drift is not None:
        for kind in (drift.ADWIN, drift.PageHinkley, drift.KSWIN):
            name = f"river {kind.__name__}: normal, then 1 sigma higher"
            yield name, lambda kind=kind: peer(kind()), 128, gauss(0, 1), gauss(1, 1)
    else:
        print("river is not installed: no peer beside ours")


def show(
    name: str, make: Callable[[], Add], warm_up: int, draws: tuple[Draw, Draw], seeds: range
) -> tuple[float, float]:
    stable, changed = draws
    false, delays, seconds, updates = 0, [], 0.0, 0
    few = seeds if "KSWIN" not in name else seeds[: max(len(seeds) // 10, 1)]
    for seed in few:
        draw = Random(seed)
        add, before = make(), list(islice(stable(draw), warm_up + STABLE))
        began = time.process_time()
        told = [bool(add(sample)) for sample in before]
        seconds += time.process_time() - began
        false += any(told)
        updates += len(before)
        again, draw = make(), Random(seed)
        for sample in islice(stable(draw), warm_up + 200):
            again(sample)
        later = enumerate(islice(changed(draw), 2000), 1)
        delays.append(next((number for number, sample in later if again(sample)), NEVER))
    delay = statistics.median(delays)
    shown = f"{delay:,.0f}" if delay < NEVER else "never"
    print(f"{name:46} {updates / seconds:>10,.0f} {false / len(few):>7.1%} {shown:>19}")
    return false / len(few), delay


JUDGED: dict[str, tuple[float, float]] = {}


def show_judgement(streams: int) -> None:
    ours = {name: found for name, found in JUDGED.items() if not name.startswith("river")}
    worst = max(false for false, _ in ours.values())
    shift = JUDGED["Shift: normal, then 1 sigma higher"][1]
    even = JUDGED["Burst: gaps of shape 2, then 5 times as fast"][1]
    print(f"\nworst share of false alarms of ours {worst:.1%}: ", end="")
    slack = 2 * (MOST_FALSE * (1 - MOST_FALSE) / streams) ** 0.5  # two standard errors
    print(verdict(worst, MOST_FALSE + slack, at_least=False))
    print(f"a shift by one sigma {shift:g} samples: {verdict(shift, MOST_DELAY, at_least=False)}")
    print(f"a fivefold burst of even gaps {even:g} events: {verdict(even, 10, at_least=False)}")


# --- all together --------------------------------------------------------------------------------


def show_all() -> None:
    """One stream of all that a workspace taps; how many anomalies it has that are none."""
    print("\nall detectors at once: 8 kinds in order, in runs of 7, with a duration and an outcome")
    draw = Random(7)
    kinds, stamps = chain(draw, 8, 4), times(draw, mean_s=10)
    events = [
        (next(kinds), next(stamps), f"r{number // 7}", draw.lognormvariate(0, 1), draw.random())
        for number in range(100_000)
    ]
    detector = AnomalyDetector()
    began = time.process_time()
    for kind, at, run, seconds, luck in events:
        values = {"seconds": seconds}
        detector.observe(kind, at, source="runs", run=run, values=values, ok=luck > 0.02)
    taken = time.process_time() - began
    found = sum(detector.counts.values())
    print(f"{len(events) / taken:,.0f} events/s, {taken / len(events) * 1e6:.1f} us each")
    print(f"{found} alarms in {len(events):,} stable events: {dict(detector.counts)}")
    began = time.process_time()
    state = json.dumps(detector.as_dict())
    AnomalyDetector.from_dict(json.loads(state))
    taken = time.process_time() - began
    print(f"its state: {len(state):,} bytes of JSON, there and back in {taken * 1000:.0f} ms")


def show_weeks(first: int) -> None:
    """Jobs each hour and each night, people by day: what is told of weeks that have nothing odd."""
    print()
    for of_run in (3, 12):
        weeks = [watched(a_week_of_work(Random(seed), of_run)) for seed in range(first, first + 60)]
        told = sum((week.counts for week in weeks), Counter[str]())
        quiet = sum(not week.anomalies for week in weeks)
        print(f"60 ordinary weeks, {of_run} taps a run: {quiet} without alarm; {dict(told)}")


def show_memory() -> None:
    rules = AnomalyRules(most_series=1000)
    tracemalloc.start()
    print("\nmemory, with 1,000 series of ever new names: ", end="")
    detector, held = AnomalyDetector(rules), []
    for number in range(60_000):
        kind = f"kind {number % 3000}"
        detector.observe(kind, NOON + number, run=str(number), values={"v": number % 17})
        if number % 20_000 == 19_999:
            held.append(tracemalloc.get_traced_memory()[0] / 1e6)
    tracemalloc.stop()
    told = ", ".join(f"{size:.1f}" for size in held)
    print(f"{told} MB behind 20, 40 and 60 thousand events; {detector.dropped:,} made way")


# --- streams and detectors in one form -----------------------------------------------------------


def endless(draw_one: Callable[[Random], Any]) -> Draw:
    def stream(draw: Random) -> Iterator[Any]:
        while True:
            yield draw_one(draw)

    return stream


def gauss(mean: float, spread: float) -> Draw:
    return endless(lambda draw: draw.gauss(mean, spread))


def logs(mean: float) -> Draw:
    return endless(lambda draw: draw.lognormvariate(mean, 0.5))


def words(letters: str) -> Draw:
    return endless(lambda draw: float(ord(draw.choice(letters))))


def fails(share: float) -> Draw:
    return endless(lambda draw: float(draw.random() < share))


def zipf(kinds: list[str]) -> Draw:
    weights = [1 / (number + 1) for number in range(len(kinds))]
    return endless(lambda draw: draw.choices(kinds, weights)[0])


def one_of(kinds: int) -> Draw:
    return endless(lambda draw: str(draw.randrange(kinds)))


def gaps(mean_s: float, shape: float) -> Draw:
    return endless(lambda draw: draw.gammavariate(shape, mean_s / shape))


def poisson(mean: float) -> Draw:
    return endless(lambda draw: sum(1 for _ in iter_until(draw, mean)))


def iter_until(draw: Random, mean: float) -> Iterator[None]:
    left = draw.expovariate(1.0)
    while left < mean:
        yield
        left += draw.expovariate(1.0)


def walk(kinds: int, skew: float) -> Draw:
    return lambda draw: chain(draw, kinds, skew)


def dependency() -> Add:
    known = Dependency(limit=FOUR_IN_A_ROW)
    return lambda failed: known.add(ok=not failed)


def burst() -> Add:
    usual, known, now = Gaps(), Burst(), [NOON]
    usual.add(NOON)

    def add(gap: float) -> bool:
        now[0] += gap
        usual.add(now[0])
        told = known.add(now[0], gap, usual)
        usual.learn(max(gap, 1e-3))
        return told

    return add


def rate() -> Add:
    rules, known, now = AnomalyRules(), Rate(), [NOON]

    def add(count: int) -> bool:
        now[0] += rules.bucket_s
        return known.add(now[0], count, "", rules) is not None or (
            known.seen > rules.warm_up and count >= known.bound(now[0])
        )

    return add


def peer(detector: Any) -> Add:
    def add(value: float) -> bool:
        detector.update(value)
        return bool(detector.drift_detected)

    return add


if __name__ == "__main__":
    main()
