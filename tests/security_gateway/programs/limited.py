"""Asks one rate limiter as fast as it can, and says when it was admitted."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dino_os.security_gateway.limits import RateLimiter, since_boot

path, per_minute, burst, until_ns = sys.argv[1], *map(int, sys.argv[2:])
limiter = RateLimiter(Path(path), per_minute=per_minute, burst=burst)
admitted = []
while time.time_ns() < until_ns:
    before = since_boot()
    if limiter.take("one name").allowed:
        admitted.append((before, since_boot()))
print(*(f"{before} {after}" for before, after in admitted), sep="\n")
