"""
Forecasts of series with intervals, tested on the series themselves.

At every point of a series each of some simple methods says what comes next; what is forecast is the
median of the three that erred least so far.  So each forecast of the past is one that could have
been made then, and their errors are what the intervals come from (conformal: the smallest width
that held the wanted share of the known errors) and what the method is judged by.

Sources: Hyndman & Koehler (2006) for MASE; Gardner & McKenzie (1985) for the damped trend; Vovk,
Gammerman & Shafer (2005) for conformal intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WARM = 4
"""Points that are seen before the first forecast counts."""

_LEVELS = (0.1, 0.2, 0.35, 0.55, 0.8)
_TRENDS = ((0.2, 0.1), (0.5, 0.1), (0.8, 0.3))
_DAMPING = 0.85
_BEST = 3
_AT_ONCE = 8_000_000
NAMES = (
    "last value",
    "mean",
    "mean-reverting",
    *(f"level {alpha:g}" for alpha in _LEVELS),
    *(f"damped trend {alpha:g}/{beta:g}" for alpha, beta in _TRENDS),
)


@dataclass(frozen=True)
class Forecasts:
    """
    What S series of n points will be over H steps.

    Attributes:
        point: Shape (S, H).
        half_width: Of the intervals, shape (S, H); infinite where too few errors are known.
        errors: Truth minus forecast of what was forecast, shape (S, n, H); NaN where unknown.
        coverage: Share of the tested points in the interval that was known then, shape (S,); NaN
            where none was.
        tested: How many such points, shape (S,).
        mase, naive_mase: Mean absolute error over all steps, of ours and of the last value, divided
            by that of the last value over one step; shape (S,), NaN where that is 0.
        methods: Numbers (in `NAMES`) of the three whose median is taken, shape (S, 3).
    """

    point: Floats
    half_width: Floats
    errors: Floats
    coverage: Floats
    tested: NDArray[np.int64]
    mase: Floats
    naive_mase: Floats
    methods: NDArray[np.int64]


def forecast(series: Floats, steps: int, *, level: float = 0.9) -> Forecasts:
    """
    Forecast each of *series*, shape (S, n) with n >= 1, *steps* >= 1 points ahead.

    Args:
        level: Share of the truth, 0…1, that the intervals shall hold.
    """
    count, length = series.shape
    chunk = max(_AT_ONCE // (len(NAMES) * length * (steps + length // 8)), 1)
    parts = [
        _forecast(series[begin : begin + chunk], steps, level) for begin in range(0, count, chunk)
    ]
    return Forecasts(
        *(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0]))
    )


def _forecast(series: Floats, steps: int, level: float) -> Forecasts:
    count, length = series.shape
    said = _said(series, steps)
    truth = np.full((count, length, steps), np.nan)
    for ahead in range(1, min(steps, length - 1) + 1):
        truth[:, :-ahead, ahead - 1] = series[:, ahead:]
    missed = np.abs(truth - said)
    chosen = np.argsort(_known_error(missed), axis=0, kind="stable")[:_BEST]
    ours = np.median(np.take_along_axis(said, chosen[..., None], axis=0), axis=0)
    errors = truth - ours
    errors[:, :WARM] = np.nan
    half_width = np.stack([_width(errors[:, :, h], level) for h in range(steps)], axis=1)
    coverage, tested = _coverage(errors, level)
    jumps = np.abs(np.diff(series, axis=1)).mean(axis=1) if length > 1 else np.zeros(count)
    scale = np.where(jumps > 0, jumps, np.nan)
    naive = np.where(np.isnan(errors), np.nan, missed[0])
    return Forecasts(
        point=ours[:, -1],
        half_width=half_width,
        errors=errors,
        coverage=coverage,
        tested=tested,
        mase=_mean(np.abs(errors)) / scale,
        naive_mase=_mean(naive) / scale,
        methods=chosen[:, :, -1].T,
    )


def _said(series: Floats, steps: int) -> Floats:
    """What each method says at each point, shape (methods, S, n, H)."""
    count, length = series.shape
    said = np.empty((len(NAMES), count, length, steps))
    said[0] = series[:, :, None]
    seen = np.arange(1, length + 1)
    mean = np.cumsum(series, axis=1) / seen
    said[1] = mean[:, :, None]
    ahead = np.arange(1, steps + 1)
    fading = _persistence(series)[:, :, None] ** ahead
    said[2] = mean[:, :, None] + fading * (series - mean)[:, :, None]
    alphas = np.array([*_LEVELS, *(alpha for alpha, _ in _TRENDS)])[:, None]
    betas = np.array([0.0] * len(_LEVELS) + [beta for _, beta in _TRENDS])[:, None]
    damped = np.cumsum(_DAMPING**ahead)
    height = np.repeat(series[:, :1].T, len(alphas), axis=0)
    trend = np.zeros_like(height)
    for now in range(length):
        expected = height + _DAMPING * trend
        risen = expected + alphas * (series[:, now] - expected)
        trend = betas * (risen - height) + (1 - betas) * _DAMPING * trend
        trend[: len(_LEVELS)] = 0
        height = risen
        said[3:, :, now] = height[..., None] + trend[..., None] * damped
    return said


def _persistence(series: Floats) -> Floats:
    """Lag-1 autocorrelation, 0…1, of what was seen up to each point, about the mean up to there."""
    length = series.shape[1]
    seen = np.arange(1, length + 1)
    total, squares = np.cumsum(series, axis=1), np.cumsum(series**2, axis=1)
    products = np.zeros_like(series)
    products[:, 1:] = np.cumsum(series[:, 1:] * series[:, :-1], axis=1)
    mean = total / seen
    both = products - mean * (2 * total - series - series[:, :1]) + (seen - 1) * mean**2
    spread = squares - seen * mean**2
    usable = spread > 1e-9 * np.maximum(squares, 1e-12)
    return np.clip(np.divide(both, spread, out=np.zeros_like(both), where=usable), 0.0, 1.0)


def _known_error(missed: Floats) -> Floats:
    """Sum of each method's errors that are known at each point, shape (methods, S, n)."""
    known = np.zeros(missed.shape[:3])
    length = missed.shape[2]
    for ahead in range(1, min(missed.shape[3], length - 1) + 1):
        known[:, :, ahead:] += np.cumsum(missed[:, :, :-ahead, ahead - 1], axis=2)
    return known


