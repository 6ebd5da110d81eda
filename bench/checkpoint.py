"""
Signing a journal that grew by 1,000 events, at lengths a hundred times apart.

    python bench/checkpoint.py
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from journal import PAYLOAD
from side_by_side import timed, verdict

from engines.audit import CheckpointLog, SignerKey
from engines.journal import Journal, RecordedJournal, Rotation

GROWTH, ROUNDS = 1_000, 25
LENGTHS = (10_000, 1_000_000)


def main() -> None:
    seconds = {}
    for length in LENGTHS:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            seconds[length] = statistics.median(sign_as_it_grows(Path(folder), length))
        print(f"{GROWTH:,} more events after {length:,}   {seconds[length] * 1e3:.1f} ms")
    short, long = (seconds[length] for length in LENGTHS)
    print(f"long to short   {long / short:.2f}   {verdict(long / short, 1.3, at_least=False)}")


def sign_as_it_grows(folder: Path, length: int) -> list[float]:
    path, signer = folder / "events.jsonl", SignerKey.new("bench.example")
    journal, drafts = Journal(path, rotation=Rotation()), [("zone_event", PAYLOAD)] * GROWTH
    for _ in range(length // GROWTH):
        journal.append_many(drafts)
    # Each time as a new process would: nothing is known but what is on the disk.
    CheckpointLog(Journal(folder / "checkpoints.jsonl")).sign(RecordedJournal(path), "o", signer)
    taken = []
    for _ in range(ROUNDS):
        journal.append_many(drafts)
        log = CheckpointLog(Journal(folder / "checkpoints.jsonl"))
        taken.append(timed(lambda log=log: log.sign(RecordedJournal(path), "o", signer)))
    return taken


if __name__ == "__main__":
    main()
