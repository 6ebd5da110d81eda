"""
Redaction: what is found and what is left on a labelled corpus, kind by kind; MB/s on log lines and
on JSON beside detect-secrets and Presidio; and lines of a million hostile characters.

    python bench/redaction.py [--peers PYTHON] [--kinds]

Presidio brings spaCy and its like: PYTHON is an interpreter that has it and detect-secrets, in an
environment of their own.  Times are of the processor, as the machine may have other work.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from side_by_side import verdict

from engines.redaction import Pseudonyms, Redactor
from tests.redaction import corpus, keys, values
from tests.redaction.test_bounded_work import HOSTILE

SEED, EACH, ROUNDS, LINES = 20261122, 36, 240, 6000
RECALL, PRECISION, TIMES_PRESIDIO = 0.98, 0.97, 20
HOSTILE_SIZE = 1_000_000
SHARE_WITH_A_VALUE = 0.05


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--kinds", action="store_true")
    given = parser.parse_args()
    quality(every_kind=given.kinds)
    speed(given.peers)
    hostile()


def redactor() -> Redactor:
    return Redactor(pseudonyms=Pseudonyms(b"k" * 32))


def quality(*, every_kind: bool) -> None:
    one = redactor()
    there, out, named, wrong = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for sample in corpus.positives(SEED, EACH):
        there[sample.kind] += 1
        out[sample.kind] += sample.value not in one.redact(sample.text)
        named[sample.kind] += any(hit.kind == sample.kind for hit in one.find(sample.text))
    negatives = 0
    for sample in corpus.negatives(SEED + 1, ROUNDS):
        negatives += 1
        for hit in one.find(sample.text):
            wrong[hit.kind] += 1
    recall = out.total() / there.total()
    precision = out.total() / (out.total() + wrong.total())
    print(f"{there.total():,} values of {len(there)} kinds, {negatives:,} that only look like them")
    print(f"recall     {recall:.4f}   {verdict(recall, RECALL, at_least=True)}")
    print(f"precision  {precision:.4f}   {verdict(precision, PRECISION, at_least=True)}")
    for kind in sorted(there):
        right = out[kind] / there[kind]
        exact = out[kind] / (out[kind] + wrong[kind]) if out[kind] else 0.0
        if every_kind or right < 1 or exact < 1 or named[kind] < there[kind]:
            said = named[kind] / there[kind]
            print(f"  {kind:24} recall {right:.3f}  named {said:.3f}  precision {exact:.3f}")


def speed(peers: str) -> None:
    log, events = "\n".join(log_lines(LINES)), list(json_events(LINES))
    as_json = "\n".join(json.dumps(event) for event in events)
    for what, text, work in (
        ("log lines", log, lambda one: [one.redact(line) for line in log.splitlines()]),
        ("log text", log, lambda one: one.redact(log)),
        ("JSON", as_json, lambda one: [one.redact_json(event) for event in events]),
    ):
        ours = len(text.encode()) / best(work) / 1e6
        print(f"{what:10} {ours:8.2f} MB/s")
        if what == "log text":
            continue
        for peer in ("detect-secrets", "presidio"):
            theirs = peer_speed(peers, peer, text)
            if theirs is None:
                print(f"  {peer}: not installed there")
                continue
            asked = (
                f"   {verdict(ours / theirs, TIMES_PRESIDIO, at_least=True)}"
                if peer == "presidio"
                else ""
            )
            print(f"  {peer:16} {theirs:8.3f} MB/s   {ours / theirs:6.1f} x{asked}")


def best(work: Callable[[Redactor], object]) -> float:
    """Seconds of the processor: the least of three, each with nothing remembered."""
    taken = []
    for _ in range(3):
        one = redactor()
        began = time.process_time()
        work(one)
        taken.append(time.process_time() - began)
    return min(taken)


def peer_speed(python: str, peer: str, text: str) -> float | None:
    """MB/s of the processor, line by line; a part of the text is enough of it."""
    lines = text.splitlines()[: len(text.splitlines()) // 6]
    program = Path(__file__).with_name("redaction_peers.py")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines))
        file.flush()
        ran = subprocess.run(
            [python, program, peer, file.name], capture_output=True, text=True, check=False
        )
    if ran.returncode:
        return None
    return sum(map(len, lines)) / json.loads(ran.stdout.splitlines()[-1])["seconds"] / 1e6


def log_lines(count: int) -> Iterable[str]:
    """As services write them; one in twenty holds an address, a mail or a key."""
    rng, maker = random.Random(SEED), values.Maker(SEED)
    for _ in range(count):
        yield one_line(rng, maker)


def one_line(rng: random.Random, maker: values.Maker) -> str:
    at = f"2026-11-22 02:{rng.randrange(60):02}:{rng.randrange(60):02},{rng.randrange(1000):03}"
    one, two, n, ms = (
        maker.one(*values.WORDS),
        maker.one(*values.WORDS),
        rng.randrange(999),
        rng.random(),
    )
    if rng.random() < SHARE_WITH_A_VALUE:
        key = keys.key(maker, keys.KEYS["stripe_key"])
        found = values.ipv4(maker), values.email(maker), key
        return f"{at} INFO  {one} {two} from {rng.choice(found)}, {n} rows"
    said = (
        f"INFO  [{one}-{n}] app.{one}.{two}: {two} in {ms:.3f} ms (id={rng.getrandbits(64):016x})",
        f'DEBUG GET /api/v1/{one}/{n}?page={n}&sort=asc HTTP/1.1 200 {n} "Mozilla/5.0"',
        f"WARN  retry {n} for task {one}_{n}: connection reset by peer; backoff={ms:.2f}s",
        f"INFO  commit {rng.getrandbits(160):040x} by service {one} took {n}ms, rows={n}",
        f"INFO  heartbeat ok queue={n} workers={n} load={ms:.2f}",
        f"ERROR in /usr/lib/python3.11/site-packages/{one}/{two}.py line {n}: KeyError('{two}')",
    )
    return f"{at} {rng.choice(said)}"


def json_events(count: int) -> Iterable[dict[str, object]]:
    rng, words = random.Random(SEED), values.WORDS
    for number in range(count):
        yield {
            "event_type": rng.choice(["run_completed", "task_completed", "tick"]),
            "timestamp": 1789412345.67 + number,
            "seq": number,
            "run_id": f"run-{rng.getrandbits(48):012x}",
            "skill": rng.choice(words),
            "outcome": "ok",
            "duration_ms": rng.random() * 100,
            "inputs": {"station": rng.choice(words), "hours": rng.randrange(48)},
            "note": f"{rng.choice(words)} {rng.choice(words)} after {rng.randrange(99)} s",
            "hash": f"{rng.getrandbits(256):064x}",
        }


def hostile() -> None:
    one = redactor()
    taken = {}
    for seed in HOSTILE:
        line = (seed * (HOSTILE_SIZE // len(seed) + 1))[:HOSTILE_SIZE]
        began = time.process_time()
        one.redact(line)
        taken[seed] = time.process_time() - began
    worst = sorted(taken, key=taken.__getitem__, reverse=True)[:3]
    print(f"{len(HOSTILE)} lines of {HOSTILE_SIZE:,} hostile characters; the slowest:")
    for seed in worst:
        print(f"  {taken[seed]:6.2f} s  {seed[:24]!r} over and over")


if __name__ == "__main__":
    main()
