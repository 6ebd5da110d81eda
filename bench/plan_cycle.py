"""
plan-cycle, start-up included: over the real records, from 1,000 to 1,000,000 signals, and the cycle
that follows a large one.

    python bench/plan_cycle.py [RECORDS.csv]        default: the example's records, repeated
"""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from side_by_side import verdict

HOME = Path(__file__).resolve().parent.parent
EXAMPLE = HOME / "examples" / "fire-duty"
REAL = HOME.parent / "shared" / "data" / "sf-fire-calls.csv"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
NEW = 1_000

Record = dict[str, str]


class Taken(NamedTuple):
    """What one run took: wall and processor seconds, and MB of memory at its peak."""

    wall: float
    processor: float
    peak: float

    def per_signal(self, size: int) -> float:
        """Processor µs: of the wall's, those of others who are at work are a part."""
        return self.processor / size * 1e6

    def __str__(self) -> str:
        return f"{self.wall:>9.2f} {self.processor:>9.2f} {self.peak:>9.0f}"


def main() -> None:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    source = given or (REAL if REAL.is_file() else EXAMPLE / "calls.csv")
    with source.open(newline="") as file:
        records = list(csv.DictReader(file))
    best = min(fresh(records).wall for _ in range(5))
    print(
        f"{source.name}: {len(records):,} records in {best:.2f} s wall, start-up included   "
        f"{verdict(best, 1.5, at_least=False)}"
    )
    print("  signals    wall s     cpu s   peak MB   cpu µs/signal")
    found = {}
    for size in SIZES:
        found[size] = taken = fresh(repeated(records, 0, size))
        print(f"{size:>9,} {taken} {taken.per_signal(size):>15.0f}", flush=True)
    *_, before, last = SIZES
    ratio = found[last].per_signal(last) / found[before].per_signal(before)
    print(
        f"µs/signal at {last:,} to {before:,}: {ratio:.2f}   {verdict(ratio, 1.2, at_least=False)}"
    )
    more = (found[last].peak - found[before].peak) / (last - before) * 1e6
    bounded = verdict(more, 100, at_least=False)
    print(f"memory: {more:.0f} bytes for each further signal   {bounded}")
    after = following(records, before)
    print(f"{NEW:>9,} {after}   after {before:,}")
    ratio = after.processor / found[NEW].processor
    print(f"to the same in a fresh workspace: {ratio:.2f}   {verdict(ratio, 2, at_least=False)}")


def repeated(records: list[Record], begin: int, size: int) -> Iterator[Record]:
    """The records over and over, each with an identifier of its own."""
    for index, record in enumerate(itertools.islice(itertools.cycle(records), size), begin):
        yield {**record, "RowID": f"{index}-{record['RowID']}"}


def fresh(records: Iterable[Record]) -> Taken:
    """One cycle in a fresh workspace."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HOME / "config.yaml", folder)
        return plan(Path(folder), records)


def following(records: list[Record], size: int) -> Taken:
    """A cycle of new signals after one of *size*."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HOME / "config.yaml", folder)
        plan(Path(folder), repeated(records, 0, size))
        return plan(Path(folder), repeated(records, size, NEW))


def plan(folder: Path, records: Iterable[Record]) -> Taken:
    calls = folder / "calls.csv"
    several = iter(records)
    first = next(several)
    with calls.open("w", newline="") as file:
        writer = csv.DictWriter(file, first)
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(several)
    command = [sys.executable, str(HOME / "cli.py"), "--home", str(folder), "plan-cycle"]
    command += ["--signals", str(calls)]
    for part in ("map", "zones", "sectors", "agents"):
        command += [f"--{part}", str(EXAMPLE / f"{part}.yaml")]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"plan-cycle ended with {process.returncode}")
    wall = time.perf_counter() - began
    return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
