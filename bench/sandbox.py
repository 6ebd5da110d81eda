"""
The sandbox beside the same work without it, and beside other sandboxes on the same machine.

    python bench/sandbox.py [RUNS]        default: 1,000 runs for what they leave behind
"""

from __future__ import annotations

import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from side_by_side import in_turns, run, timed, verdict

from dino_os.broker import Broker
from dino_os.plugins import Plugins
from dino_os.runner import _job
from dino_os.skill_sources import read_sources
from dino_os.tool_sandbox import layers, view
from dino_os.tool_sandbox.policy import Limits, Policy
from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.workspace import Workspace

HOME = Path(__file__).resolve().parent.parent
ROUNDS, WARM_ROUNDS = 21, 301
# The same command with nothing put up: what the walls cost, and nothing else.
WITHOUT = """
from dino_os.tool_sandbox import layers
from dino_os.tool_sandbox.policy import Walls
layers.walls = lambda **_: Walls.none()
from dino_os.commands import dino
dino(prog_name="dino")
"""
# What no run in a process of its own can be faster than, on this machine at this moment.
FORK = """
import os, time
taken = []
for _ in range(301):
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    taken.append(time.perf_counter() - began)
print(sorted(taken)[150])
"""
RECALL = """
from dino_os import skill
from dino_os.memory_layer import MemoryLayer

@skill
def recall():
    return MemoryLayer().get("word")
"""


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workspace = Path(folder) / "workspace"
        run([sys.executable, str(HOME / "cli.py"), "init", str(workspace)])
        (workspace / "skills" / "recall.py").write_text(RECALL)
        once(workspace)
        peers()
        print()
        warm(workspace)
        print()
        leaves_nothing(workspace, runs)


def once(workspace: Path) -> None:
    """`dino run hello`, start-up included, with and without."""
    environment = {**os.environ, "DINO_HOME": str(workspace), "PYTHONPATH": str(HOME)}
    without = [sys.executable, "-c", WITHOUT, "run", "hello"]
    with_walls = [sys.executable, str(HOME / "cli.py"), "run", "hello"]
    seconds = in_turns(
        {
            "without": partial(run, without, env=environment),
            "sandboxed": partial(run, with_walls, env=environment),
        },
        ROUNDS,
    )
    more = (seconds["sandboxed"] - seconds["without"]) * 1000
    print(
        f"dino run hello    without {seconds['without'] * 1000:6.1f} ms   "
        f"sandboxed {seconds['sandboxed'] * 1000:6.1f} ms   {more:+5.1f} ms   "
        f"{verdict(more, 25, at_least=False)}"
    )


def peers() -> None:
    """Other ways to start a Python that does nothing, on this machine."""
    python = [view.interpreter(), "-I", "-S", "-c", "pass"]
    contestants: dict[str, Callable[[], object]] = {"python -I -S -c pass": partial(run, python)}
    if bwrap := shutil.which("bwrap"):
        around = [bwrap, "--unshare-all", "--ro-bind", "/", "/"]
        contestants["the same in bwrap --unshare-all"] = partial(run, [*around, *python])
    if find_spec("sandlock"):
        contestants["the same in sandlock (in one process)"] = _sandlock(python)
    for name, seconds in in_turns(contestants, ROUNDS).items():
        print(f"  {name:<38} {seconds * 1000:6.1f} ms")


def _sandlock(python: list[str]) -> Callable[[], object]:
    from sandlock import Sandbox as Peer  # type: ignore[import-not-found]  # noqa: PLC0415

    prefix = os.path.realpath(sys.base_prefix)
    readable = [
        path
        for path in ("/usr", "/lib", "/lib64", "/etc", "/dev", "/proc", prefix)
        if Path(path).exists()
    ]

    def start() -> None:
        result = Peer(fs_readable=readable).run(python)
        if not result.success:
            raise SystemExit(f"sandlock: {result.stderr}")

    return start


def warm(workspace: Path) -> None:
    """A run in a process that stays, one call to the broker included, beside a fork of nothing."""
    fork = [sys.executable, "-I", "-S", "-c", FORK]
    base = float(subprocess.run(fork, capture_output=True, check=True).stdout)
    print(f"fork and end of a bare Python       median {base * 1000:5.2f} ms")
    found = layers.possible()
    goals = [(found, 4.0)] if found.bubblewrap else []
    goals.append((replace(found, bubblewrap=None), 2.0))
    for walls, goal in goals:
        with Sandbox(walls, warm=True) as sandbox:
            work = one_run(sandbox, workspace)
            seconds = sorted(timed(work) for _ in range(WARM_ROUNDS))
        median, p95 = statistics.median(seconds) * 1000, seconds[int(len(seconds) * 0.95)] * 1000
        kind = "with namespaces" if walls.bubblewrap else "without"
        print(
            f"warm run {kind:<16} median {median:5.2f} ms   p95 {p95:5.2f} ms   "
            f"{verdict(median, goal, at_least=False)}"
        )


def one_run(sandbox: Sandbox, workspace: Path) -> Callable[[], None]:
    """Run the skill that asks the memory once."""
    own = Workspace(workspace)
    skill = Plugins(workspace / "skills").skills().find("recall")
    own.security.lend("skill:recall", ["memory_get"])
    own.memory_store.add("word", "found")
    job, policy = _job(skill, read_sources(skill), {}), Policy(workspace, limits=Limits())

    def work() -> None:
        broker = Broker(own.parts, own.security, "skill:recall")
        outcome = sandbox.run(policy, job, on_call=broker.answer)
        if outcome.result != "found":
            raise SystemExit(f"the run failed: {outcome}")

    return work


def leaves_nothing(workspace: Path, runs: int) -> None:
    """What so many runs in one process leave behind."""
    with Sandbox(warm=True) as sandbox:
        work = one_run(sandbox, workspace)
        for _ in range(50):
            work()
        before, memory = _there(), _resident_kib()
        seconds = timed(lambda: [work() for _ in range(runs)])
        gc.collect()
        left, grown = _there() - before, _resident_kib() - memory
    clean = not left and grown < 4096
    print(
        f"{runs:,} runs in {seconds:.1f} s: {len(left)} processes, mounts, files or descriptors "
        f"left, {grown:+,} KiB   {'ok' if clean else 'MISSED'}"
    )
    for thing in sorted(left):
        print(f"  {thing}")


def _there() -> set[str]:
    """Processes of ours, mounts, temporary files and descriptors."""
    found = {f"process {pid}" for pid in _descendants(os.getpid())}
    found |= {f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    found |= {f"file {entry}" for entry in Path(tempfile.gettempdir()).glob("dino-*")}
    return found | {f"descriptor {name}" for name in _descriptors()}


def _descriptors() -> list[str]:
    numbers = [path.name for path in Path("/proc/self/fd").iterdir()]
    return [number for number in numbers if Path(f"/proc/self/fd/{number}").exists()]


def _descendants(process: int) -> list[int]:
    done = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    children = {int(pid): int(parent) for pid, parent, name in rows if name != "ps"}
    found = {process}
    while more := {pid for pid, parent in children.items() if parent in found} - found:
        found |= more
    return sorted(found - {process})


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    main()
