"""
Gates: decisions for a live token with their lines in the journal, beside PyJWT's verification of
the same token, which records nothing; and how well the detector of rates does on known traces.

    python bench/gates.py
    python bench/gates.py --fuzz 1000000     # forged tokens; none may pass, none may raise
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from math import exp
from pathlib import Path
from statistics import median

from side_by_side import in_turns, verdict

from engines.journal import VolatileJournal
from engines.nav_mesh import AnomalyRule, GateRule, MemoryKeys, NavigationMesh, Rules
from engines.nav_mesh import ThresholdDomain as Domain
from engines.nav_mesh.detectors import Rate

MANY, FEW, ROUNDS = 10_000, 1500, 7
RULES = Rules({domain: GateRule(10**9) for domain in Domain})
DAY = 8640  # intervals of 10 s


def main() -> None:
    if "--fuzz" in sys.argv:
        fuzz(int(sys.argv[sys.argv.index("--fuzz") + 1]))
        return
    with tempfile.TemporaryDirectory(dir=".") as folder:
        decisions(Path(folder))
    detector()


def decisions(folder: Path) -> None:
    log = folder / "gate_log.jsonl"
    nav = NavigationMesh(log, keys=MemoryKeys(), rules=RULES)
    token = nav.issue_token("info", "user_001")
    lines = 0

    def cached() -> None:
        with nav.deciding():
            for _ in range(MANY):
                nav.decide("info", token, "user_001")

    def uncached() -> None:
        with nav.deciding():
            for _ in range(FEW):
                nav._verified.clear()  # noqa: SLF001  as a process that sees it for the first time
                nav.decide("info", token, "user_001")

    contestants: dict[str, Callable[[], object]] = {"cached": cached, "uncached": uncached}
    if peer := pyjwt(nav, token):
        contestants["pyjwt"] = lambda: [peer() for _ in range(FEW)]
    seconds = in_turns(contestants, ROUNDS)
    lines = sum(1 for _ in log.open())
    assert lines >= (MANY + FEW) * (ROUNDS + 1)  # each decision has its line
    ours, first = seconds["cached"] / MANY, seconds["uncached"] / FEW
    print(f"decision, token known      {1 / ours:9,.0f} /s   {ours * 1e6:6.1f} us, durable")
    print(f"decision, token new        {1 / first:9,.0f} /s   {first * 1e6:6.1f} us, durable")
    if "pyjwt" in seconds:
        theirs = seconds["pyjwt"] / FEW
        print(f"PyJWT, bare verification   {1 / theirs:9,.0f} /s   {theirs * 1e6:6.1f} us")
        print(f"known  {theirs / ours:5.1f} x   {verdict(theirs / ours, 10, at_least=True)}")
        print(f"new    {first / theirs:5.2f} x its time   ", end="")
        print(verdict(first / theirs, 1.3, at_least=False))


def pyjwt(nav: NavigationMesh, token: str) -> Callable[[], object] | None:
    try:
        import jwt  # noqa: PLC0415
    except ImportError:
        return None
    (key,) = nav._public_keys().values()  # noqa: SLF001
    settings = {"algorithms": ["EdDSA"], "audience": "dino:info", "issuer": nav.issuer}
    return lambda: jwt.decode(token, key.key, **settings)  # type: ignore[arg-type]


# --- the detector -------------------------------------------------------------------------------


def poisson(draw: random.Random, mean: float) -> int:
    count, left = 0, draw.random()
    while left > exp(-mean):
        left *= draw.random()
        count += 1
    return count


def detector() -> None:
    rule = AnomalyRule()
    for mean in (8, 20, 60):
        draw = random.Random(mean)
        rate, alarms, days = Rate(), 0, 14
        for number in range(days * DAY):
            alarms += rate.advance(number * 10.0 + 1e9, rule) is not None
            rate.count = poisson(draw, mean)
        print(f"rate {mean:3}/10 s: false alarms in {days} days {alarms:3}   ", end="")
        print(verdict(alarms / days, 1, at_least=False))
        ways: dict[str, tuple[Callable[[int], float], float]] = {
            "x 2": (lambda _: 2, 30),
            "x 3": (lambda _: 3, 4 if mean < 20 else 3),
            "x 10": (lambda _: 10, 1),
            "ramp, x 2 in 30 min": (lambda n: 1 + n / 180, 180),
        }
        for name, (grown, most) in ways.items():
            found = sorted(delay(random.Random(seed), mean, grown, rule) for seed in range(30))
            print(f"   {name:20} noticed after {median(found):5.1f} intervals, ", end="")
            print(f"at most {found[-1]:3}   {verdict(median(found), most, at_least=False)}")


def delay(
    draw: random.Random, mean: float, grown: Callable[[int], float], rule: AnomalyRule
) -> int:
    rate = Rate()
    for number in range(1000):
        if rate.advance(number * 10.0 + 1e9, rule) and number > 360:
            return number - 360
        rate.count = poisson(draw, mean * (grown(number - 360) if number >= 360 else 1))
    return 999


# --- forged tokens ------------------------------------------------------------------------------


def fuzz(count: int) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.security.test_forged_tokens import mutated  # noqa: PLC0415

    nav = NavigationMesh(journal=VolatileJournal(), rules=RULES)
    token, draw = nav.issue_token("info", "ada"), random.Random()
    slowest, passed, began = 0.0, 0, time.perf_counter()
    for _ in range(count):
        forged = mutated(token, draw)
        before = time.perf_counter()
        allowed = nav.decide("info", forged, "ada").allowed
        slowest = max(slowest, time.perf_counter() - before)
        passed += allowed and forged != token
    took = time.perf_counter() - began
    print(
        f"{count:,} changed tokens in {took:.1f} s, {passed} passed, slowest {slowest * 1e3:.2f} ms"
    )
    sys.exit(passed > 0)


if __name__ == "__main__":
    main()
