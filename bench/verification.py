"""
Verification of a journal beside a bare loop of SHA-256 over its lines; one core, and two.

    python bench/verification.py [EVENTS]        default: 1,000,000 of 300 bytes
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from journal import PAYLOAD
from side_by_side import in_turns, verdict

from engines.journal import Journal, Rotation, files_of, verify

BATCH, ROUNDS = 1_000, 9


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "events.jsonl")
        journal = Journal(path, rotation=Rotation())
        for _ in range(events // BATCH):
            journal.append_many([("zone_event", PAYLOAD)] * BATCH)
        compare(path)


def compare(path: Path) -> None:
    files = files_of(path)

    def bare_hashing(names: Sequence[Path] = files) -> None:
        for name in names:
            with name.open("rb") as file:
                for line in file:
                    hashlib.sha256(line).hexdigest()

    def bare_hashing_by_two() -> None:
        other = multiprocessing.get_context("fork").Process(target=bare_hashing, args=(files[::2],))
        other.start()
        bare_hashing(files[1::2])
        other.join()

    def verifying(jobs: int, sizes: list[int] | None = None) -> None:
        if not verify(path, jobs=jobs, sizes=sizes).ok:
            raise SystemExit("the journal does not verify")

    lines = verify(path).lines
    contestants = {
        "sha256": bare_hashing,
        "sha256, two": bare_hashing_by_two,
        "one core": lambda: verifying(1),
        "two cores": lambda: verifying(2),
        "one core, tree": lambda: verifying(1, [lines]),
        "two cores, tree": lambda: verifying(2, [lines]),
    }
    seconds = in_turns(contestants, ROUNDS)
    rates = {name: lines / taken for name, taken in seconds.items()}
    to_bare = rates["one core"] / rates["sha256"]
    print(f"strict verification of {lines:,} events in {len(files)} files")
    print(
        f"  one core {rates['one core']:,.0f}/s, bare sha256 loop {rates['sha256']:,.0f}/s   "
        f"{to_bare:.2f}   {verdict(to_bare, 0.5, at_least=True)}"
    )
    limit = rates["sha256, two"] / rates["sha256"]
    print(f"  the bare loop by two processes, which is what this machine has to give: {limit:.2f}")
    for what in ("", ", tree"):
        one, two = rates[f"one core{what}"], rates[f"two cores{what}"]
        asked = verdict(two / one, 1.7, at_least=True) if (os.cpu_count() or 1) > 1 else "one core"
        name = "with the Merkle tree" if what else "two cores"
        print(f"  {name}: {one:,.0f}/s on one, {two:,.0f}/s on two   {two / one:.2f}   {asked}")


if __name__ == "__main__":
    main()