def _width(errors: Floats, level: float) -> Floats:
    """Half width for the next point, shape (S,), from errors of shape (S, n) with NaN."""
    sizes = np.sort(np.abs(errors), axis=1)  # NaN last
    known = int(np.isfinite(errors[0]).sum())
    rank = _rank(known, level)
    return sizes[:, rank - 1] if rank <= known else np.full(len(errors), np.inf)


def _rank(known: int, level: float) -> int:
    """Which of the ordered *known* errors bounds the next with probability *level* at least."""
    return max(math.ceil((known + 1) * level - 1e-9), 1)


def _coverage(errors: Floats, level: float) -> tuple[Floats, NDArray[np.int64]]:
    """How often the interval held that the errors known at the time gave."""
    count, length, steps = errors.shape
    held, tested = np.zeros(count), np.zeros(count, dtype=np.int64)
    for ahead in range(1, steps + 1):
        sizes = np.abs(errors[:, :, ahead - 1])
        for now in range(WARM + ahead, length - ahead):
            known = sizes[:, WARM : now - ahead + 1]
            rank = _rank(known.shape[1], level)
            if rank <= known.shape[1]:
                # In the interval: fewer than *rank* of the known errors are smaller.
                held += (known < sizes[:, now, None]).sum(axis=1) < rank
                tested += 1
    share = np.divide(held, tested, out=np.full(count, np.nan), where=tested > 0)
    return share, tested


def _mean(values: Floats) -> Floats:
    """Over all but the first axis, without NaN; NaN where nothing else is there."""
    there = np.isfinite(values)
    number = there.sum(axis=(1, 2))
    total = np.where(there, values, 0).sum(axis=(1, 2))
    mean: Floats = np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)
    return mean
