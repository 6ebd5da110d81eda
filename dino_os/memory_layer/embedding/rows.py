"""Texts before they are embedded, and rows of numbers after."""

from __future__ import annotations

import re
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]

MOST_CHARACTERS = 32_768
"""Of a text; what is beyond is not looked at."""

_is_surrogate = re.compile("[\ud800-\udfff]").search


def readable(text: str) -> str:
    """*text* as tokenizers take it: not endless, and Unicode that can be written as UTF-8."""
    text = text[:MOST_CHARACTERS]
    return text.encode(errors="replace").decode() if _is_surrogate(text) else text


def unit(rows: npt.NDArray[np.floating]) -> Floats:
    """*rows*, each of length 1; one that is zero stays so."""
    exact = rows.astype(np.float64)
    # Squares are added in one order: what processors add side by side they round in their own way.
    lengths = np.sqrt(np.add.accumulate(exact * exact, axis=1)[:, -1])
    lengths[lengths == 0] = 1
    made: Floats = (exact / lengths[:, None]).astype(np.float32)
    return made
