"""
plan-cycle, start-up included: over the real records, and from 1,000 to 100,000 signals.

    python bench/plan_cycle.py [RECORDS.csv]        default: the example's records, repeated
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from pathlib import Path

from side_by_side import run, timed, verdict

HOME = Path(__file__).resolve().parent.parent
EXAMPLE = HOME / "examples" / "fire-duty"
REAL = HOME.parent / "shared" / "data" / "sf-fire-calls.csv"
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)


def main() -> None:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    source = given or (REAL if REAL.is_file() else EXAMPLE / "calls.csv")
    with source.open(newline="") as file:
        records = list(csv.DictReader(file))
    best = min(plan(records) for _ in range(5))
    print(
        f"{source.name}: {len(records):,} records in {best:.2f} s wall, start-up included   "
        f"{verdict(best, 1.5, at_least=False)}"
    )
    print("signals     seconds   µs/signal")
    for size in SIZES:
        taken = plan(repeated(records, size))
        print(f"{size:>7,}   {taken:>9.2f}   {taken / size * 1e6:>9.0f}")


def repeated(records: list[dict[str, str]], size: int) -> list[dict[str, str]]:
    """The records over and over, each with an identifier of its own."""
    return [
        {
            **records[index % len(records)],
            "RowID": f"{index}-{records[index % len(records)]['RowID']}",
        }
        for index in range(size)
    ]


def plan(records: list[dict[str, str]]) -> float:
    """Wall seconds of one cycle in a fresh workspace."""
    with tempfile.TemporaryDirectory() as folder:
        calls = Path(folder) / "calls.csv"
        with calls.open("w", newline="") as file:
            writer = csv.DictWriter(file, records[0])
            writer.writeheader()
            writer.writerows(records)
        shutil.copy(HOME / "config.yaml", folder)
        command = [sys.executable, str(HOME / "cli.py"), "--home", folder, "plan-cycle"]
        command += ["--signals", str(calls)]
        for part in ("map", "zones", "sectors", "agents"):
            command += [f"--{part}", str(EXAMPLE / f"{part}.yaml")]
        return timed(lambda: run(command))


if __name__ == "__main__":
    main()
