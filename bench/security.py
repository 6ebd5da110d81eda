"""
Keys: what one costs beside the record that must be on the disk first, and the rate limit beside a
named peer (`limits`, in memory of one process, where it is installed) and beside the bare lock.

    python bench/security.py
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from side_by_side import in_turns, verdict

from dino_os.redaction import Redactor
from dino_os.security_gateway.limits import RateLimiter
from dino_os.workspace import Workspace
from engines.passphrase import derive, new_kdf

CALLS, ROUNDS, TEXT = 200, 7, "nothing to see here, move on please. " * 3000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        keys(Path(folder))
        limits(Path(folder))
        redaction()


def keys(folder: Path) -> None:
    unlimited = "{requests_per_minute: 1000000000, burst: 1000000000}"
    (folder / "config.yaml").write_text(f"security: {{rate_limit: {unlimited}}}\n")
    gateway = Workspace(folder).security
    gateway.set_key("a", "a value of forty letters, more or less...")
    log, kdf = gateway.log, new_kdf()

    def bare() -> None:
        for _ in range(CALLS):
            log.note("key_accessed", "user", key="a", version=1, masked=False)

    seconds = in_turns(
        {
            "bare": bare,
            "get_key": lambda: [gateway.get_key("a") for _ in range(CALLS)],
            "may": lambda: [gateway.can_execute("python", "agent") for _ in range(CALLS)],
            "unlock": Workspace(folder).security.vault.unlock,
            "argon2id": lambda: derive("a passphrase", kdf),
        },
        ROUNDS,
    )
    ratio = seconds["get_key"] / seconds["bare"]
    print(f"durable record alone     {seconds['bare'] / CALLS * 1e6:7.0f} us")
    print(
        f"get_key                  {seconds['get_key'] / CALLS * 1e6:7.0f} us   {ratio:.2f} x   "
        f"{verdict(ratio, 1.5, at_least=False)}"
    )
    print(f"can_execute              {seconds['may'] / CALLS * 1e6:7.0f} us")
    print(f"open and unlock, file    {seconds['unlock'] * 1e3:7.1f} ms")
    print(f"a passphrase's guess     {seconds['argon2id'] * 1e3:7.0f} ms")


def limits(folder: Path) -> None:
    ours = RateLimiter(folder / "limits", per_minute=10**9, burst=10**9)
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)

    def bare() -> None:
        for _ in range(CALLS * 50):
            fcntl.flock(fd, fcntl.LOCK_EX)
            fcntl.flock(fd, fcntl.LOCK_UN)

    contestants = {"bare": bare, "ours": lambda: [ours.take("a") for _ in range(CALLS * 50)]}
    if peer := peer_limit():
        contestants["peer"] = lambda: [peer() for _ in range(CALLS * 50)]
    each = {name: CALLS * 50 / taken for name, taken in in_turns(contestants, ROUNDS).items()}
    print(f"rate limit, shared       {each['ours']:9,.0f} decisions/s")
    print(f"bare lock and unlock     {each['bare']:9,.0f} /s")
    if "peer" in each:
        ratio = each["ours"] / each["peer"]
        print(
            f"`limits`, moving window  {each['peer']:9,.0f} decisions/s in one process   "
            f"{ratio:.2f} x   {verdict(ratio, 1, at_least=True)}"
        )
    else:
        ratio = each["bare"] / each["ours"]
        print(f"lock to decision         {ratio:9.1f} x   {verdict(ratio, 15, at_least=False)}")


def peer_limit() -> Callable[[], object] | None:
    try:
        from limits import RateLimitItemPerMinute  # noqa: PLC0415
        from limits.storage import MemoryStorage  # noqa: PLC0415
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415
    except ImportError:
        return None
    limiter, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(10**9)
    return lambda: limiter.hit(item, "a")


def redaction() -> None:
    values = [b64encode(sha256(bytes([n])).digest()).decode() for n in range(200)]
    few, many = Redactor(values[:2]), Redactor(values)
    none = Redactor()
    seconds = in_turns(
        {
            "none": lambda: none.redact(TEXT),
            "few": lambda: few.redact(TEXT),
            "many": lambda: many.redact(TEXT),
            "twice": lambda: many.redact(TEXT + TEXT),
        },
        ROUNDS,
    )
    for name, count in (("none", 0), ("few", 2), ("many", 200)):
        print(f"redact, {count:3} values       {len(TEXT) / 1e6 / seconds[name]:9,.1f} MB/s")
    ratio = seconds["twice"] / seconds["many"]
    print(f"twice the text           {ratio:9.2f} x   {verdict(ratio, 2.4, at_least=False)}")


if __name__ == "__main__":
    main()
