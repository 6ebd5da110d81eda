"""Streams with known change points, each of a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, count
from random import Random
from statistics import median

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
