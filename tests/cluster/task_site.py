"""
An owner of tasks, nodes that run them and a server between, in real processes that can be killed.

    python -m tests.cluster.task_site --tasks 50000 --kills 60

runs that many with random kills of all of them, and has the journals judged.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dino_os.workspace import Workspace
from engines.resource_engine import Task
from tests.cluster.servers import Server, node_folders, one_server, until
from tests.cluster.task_judge import Found, judge

_REPOSITORY = Path(__file__).resolve().parents[2]
_CHUNK = 5000
FUNCTIONS = """
import os, time
_runs = os.open("runs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

def square(n, takes_s):
    os.write(_runs, b"%d\\n" % n)
    time.sleep(takes_s)
    return n * n
"""
CONFIG = """
memory: {rotate_bytes: 0}
resources:
  functions: ["cluster_functions:square"]
"""


@dataclass
class Node:
    """A workspace and the service that runs for it."""

    home: Path
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.home.name

    @property
    def journal(self) -> Path:
        return self.home / "memory" / "engine_state.jsonl"

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def start(self) -> Node:
        environment = {**os.environ, "DINO_HOME": str(self.home), "PYTHONPATH": str(_REPOSITORY)}
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(_REPOSITORY / "cli.py"), *self.command],
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


@dataclass
class Site:
    """All of it."""

    server: Server
    owner: Node
    workers: list[Node]
    killed: Counter[str] = field(default_factory=Counter)

    @property
    def nodes(self) -> list[Node]:
        return [self.owner, *self.workers]

    def submit(self, count: int, takes_s: float = 0.0, **options: object) -> None:
        """Tasks t-0 … of the owner; each is to give the square of its number."""
        resources = Workspace(self.owner.home).resources
        payloads = [
            {"call": "cluster_functions:square", "params": {"n": n, "takes_s": takes_s}}
            for n in range(count)
        ]
        given: dict[str, object] = {"max_attempts": 50, **options}
        tasks = [Task(f"t-{n}", payload=one, **given) for n, one in enumerate(payloads)]  # type: ignore[arg-type]
        for at in range(0, count, _CHUNK):
            resources.submit_tasks(tasks[at : at + _CHUNK])

    def kill_somebody(self, chance: random.Random) -> None:
        """As power does, and start it again somewhat later."""
        what = chance.choices(("worker", "owner", "server"), (4, 2, 2))[0]
        one = {"owner": self.owner, "server": self.server}.get(what) or chance.choice(self.workers)
        self.killed[what] += 1
        if isinstance(one, Node):
            one.end()
        else:
            one.kill()
        time.sleep(chance.uniform(0.0, 0.5))
        one.start()

    def succeeded(self) -> int:
        """How many results the owner's journal has, by a look at its bytes."""
        path = self.owner.journal
        return path.read_bytes().count(b'"event_type":"task_succeeded"') if path.exists() else 0

    def judged(self, count: int) -> Found:
        return judge(self.owner.home, [one.home for one in self.workers], count)

    def logs(self) -> str:
        return "\n".join(f"{one.name}: {one.log[-2000:]}" for one in self.nodes)


@contextmanager
def site(
    folder: Path, workers: int = 3, *, owner: Sequence[str] = ("scheduler", "start", "--no-work")
) -> Iterator[Site]:
    """
    Everything started, ended behind it.

    Args:
        owner: Its command; by itself it runs nothing, so that all of its tasks must travel.
    """
    server = one_server(folder)
    names = ["owner", *(f"worker-{number}" for number in range(workers))]
    homes = node_folders(folder, server.url, names, "tasks")
    for home in homes:
        (home / "cluster_functions.py").write_text(FUNCTIONS)
        with (home / "config.yaml").open("a") as config:
            config.write(CONFIG)
    work = ("engine", "work", "--workers", "1")
    found = Site(server, Node(homes[0], owner), [Node(home, work) for home in homes[1:]])
    try:
        for node in found.nodes:
            node.start()
        yield found
    finally:
        for node in found.nodes:
            node.end()
        server.kill()


def hammer(
    found: Site,
    tasks: int,
    kills: int,
    chance: random.Random,
    *,
    every_s: float,
    takes_s: float = 0.0,
) -> None:
    """Have them run while everybody is killed now and then; wait for all results."""
    found.submit(tasks, takes_s)
    for _ in range(kills):
        time.sleep(chance.uniform(0.2, 2.0) * every_s)
        if found.succeeded() >= tasks:
            break
        found.kill_somebody(chance)
    until(lambda: found.succeeded() >= tasks, found.logs(), found.server, patience_s=600.0)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--tasks", type=int, default=50_000)
    asked.add_argument("--workers", type=int, default=3)
    asked.add_argument("--kills", type=int, default=60)
    asked.add_argument("--every", type=float, default=2.0, help="seconds between kills, about")
    asked.add_argument("--takes", type=float, default=0.001, help="seconds of each task")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--folder", type=Path)
    given = asked.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    with site(folder, given.workers) as found:
        began = time.monotonic()
        chance = random.Random(given.seed)
        hammer(found, given.tasks, given.kills, chance, every_s=given.every, takes_s=given.takes)
        took = time.monotonic() - began
    verdict = found.judged(given.tasks)
    told = f"{given.tasks:,} tasks over {given.workers} nodes in {took:.0f} s"
    sys.stdout.write(f"{told}; killed: {dict(found.killed)}\n{verdict}\n")


if __name__ == "__main__":
    main()
