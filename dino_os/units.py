"""Amounts as people write them: "30s", "512MB"."""

from __future__ import annotations

import re

from engines.errors import InvalidInput

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_amount = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*").fullmatch


def seconds(value: str | float, what: str) -> float:
    """
    *value* in seconds: a number, or text such as "250ms", "30s", "5m", "2h", "1d".

    Raises:
        InvalidInput: It is neither, or not above 0.
    """
    return _read(value, what, _SECONDS, "s", 'a time such as "30s" or "5m"')


def size_bytes(value: str | float, what: str) -> int:
    """
    *value* in bytes: a number, or text such as "512MB" or "1GiB".

    Raises:
        InvalidInput: It is neither, or not above 0.
    """
    return int(_read(value, what, _BYTES, "b", 'a size such as "512MB"'))


def _read(
    value: str | float, what: str, units: dict[str, float] | dict[str, int], plain: str, wanted: str
) -> float:
    match = _amount(str(value))
    unit = (match[2].lower() or plain) if match else ""
    if isinstance(value, bool) or not match or unit not in units or float(match[1]) <= 0:
        raise InvalidInput(f"{what}: expected {wanted}, found {value!r}")
    return float(match[1]) * units[unit]
