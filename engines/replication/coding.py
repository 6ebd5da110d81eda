"""
JSON as peers write it, fast where it can be and exact where it must be.

Numbers past 64 bits stay what they are: a body that changed on its way would no longer be the one
that its revision stands for.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

# In one of so many digits orjson would round; a hash may have them too, and is then read slowly.
_MAY_BE_LONG = re.compile(rb"\d{19}")


def decode(data: bytes) -> Any:
    """
    The value that *data* is.

    Raises:
        ValueError: It is none, or not all of it.
    """
    if not _MAY_BE_LONG.search(data):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:  # or half of a pair of surrogates, which it does not take
            pass
    return json.loads(data, parse_constant=_no_number)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def encode(value: Any) -> bytes:
    """
    *value* as bytes without needless space.

    Raises:
        TypeError: It is no value of JSON.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # numbers past 64 bits, half surrogates
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return text.encode("ascii")
