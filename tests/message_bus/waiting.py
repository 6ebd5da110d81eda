"""Waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(found: Callable[[], Any], what: str, within_s: float = 30.0) -> Any:
    """What *found* finds, as soon as that is something."""
    over = time.monotonic() + within_s
    while not (it := found()):
        assert time.monotonic() < over, f"there never was {what}"
        time.sleep(0.005)
    return it
