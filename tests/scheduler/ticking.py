"""A process that ticks through many due times as fast as it can: FOLDER COUNT, from the first on."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.scheduler.desk import Desk

BEGIN, EVERY_S = 1_800_000_000.0, 600


class Clock:
    """Each process has its own, wherever the others' are."""

    now = BEGIN

    def __call__(self) -> float:
        return self.now


def main(folder: Path, count: int) -> None:
    clock = Clock()
    desk = Desk(folder, clock)
    for _ in range(count):
        clock.now += EVERY_S
        desk.submitted.clear()
        desk.duty.turn()
        sys.stdout.write(f"{len(desk.submitted)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
