"""Asks one rate limiter as fast as it can, and says when it was admitted."""

from __future__ import annotations

import sys
from pathlib import Path

from dino_os.security_gateway.limits import RateLimiter, since_boot

path, per_minute, burst = sys.argv[1], *map(int, sys.argv[2:])
limiter = RateLimiter(Path(path), per_minute=per_minute, burst=burst)
admitted = []
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
until = since_boot() + 700 * 10**6
while since_boot() < until:
    before = since_boot()
    if limiter.take("one name").allowed:
        admitted.append((before, since_boot()))
sys.stdout.write("".join(f"{before} {after}\n" for before, after in admitted))
