"""
Appending, beside the physical limit and a peer: raw write + fdatasync, and SQLite.

    python bench/journal.py [FOLDER]        FOLDER lies on the disk to measure; default: here
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from side_by_side import in_turns, timed, verdict

from engines.journal import Journal, verify

SINGLES = 1_000
BATCH, BATCHES = 1_000, 100
WRITERS, EACH = 8, 500
ROUNDS = 7
# Padded so that a whole line has 300 bytes.
PAYLOAD = {"zone": "Mission", "kind": "alert", "change": 1, "note": "x" * 19}


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=where) as folder:
        singles(Path(folder))
        peer(Path(folder))
        batches(Path(folder))
        writers(Path(folder))


def singles(folder: Path) -> None:
    """Acknowledged appends, one by one, beside the disk itself."""
    journal = Journal(folder / "singles.jsonl")
    line = line_of(journal)
    raw = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def raw_writes() -> None:
        for _ in range(SINGLES):
            os.write(raw, line)
            os.fdatasync(raw)

    seconds = in_turns({"raw": raw_writes, "journal": lambda: append(journal, SINGLES)}, ROUNDS)
    ratio = seconds["raw"] / seconds["journal"]
    print(
        f"single appends of {len(line)} bytes   journal {SINGLES / seconds['journal']:,.0f}/s, "
        f"write+fdatasync {SINGLES / seconds['raw']:,.0f}/s   {ratio:.2f}   "
        f"{verdict(ratio, 0.6, at_least=True)}"
    )


def peer(folder: Path) -> None:
    """Acknowledged appends of one thread and of eight, beside SQLite: a row, a transaction."""
    journal, database = Journal(folder / "threads.jsonl"), folder / "peer.sqlite"
    line = line_of(journal)
    connect(database).execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, line BLOB NOT NULL)")
    for threads in (1, WRITERS):
        each = WRITERS * EACH // threads
        contestants = {
            "journal": lambda n=threads, k=each: in_threads(n, lambda: append(journal, k)),
            "sqlite": lambda n=threads, k=each: in_threads(n, lambda: insert(database, line, k)),
        }
        seconds = in_turns(contestants, ROUNDS)
        ratio = seconds["sqlite"] / seconds["journal"]
        rates = {name: WRITERS * EACH / taken for name, taken in seconds.items()}
        print(
            f"acknowledged appends, {threads} thread{'s'[: threads - 1]}   "
            f"journal {rates['journal']:,.0f}/s, SQLite (WAL, synchronous=FULL) "
            f"{rates['sqlite']:,.0f}/s   {ratio:.2f}   {verdict(ratio, 1, at_least=True)}"
        )


def append(journal: Journal, count: int) -> None:
    for _ in range(count):
        journal.append("zone_event", PAYLOAD)


def insert(database: Path, line: bytes, count: int) -> None:
    connection = connect(database)
    for _ in range(count):  # outside of BEGIN each is a transaction of its own
        connection.execute("INSERT INTO events (line) VALUES (?)", (line,))
    connection.close()


def connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


def writers(folder: Path) -> None:
    """Processes that append to one journal, each line acknowledged: one of them, and eight."""
    path = folder / "shared.jsonl"
    Journal(path).append("noted")
    seconds = in_turns(
        {"one": lambda: start(path, 1), "eight": lambda: start(path, WRITERS)}, ROUNDS
    )
    rates = {name: WRITERS * EACH / taken for name, taken in seconds.items()}
    ratio = rates["eight"] / rates["one"]
    if not verify(path).ok:
        raise SystemExit("the shared journal does not verify")
    print(
        f"{WRITERS} processes on one journal   {rates['eight']:,.0f}/s together, "
        f"one alone {rates['one']:,.0f}/s   {ratio:.2f}   {verdict(ratio, 1, at_least=True)}"
    )


def start(path: Path, count: int) -> None:
    """Have *count* processes write, all together the same number of lines; wait for them."""
    processes = [
        multiprocessing.get_context("fork").Process(
            target=write, args=(path, WRITERS * EACH // count)
        )
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit("a writer failed")


def write(path: Path, count: int) -> None:
    append(Journal(path), count)


def line_of(journal: Journal) -> bytes:
    journal.append("zone_event", PAYLOAD)
    return journal.path.read_bytes().splitlines(keepends=True)[-1]


if __name__ == "__main__":
    main()
