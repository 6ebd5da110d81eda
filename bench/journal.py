"""
The journal beside the physical limit: raw write + fdatasync, and a bare SHA-256 loop.

    python bench/journal.py [FOLDER]        FOLDER lies on the disk to measure; default: here
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from side_by_side import in_turns, timed, verdict

from engines.journal import Journal, verify

SINGLES = 1_000
BATCH, BATCHES = 1_000, 100
ROUNDS = 7
# Padded so that a whole line has 300 bytes.
PAYLOAD = {"zone": "Mission", "kind": "alert", "change": 1, "note": "x" * 19}


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=where) as folder:
        singles(Path(folder))
        batches(Path(folder))
        verification(Path(folder))


def singles(folder: Path) -> None:
    journal = Journal(folder / "singles.jsonl")
    line = b"x" * (size_of_line(journal) - 1) + b"\n"
    raw = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def raw_writes() -> None:
        for _ in range(SINGLES):
            os.write(raw, line)
            os.fdatasync(raw)

    def appends() -> None:
        for _ in range(SINGLES):
            journal.append("zone_event", PAYLOAD)

    seconds = in_turns({"raw": raw_writes, "journal": appends}, ROUNDS)
    ratio = seconds["raw"] / seconds["journal"]
    print(
        f"single appends of {len(line)} bytes   journal {SINGLES / seconds['journal']:,.0f}/s, "
        f"write+fdatasync {SINGLES / seconds['raw']:,.0f}/s   {ratio:.2f}   "
        f"{verdict(ratio, 0.6, at_least=True)}"
    )


def batches(folder: Path) -> None:
    journal = Journal(folder / "batches.jsonl")
    drafts = [("zone_event", PAYLOAD)] * BATCH

    def append_all() -> None:
        for _ in range(BATCHES):
            journal.append_many(drafts)

    append_all()
    best = min(timed(append_all) for _ in range(3))
    rate = BATCH * BATCHES / best
    print(f"batches of {BATCH:,}   {rate:,.0f} events/s   {verdict(rate, 150_000, at_least=True)}")


def verification(folder: Path) -> None:
    path = folder / "batches.jsonl"
    events = verify(path).lines

    def bare_hashing() -> None:
        with path.open("rb") as file:
            for line in file:
                hashlib.sha256(line).hexdigest()

    def verifying() -> None:
        if not verify(path).ok:
            raise SystemExit("the journal does not verify")

    seconds = in_turns({"sha256": bare_hashing, "verify": verifying}, ROUNDS)
    ratio = seconds["sha256"] / seconds["verify"]
    print(
        f"strict verification of {events:,} events   {events / seconds['verify']:,.0f}/s, "
        f"bare sha256 loop {events / seconds['sha256']:,.0f}/s   {ratio:.2f}   "
        f"{verdict(ratio, 0.35, at_least=True)}"
    )


def size_of_line(journal: Journal) -> int:
    journal.append("zone_event", PAYLOAD)
    return len(journal.path.read_bytes().splitlines(keepends=True)[-1])


if __name__ == "__main__":
    main()
