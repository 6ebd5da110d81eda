"""Amounts as people write them: "30s", "512MB"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engines.errors import InvalidInput

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_MOST = 2.0**62  # what an operating system's limits still count
_amount = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*").fullmatch


def seconds(value: str | float, what: str) -> float:
    """
    *value* in seconds: a number, or text such as "250ms", "30s", "5m", "2h", "1d".

    Raises:
        InvalidInput: It is neither, not above 0, or beyond all measure.
    """
    found = _read(value, _SECONDS, "s")
    if not 0 < found <= _MOST:
        raise InvalidInput(f'{what}: expected a time such as "30s" or "5m", found {value!r}')
    return found


def size_bytes(value: str | float, what: str) -> int:
    """
    *value* in bytes: a number, or text such as "512MB" or "1GiB".

    Raises:
        InvalidInput: It is neither, less than one byte, or beyond all measure.
    """
    found = _read(value, _BYTES, "b")
    if not 1 <= found <= _MOST:
        raise InvalidInput(f'{what}: expected a size such as "512MB", found {value!r}')
    return int(found)


def _read(value: str | float, units: Mapping[str, float], plain: str) -> float:
    """*value* in the plain unit; 0 where it is no amount."""
    if isinstance(value, str):
        match = _amount(value)
        return float(match[1]) * units.get(match[2].lower() or plain, 0) if match else 0.0
    if isinstance(value, bool) or abs(value) > _MOST:
        return 0.0
    return float(value)
