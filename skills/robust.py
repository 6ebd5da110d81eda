"""Statistics that a few wild values do not move."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

_FAR = 3.5  # robust z-score from which a value is an outlier
_MAD_TO_SIGMA = 0.6745


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The quartiles of *values*, which are in order."""

    def at(share: float) -> float:
        place = share * (len(values) - 1)
        below = math.floor(place)
        above = min(below + 1, len(values) - 1)
        return values[below] + (values[above] - values[below]) * (place - below)

    return at(0.25), at(0.5), at(0.75)


def outliers(sampled: Mapping[int, float], median: float, between: float) -> dict[str, Any]:
    """
    Those of *sampled*, line → value, that are far off by the median absolute deviation.

    Where that is 0, *between*, the distance of the quartiles, is taken instead.

    Source: Iglewicz & Hoaglin, "How to Detect and Handle Outliers", 1993: 0.6745 (x - median) / MAD
    beyond 3.5.
    """
    off = sorted(abs(value - median) for value in sampled.values())
    scale = quantiles(off)[1] / _MAD_TO_SIGMA or between / (2 * _MAD_TO_SIGMA)
    if not scale:
        return {"count": 0, "worst": []}
    far = [(abs(v - median) / scale, line, v) for line, v in sampled.items()]
    found = sorted((one for one in far if one[0] > _FAR), reverse=True)
    worst = [{"line": line, "value": value, "score": short(z)} for z, line, value in found[:5]]
    return {"count": len(found), "worst": worst}


def ranks(values: Sequence[float]) -> Any:
    """Ranks of *values*; equal ones share their mean."""
    import numpy as np

    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def short(number: float) -> float:
    """*number* to six digits, and always to two behind the point."""
    before = math.floor(math.log10(abs(number))) + 1 if number else 0
    return round(number, max(6 - before, 2))
