"""
The queue, beside Huey on SQLite in the same run: throughput, latency, and a hundred thousand tasks.

    python bench/tasks.py [FOLDER]        FOLDER lies on the disk to measure; default: here

Both make every step durable before they go on (Huey's SQLite: WAL, synchronous FULL).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from side_by_side import timed, verdict

from dino_os.workspace import Workspace
from engines.resource_engine import Task

TASKS = 10_000
RAMP = 0.05  # of them; from then on time is taken
SINGLES = 500
LATENCIES = 200
MANY = 100_000
JOBS = 1_000
SETTLED_S, IDLE_S = 3.0, 30.0
ROUNDS = 3
WORKERS = 2

MODULE = """
import time
def empty(): return None
def now(): return time.time()
"""
HUEY = """
import huey as h
huey = h.SqliteHuey(filename={file!r}, fsync=True)
@huey.task()
def empty(): return None
"""
CONFIG = """
system: {name: bench}
resources: {functions: ["bench_tasks:empty", "bench_tasks:now"]}
"""


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    throughput(Path(where))
    latency(Path(where))
    many(Path(where))
    idle(Path(where))


# --- throughput ----------------------------------------------------------------------------------


def throughput(where: Path) -> None:
    """Empty tasks, queued beforehand, run by two worker processes; and submitting them."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with folder_in(where) as folder:
            ours.append(our_round(folder))
        with folder_in(where) as folder:
            theirs.append(their_round(folder))
    our, their = (list(map(statistics.median, zip(*r, strict=True))) for r in (ours, theirs))
    ratio = our[0] / their[0]
    print(
        f"empty tasks run by {WORKERS} workers   dino {our[0]:,.0f}/s, huey {their[0]:,.0f}/s   "
        f"{ratio:.1f} x   {verdict(ratio, 5, at_least=True)}"
    )
    print(
        f"submitted one by one   dino {our[1]:,.0f}/s, huey {their[1]:,.0f}/s   "
        f"{our[1] / their[1]:.2f} x;   in batches of 1,000   dino {our[2]:,.0f}/s"
    )


def our_round(folder: Path) -> tuple[float, float, float]:
    """Tasks run, submitted singly and submitted in batches, each a second."""
    workspace = workspace_in(folder)
    resources = workspace.resources
    single = [call(f"s-{n}", "empty") for n in range(SINGLES)]
    alone = timed(lambda: [resources.submit_task(task) for task in single])
    rest = [call(f"t-{n}", "empty") for n in range(TASKS - SINGLES)]
    parts = [rest[at : at + 1000] for at in range(0, len(rest), 1000)]
    together = timed(lambda: [resources.submit_tasks(part) for part in parts])
    command = [*dino(), "engine", "work", "--once", "--workers", str(WORKERS)]
    subprocess.run(command, check=True, cwd=folder, env=environment(folder), capture_output=True)
    tasks = resources.tasks(state="succeeded")
    assert len(tasks) == TASKS
    ended = sorted(task.finished_at or 0.0 for task in tasks)
    first = int(TASKS * RAMP)
    return (TASKS - first) / (ended[-1] - ended[first]), SINGLES / alone, len(rest) / together


def their_round(folder: Path) -> tuple[float, float]:
    """Tasks run, and submitted, each a second."""
    (folder / "bench_huey.py").write_text(HUEY.format(file=str(folder / "huey.db")))
    sys.path.insert(0, str(folder))
    sys.modules.pop("bench_huey", None)
    import bench_huey  # type: ignore[import-not-found]  # noqa: PLC0415  the one of this round

    sys.path.remove(str(folder))
    alone = timed(lambda: [bench_huey.empty() for _ in range(TASKS)])
    consumer = subprocess.Popen(
        [
            *(sys.executable, "-m", "huey.bin.huey_consumer", "bench_huey.huey"),
            *("-w", str(WORKERS), "-k", "process", "-q", "-n"),
        ],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.DEVNULL,
    )
    try:
        # From when some have run until all have: its start is not what is measured.
        while (first := bench_huey.huey.pending_count()) > TASKS * (1 - RAMP):
            time.sleep(0.002)
        began = time.perf_counter()
        while bench_huey.huey.pending_count():
            time.sleep(0.002)
        took = time.perf_counter() - began
    finally:
        consumer.send_signal(signal.SIGTERM)
        consumer.wait()
    return first / took, TASKS / alone


