"""One of several processes at one queue: `hammer.py FOLDER submit|work|cancel NUMBER`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random

from engines.resource_engine import ResourceEngine, Task, TaskState

COUNT, SUBMITTERS = 150, 2


def main(folder: Path, role: str, number: int) -> None:
    engine = ResourceEngine(folder / "engine_state.jsonl", probe=lambda _: {"cpu": 0.0, "memory": 0.0, "disk": 0.0})  # fmt: skip
    engine.register("note", note)
    rng = Random(number)
    over = time.monotonic() + 60
    while time.monotonic() < over:
        if role == "submit":
            submit(engine, rng, folder)
            return
        if role == "work":
            engine.run_cycle()
        elif there := engine.tasks(state="queued"):
            engine.cancel(rng.choice(there).task_id)
        ended = [t for t in engine.tasks() if t.state in {TaskState.SUCCEEDED, TaskState.CANCELLED}]
        if len(ended) == COUNT:
            engine.stop()
            return


def submit(engine: ResourceEngine, rng: Random, folder: Path) -> None:
    """All submitters submit the same tasks, each in its own order."""
    numbers = [*range(COUNT)]
    rng.shuffle(numbers)
    for n in numbers:
        params = {"file": str(folder / "ran"), "what": str(n)}
        payload = {"call": "note", "params": params}
        engine.submit_task(Task(f"t{n}", payload=payload, limits={"g": 2} if n % 3 else {}))


def note(file: str, what: str) -> None:
    with open(file, "a") as out:  # noqa: PTH123
        out.write(f"{what}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
