"""
Hours as they are added up: what rounding is forgiven, and in which unit they can be counted.

Whatever a plan can hold must fit here too, else a bound would be below it: a sum of hours is off by
a share of itself, so what is forgiven is one, and hours are multiples of a unit only where nothing
but the rounding of each number itself says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.assign.problem import Floats

_FORGIVEN = 1e-9  # hours; sums of decimal hours are not exact
_OF_LARGE = 1e-14  # the same as a share, where so many hours are not exact to that
_OFF = 16 * float(np.finfo(float).eps)  # a share: what a decimal, or a sum of a few, may be off by


def rounding(hours: Any) -> Any:
    """By how much the sum of tasks may seem to be more than the *hours* of an agent, or of each."""
    return np.maximum(_FORGIVEN * np.minimum(hours, 1.0), _OF_LARGE * hours)


def counted_in(hours: Floats, parts: Sequence[int]) -> int | None:
    """The first of *parts* of an hour of which all *hours* are whole numbers, at least one."""
    return next((part for part in parts if _whole(hours * part)), None)


def whole_units(hours: Floats, part: int) -> Floats:
    """Of each agent's *hours* those that tasks counted in a *part* of an hour can fill."""
    most = hours + rounding(hours)
    units = np.floor(most * part * (1 + 4 * _OFF))
    filled: Floats = np.minimum(units / part, hours)
    return filled


def _whole(units: Floats) -> bool:
    near = np.round(units)
    return bool(np.all((np.abs(units - near) <= _OFF * near) & (near >= 1)))