# --- latency -------------------------------------------------------------------------------------


def latency(where: Path) -> None:
    """From the call that submits to the first line of the function, on a worker that is idle."""
    with folder_in(where) as folder, working(folder):
        resources = workspace_in(folder).resources
        run = [through(resources, f"warm-{n}") for n in range(5)]
        run = [through(resources, f"l-{n}") for n in range(LATENCIES)]
    ms = sorted(1000 * one for one in run)
    median, worst = statistics.median(ms), ms[int(0.99 * len(ms))]
    print(
        f"enqueue to start, idle worker   median {median:.1f} ms, 99 % {worst:.1f} ms   "
        f"{verdict(median, 10, at_least=False)}"
    )


def through(resources: object, name: str) -> float:
    began = time.time()
    resources.submit_task(call(name, "now"))  # type: ignore[attr-defined]
    while (task := resources.task(name)).state != "succeeded":  # type: ignore[attr-defined]
        time.sleep(0.001)
    return float(task.result - began)


@contextmanager
def working(folder: Path) -> Iterator[None]:
    workspace_in(folder)
    process = subprocess.Popen(
        [*dino(), "engine", "work", "--workers", "1"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


# --- a hundred thousand --------------------------------------------------------------------------

LOOK = """
import sys, resource, time
began = time.perf_counter()
from pathlib import Path
from dino_os.workspace import Workspace
found = Workspace(Path(sys.argv[1])).resources.task("m-99999")
assert found.state == "queued"
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def many(where: Path) -> None:
    """Submit them, then ask for one of them in a new process."""
    with folder_in(where) as folder:
        workspace_in(folder)
        child = os.fork()
        if not child:
            submit_many(folder)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        looks = [look(folder) for _ in range(5)]
    seconds, size = statistics.median(s for s, _ in looks), max(b for _, b in looks)
    print(
        f"{MANY:,} queued   a new process knows them in {seconds:.2f} s with "
        f"{size / 2**20:,.0f} MiB   {verdict(seconds, 1, at_least=False)}"
    )


def submit_many(folder: Path) -> None:
    resources = workspace_in(folder).resources
    tasks = [call(f"m-{n}", "empty") for n in range(MANY)]
    parts = [tasks[at : at + 1000] for at in range(0, MANY, 1000)]
    took = timed(lambda: [resources.submit_tasks(part) for part in parts])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{MANY:,} submitted at {MANY / took:,.0f}/s, {peak:,.0f} MiB", flush=True)


def look(folder: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env=environment(folder),
    )
    seconds, size = map(float, done.stdout.split())
    return seconds, size


# --- a thousand jobs -----------------------------------------------------------------------------


def idle(where: Path) -> None:
    """What a service costs that has jobs to watch and nothing to do."""
    with folder_in(where) as folder:
        jobs = workspace_in(folder).jobs
        with jobs.deciding():
            for number in range(JOBS):
                expr = f"{number % 60} {number % 24} 1 1 *"
                jobs.add_job(f"j-{number}", "hello", {"kind": "cron", "expr": expr, "tz": "UTC"})
        process = subprocess.Popen(
            [*dino(), "scheduler", "start"],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        process.stderr.readline()
        time.sleep(SETTLED_S)
        before = cpu_s(process.pid)
        time.sleep(IDLE_S)
        share = 100 * (cpu_s(process.pid) - before) / IDLE_S
        process.send_signal(signal.SIGTERM)
        process.wait()
    print(
        f"{JOBS:,} jobs scheduled, none due   {share:.2f} % of a processor over {IDLE_S:g} s   "
        f"{verdict(share, 1, at_least=False)}"
    )


def cpu_s(pid: int) -> float:
    """Processor time of the process and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


# --- what they share -----------------------------------------------------------------------------


@contextmanager
def folder_in(where: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder).resolve()


def workspace_in(folder: Path) -> Workspace:
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "bench_tasks.py").write_text(MODULE)
    return Workspace(folder)


def call(name: str, function: str) -> Task:
    return Task(name, payload=json.loads(json.dumps({"call": f"bench_tasks:{function}"})))


def dino() -> list[str]:
    return [sys.executable, "-c", "from dino_os.commands import dino; dino()"]


def environment(folder: Path) -> dict[str, str]:
    here = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, str(folder)])}


if __name__ == "__main__":
    main()
