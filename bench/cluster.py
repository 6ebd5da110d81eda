"""
Tasks between nodes: how many a second over one, two and four workers, beside bare JetStream.

    python bench/cluster.py [FOLDER]        FOLDER lies on the disk to measure; default: here

Needs `nats-server` and nats-py.  One server with file storage carries both.  Bare JetStream is what
one writes by hand with nats-py: an owner that publishes each task without waiting for the one
before (256 under way), a worker that fetches a hundred at a time, calls the function in its own
process and acknowledges; with results, it publishes each before that, and the owner fetches and
acknowledges them.  It keeps no journals, and has no sandbox's processes.  Dino's owner and workers
make every step durable, and run the function in a worker process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from servers import nats_server
from side_by_side import verdict

from dino_os.workspace import Workspace
from engines.resource_engine import Task

TASKS = {"empty": 10_000, "short": 1_000}
NODES = (1, 2, 4)
ROUNDS = 3
RAMP = 0.05  # of them; from then on time is taken
UNDER_WAY, FETCHED = 256, 100
SHORT_S = 0.005
FUNCTIONS = f"""
import time
def empty(n): return None
def short(n): time.sleep({SHORT_S})
"""
CONFIG = """
system: {{name: {node}}}
cluster: {{url: "{url}", node: {node}, namespace: bench}}
resources: {{functions: ["bench_cluster:empty", "bench_cluster:short"]}}
"""


def main() -> None:
    where = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    if sys.argv[1:2] == ["bare"]:
        asyncio.run(bare_part(*sys.argv[2:]))
        return
    for function in TASKS:
        compare(where, function)


def compare(where: Path, function: str) -> None:
    """All of them in turns, so that they meet the same machine."""
    contestants: dict[str, Callable[[], float]] = {
        "publish, pull, ack": lambda: bare(where, function, results=False),
        "and results back": lambda: bare(where, function, results=True),
    }
    dino = {nodes: partial(ours, where, function, nodes) for nodes in NODES}
    found: dict[Any, list[float]] = {}
    for _ in range(ROUNDS):
        for name, race in [*contestants.items(), *dino.items()]:
            found.setdefault(name, []).append(race())
    rates = {name: statistics.median(some) for name, some in found.items()}
    told = ", ".join(f"{nodes}: {rates[nodes]:,.0f}/s" for nodes in NODES)
    print(f"{function} tasks   dino over so many worker nodes: {told}", flush=True)
    for name in contestants:
        for nodes in (NODES[0], NODES[-1]):
            ratio = rates[name] / rates[nodes]
            print(
                f"{function} tasks   bare JetStream with one worker, {name}: {rates[name]:,.0f}/s; "
                f"dino over {nodes} takes {ratio:.2f} x as long   "
                f"{verdict(ratio, 1.5, at_least=False)}",
                flush=True,
            )


# --- dino ----------------------------------------------------------------------------------------


def ours(where: Path, function: str, nodes: int) -> float:
    """Tasks a second over so many worker nodes, with one worker process each."""
    count = TASKS[function]
    with folder_in(where) as folder, nats_server(folder) as url:
        homes = [home_in(folder, name, url) for name in ["owner", *names(nodes)]]
        resources = Workspace(homes[0]).resources
        for at in range(0, count, 1000):
            resources.submit_tasks(task(n, function) for n in range(at, at + 1000))
        with running(homes):
            ends: list[float] = []
            while len(ends) < count:
                time.sleep(1.0)
                ends = ended(homes[0])
        first = int(count * RAMP)
        return (count - first) / (ends[-1] - ends[first])


def ended(home: Path) -> list[float]:
    """When tasks ended, by the record: this process is to cost nothing."""
    mark = b'"event_type":"task_succeeded","timestamp":'
    found = []
    for file in sorted((home / "memory").glob("engine_state*.jsonl")):
        for line in file.read_bytes().split(b"\n"):
            at = line.find(mark)
            if at >= 0:
                found.append(float(line[at + len(mark) :].split(b",", 1)[0]))
    return sorted(found)


def task(number: int, function: str) -> Task:
    payload = {"call": f"bench_cluster:{function}", "params": {"n": number}}
    return Task(f"t-{number}", payload=payload)


def names(count: int) -> list[str]:
    return [f"worker-{number}" for number in range(count)]


def home_in(folder: Path, name: str, url: str) -> Path:
    home = folder / name
    home.mkdir()
    (home / "config.yaml").write_text(CONFIG.format(node=name, url=url))
    (home / "bench_cluster.py").write_text(FUNCTIONS)
    return home


@contextmanager
def running(homes: Sequence[Path]) -> Iterator[None]:
    """The owner runs none itself."""
    work = ["engine", "work", "--workers", "1"]
    processes = [start(home, work) for home in homes[1:]]
    time.sleep(3.0)  # they are there before there is work
    processes.append(start(homes[0], ["scheduler", "start", "--no-work"]))
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()


def start(home: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    cli = Path(__file__).resolve().parent.parent / "cli.py"
    return subprocess.Popen(
        [sys.executable, str(cli), *command],
        cwd=home,
        env={**os.environ, "DINO_HOME": str(home), "PYTHONPATH": str(cli.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


# --- bare JetStream ------------------------------------------------------------------------------


def bare(where: Path, function: str, *, results: bool) -> float:
    """Tasks a second with one owner and one worker, each a process."""
    count = TASKS[function]
    with folder_in(where) as folder, nats_server(folder) as url:
        asyncio.run(bare_streams(url))
        parts = [
            subprocess.Popen(
                [sys.executable, __file__, "bare", part, url, function, str(count), str(results)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for part in ("worker", "owner")
        ]
        told = [part.communicate()[0].split() for part in parts]
        ends = sorted(map(float, told[1 if results else 0]))
        first = int(count * RAMP)
        return (count - first) / (ends[-1] - ends[first])


async def bare_streams(url: str) -> None:
    import nats  # noqa: PLC0415

    nc = await nats.connect(url)
    js = nc.jetstream()
    for name in ("jobs", "results"):
        await js.add_stream(name=name, subjects=[name], retention="workqueue", storage="file")
        await js.add_consumer(name, durable_name=name, ack_policy="explicit", max_ack_pending=20000)
    await nc.close()


async def bare_part(part: str, url: str, function: str, count: str, results: str) -> None:
    """Print when each task ended for this part."""
    import nats  # noqa: PLC0415

    nc = await nats.connect(url)
    js = nc.jetstream()
    make = bare_worker if part == "worker" else bare_owner
    ends = await make(js, function, int(count), results == "True")
    await nc.flush()
    await nc.close()
    print("\n".join(map(str, ends)))


async def bare_owner(js: Any, function: str, count: int, results: bool) -> list[float]:  # noqa: FBT001
    ends: list[float] = []

    async def collect() -> None:
        pull = await js.pull_subscribe_bind(consumer="results", stream="results")
        while len(ends) < count:
            for msg in await pull.fetch(FETCHED, timeout=30):
                json.loads(msg.data)
                await msg.ack()
                ends.append(time.time())

    collecting = asyncio.ensure_future(collect()) if results else None
    under_way: list[Any] = []
    for number in range(count):
        row = {"task": f"t-{number}", "key": f"t-{number}", "params": {"n": number}}
        body = json.dumps({"does": f"call:bench_cluster:{function}", **row}).encode()
        under_way.append(
            await js.publish_async("jobs", body, headers={"Nats-Msg-Id": f"owner.{number}.1"})
        )
        if len(under_way) == UNDER_WAY:
            await asyncio.gather(*under_way)
            under_way = []
    await asyncio.gather(*under_way)
    if collecting:
        await collecting
    return ends


async def bare_worker(js: Any, function: str, count: int, results: bool) -> list[float]:  # noqa: FBT001
    space: dict[str, Any] = {}
    exec(FUNCTIONS, space)
    ends: list[float] = []
    pull = await js.pull_subscribe_bind(consumer="jobs", stream="jobs")
    while len(ends) < count:
        messages = await pull.fetch(FETCHED, timeout=30)
        sent = []
        for msg in messages:
            job = json.loads(msg.data)
            answer = {"task": job["task"], "result": space[function](**job["params"])}
            if results:
                body = json.dumps(answer).encode()
                sent.append(await js.publish_async("results", body))
        await asyncio.gather(*sent)
        for msg in messages:
            await msg.ack()
            ends.append(time.time())
    return ends


@contextmanager
def folder_in(where: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name).resolve()


if __name__ == "__main__":
    main()
