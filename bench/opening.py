"""
Opening a workspace with ten million events: a whole process, its time and its memory.

    python bench/opening.py [EVENTS]        default: 10,000,000; needs 3 GB of disk for a while
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import timed, verdict

from dino_os.workspace import Workspace

BATCH, ROUNDS, ZONES = 10_000, 7, 40
COMMAND = [sys.executable, "-m", "cli", "zone", "list", "--json"]


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(dir=".") as folder:
        fill(Path(folder), events)
        seconds = statistics.median(timed(lambda: open_it(folder)) for _ in range(ROUNDS))
    # Of the largest child that was waited for.
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(
        f"`dino zone list` after {events:,} events   {seconds:.2f} s   "
        f"{verdict(seconds, 1, at_least=False)}   {megabytes:.0f} MB   "
        f"{verdict(megabytes, 150, at_least=False)}"
    )


def fill(folder: Path, events: int) -> None:
    (folder / "config.yaml").write_text("memory: {compress: false}\n")
    zones = Workspace(folder).zones
    boundary = {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}
    names = [f"zone-{number}" for number in range(ZONES)]
    zones.register_zones({"name": n, "boundary": boundary, "capacity": 20} for n in names)
    for begin in range(0, events, BATCH):
        with zones.deciding():  # one commit for all of them
            for number in range(begin, min(begin + BATCH, events)):
                kind = "exit" if number // ZONES % 2 else "enter"
                zones.record_event(names[number % ZONES], kind=kind)


def open_it(folder: str) -> None:
    root = Path(__file__).resolve().parent.parent
    env = {**os.environ, "DINO_HOME": folder, "PYTHONPATH": str(root)}
    subprocess.run(COMMAND, check=True, capture_output=True, env=env)


if __name__ == "__main__":
    main()
