"""Keepers that stay for the next run: nothing of one run is met by another, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dino_os.errors import SandboxError
from dino_os.tool_sandbox.policy import Limits, Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox
from tests.conftest import REPOSITORY, ended_at_last, environment
from tests.tool_sandbox import processes
from tests.tool_sandbox.conftest import Run, python

MARKS = """
import builtins, json, os, random, resource, signal, sys, threading
def is_open(number):
    try: return bool(os.fstat(number))
    except OSError: return False
def open_descriptors():
    return [number for number in range(256) if is_open(number)]
home = os.environ["HOME"]
found = {
    "module": hasattr(json, "mark"),
    "builtin": hasattr(builtins, "mark"),
    "environment": "MARK" in os.environ,
    "folder": os.getcwd(),
    "files": sorted(os.listdir(home)),
    "beside": sorted(os.listdir(os.path.dirname(home))),
    "umask": (lambda old: (os.umask(old), old)[1])(os.umask(0o77)),
    "handler": str(signal.getsignal(signal.SIGTERM)),
    "ignored": str(signal.getsignal(signal.SIGINT)),
    "path": "/mark" in sys.path,
    "modules": "mark" in sys.modules,
    "limit": resource.getrlimit(resource.RLIMIT_NOFILE),
    "threads": threading.active_count(),
    "descriptors": open_descriptors(),
    "parent": os.getppid(),
}
json.mark = builtins.mark = sys.modules["mark"] = 1
os.environ["MARK"] = "1"
os.umask(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.path.append("/mark")
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
open(f"{home}/left", "w").write("left")
os.makedirs(f"{home}/deep/er"); os.chmod(f"{home}/deep", 0)
os.chdir(home)
found["random"] = [random.random(), os.urandom(4).hex()]
found
"""


def test_each_run_begins_as_the_first_did(run: Run) -> None:
    """Modules, environment, folder, mask, handlers, limits, files: all as new, but for chance."""
    found = [run(MARKS).result for _ in range(4)]
    homes = [one.pop("beside") for one in found]
    assert all(len(home) == 1 for home in homes)
    assert len({home[0] for home in homes}) == 4
    chances = [one.pop("random") for one in found]
    assert found[0]["files"] == []
    assert not found[0]["module"]
    assert all(one == found[0] for one in found[1:])
    assert len({repr(chance[0]) for chance in chances}) == 4
    assert len({chance[1] for chance in chances}) == 4


def test_what_a_run_leaves_running_is_gone_before_the_next(run: Run) -> None:
    code = """
        import os, time
        try: there = [n for n in os.listdir("/proc") if n.isdigit() and int(n) > os.getpid()]
        except OSError: there = []
        if os.fork() == 0:
            os.setsid()
            os.fork()
            time.sleep(600)
        there
    """
    assert [run(code).result for _ in range(3)] == [[], [], []]


def test_one_keeper_serves_all_runs_of_the_same_permissions(walls: Walls, workspace: Path) -> None:
    with Sandbox(walls, warm=True) as sandbox:
        seen = set()
        for timeout_s in (5, 6, 7):
            assert sandbox.run(
                Policy(workspace, limits=Limits(timeout_s=timeout_s)), python("1")
            ).ok
            seen |= {keeper.pid for keeper in _idle(sandbox)}
        assert len(seen) == 1


def test_two_sets_of_permissions_never_share_a_keeper(walls: Walls, workspace: Path) -> None:
    (workspace / "data").mkdir()
    (workspace / "data" / "secret").write_text("secret")
    plain = Policy(workspace)
    kinds = [
        plain,
        replace(plain, reads=("data",)),
        replace(plain, writes=("data",)),
        replace(plain, programs=True),
        replace(plain, limits=Limits(scratch_files=77)),
    ]
    may = [False, True, True, False, False]
    code = """
        try: found = open("data/secret").read()
        except OSError: found = None
        found
    """
    with Sandbox(walls, warm=True) as sandbox:
        for _ in range(2):
            told = [sandbox.run(policy, python(code)).result for policy in kinds]
            assert told == ["secret" if allowed else None for allowed in may]
        assert len({keeper.pid for keeper in _idle(sandbox)}) == len(kinds)


def _idle(sandbox: Sandbox) -> list:
    return [keeper for kept in sandbox._idle.values() for keeper, _ in kept]


def test_a_keeper_does_not_show_what_was_replaced_since(walls: Walls, workspace: Path) -> None:
    """A file that was saved under its name, a folder that was made anew."""
    file, folder = workspace / "a.txt", workspace / "data"
    policy = Policy(workspace, reads=("a.txt", "data"))
    code = 'open("a.txt").read(), open("data/b").read()'
    with Sandbox(walls, warm=True) as sandbox:
        for text in ("one", "two"):
            if folder.exists():
                folder.rename(workspace / "old")
            folder.mkdir()
            (folder / "b").write_text(text)
            (workspace / "new").write_text(text)
            (workspace / "new").rename(file)
            assert sandbox.run(policy, python(code)).result == [text, text]
            assert len(_idle(sandbox)) == 1


def test_a_keeper_that_was_killed_in_between_is_replaced(walls: Walls, workspace: Path) -> None:
    with Sandbox(walls, warm=True) as sandbox:
        assert sandbox.run(Policy(workspace), python("1")).ok
        (keeper,) = _idle(sandbox)
        processes.kill(keeper.pid)
        os.waitid(os.P_PID, keeper.pid, os.WEXITED | os.WNOWAIT)
        assert sandbox.run(Policy(workspace), python("6 * 7")).result == 42
        assert not Path(f"/proc/{keeper.pid}").exists()


def test_a_keeper_that_is_killed_meanwhile_ends_its_run(walls: Walls, workspace: Path) -> None:
    """It is told as a death, and the next run has another keeper."""
    code = "from dino_os import inside\ninside.connection().call('a', 'b')\nimport time; time.sleep(60)"
    policy = Policy(workspace, limits=Limits(timeout_s=30))
    with Sandbox(walls, warm=True) as sandbox:
        assert sandbox.run(policy, python("1")).ok
        (keeper,) = _idle(sandbox)

        everybody: list[int] = []

        def kill(_: object) -> dict[str, object]:
            everybody.extend(processes.family(keeper.pid))
            processes.kill(keeper.pid)
            _await_end(everybody)  # the answer finds nobody: that is no breach of the protocol
            return {}

        outcome = sandbox.run(policy, python(code), on_call=kill)
        assert (outcome.cause, outcome.ok) == ("killed", False)
        _await_end(everybody)
        assert sandbox.run(policy, python("6 * 7")).result == 42


def test_a_job_cannot_end_its_keeper(run: Run) -> None:
    outcome = run(
        """
        import os
        tried = []
        for process in (os.getppid(), 1, -1, 0 - os.getppid()):
            try: os.kill(process, 9 if process != -1 else 0); tried.append(process)
            except OSError: pass
        tried
        """
    )
    assert outcome.result in ([], [-1])  # to itself alone
    assert run("6 * 7").result == 42


def test_closing_twice_is_closing_once(walls: Walls, workspace: Path) -> None:
    sandbox = Sandbox(walls, warm=True)
    assert sandbox.run(Policy(workspace), python("1")).ok
    (keeper,) = _idle(sandbox)
    sandbox.close()
    sandbox.close()
    keeper.close()
    assert not Path(f"/proc/{keeper.pid}").exists()
    assert not _idle(sandbox)
    assert sandbox.run(Policy(workspace), python("6 * 7")).result == 42
    sandbox.close()


def test_many_threads_may_run_at_once(workspace: Path) -> None:
    """Each gets its own answer, and no two of them one keeper."""
    with Sandbox(warm=True) as sandbox, ThreadPoolExecutor(8) as threads:

        def once(number: int) -> int:
            code = f"import os\nopen(os.environ['HOME'] + '/mine', 'x')\n{number} * 2"
            return int(sandbox.run(Policy(workspace), python(code)).result)

        assert list(threads.map(once, range(40))) == [number * 2 for number in range(40)]
        assert len({keeper.pid for keeper in _idle(sandbox)}) == len(_idle(sandbox)) <= 8


def test_an_error_in_the_parent_ends_the_run(walls: Walls, workspace: Path) -> None:
    code = "from dino_os import inside\ninside.connection().call('a', 'b')"

    def fail(_: object) -> dict[str, object]:
        raise KeyboardInterrupt

    with Sandbox(walls, warm=True) as sandbox:
        with pytest.raises(KeyboardInterrupt):
            sandbox.run(Policy(workspace), python(code), on_call=fail)
        assert not _idle(sandbox)
        assert sandbox.run(Policy(workspace), python("1")).ok


# --- when the parent is killed --------------------------------------------------------------------

PARENT = """
import json, sys
from pathlib import Path
from dino_os.tool_sandbox.policy import Limits, Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox
walls, code = json.loads(sys.argv[1])
policy = Policy(Path.cwd(), writes=("out/",), limits=Limits(timeout_s=600))
with Sandbox(Walls(**walls), warm=True) as sandbox:
    print(sandbox.run(policy, {"kind": "python", "arguments": {"code": code}}), flush=True)
    sys.stdin.read()
"""
HOLD = """
import os, time
held = os.open("out/held", os.O_WRONLY)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
os.write(held, b"x")
"""


@pytest.fixture
def parent(workspace: Path) -> Iterator[Callable[[Walls, str], subprocess.Popen[str]]]:
    """Start a program that runs a job, which holds the pipe `out/held`."""
    import json

    (workspace / "out").mkdir()
    os.mkfifo(workspace / "out" / "held")

    def start(walls: Walls, code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, json.dumps([asdict(walls), code])],
            cwd=workspace,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    with ended_at_last() as started:
        yield start


def test_when_the_parent_is_killed_nothing_inside_survives(
    walls: Walls, workspace: Path, parent: Callable[..., subprocess.Popen[str]]
) -> None:
    """Not what a job forked, nor what left its session; its end of the pipe says so."""
    process = parent(walls, f"{HOLD}\ntime.sleep(600)")
    with (workspace / "out" / "held").open("rb") as held:
        assert held.read(4) == b"xxxx"
        everybody = list(processes.family(process.pid))
        process.send_signal(signal.SIGKILL)
        assert held.read() == b""
    _await_end(everybody)


def test_when_the_parent_is_killed_its_idle_keeper_ends(
    walls: Walls, workspace: Path, parent: Callable[..., subprocess.Popen[str]]
) -> None:
    process = parent(walls, "1")
    assert process.stdout
    assert "ok=True" in process.stdout.readline()
    everybody = list(processes.family(process.pid))
    assert len(everybody) >= 2
    process.send_signal(signal.SIGKILL)
    _await_end(everybody)


def _await_end(found: list[int]) -> None:
    """Wait until none of these processes runs; fails where one still does after a while."""
    for one in found:
        try:
            watched = os.pidfd_open(one)
        except ProcessLookupError:
            continue
        import select

        assert select.select([watched], [], [], 20)[0], f"process {one} is still there"
        os.close(watched)


def test_what_an_unconfined_job_leaves_is_found_and_ended(workspace: Path) -> None:
    """Without walls too: whoever loses its parent comes to the keeper."""
    code = f"""
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                open({str(workspace / "pid")!r}, "w").write(str(os.getpid()))
                time.sleep(600)
            os._exit(0)
        while not os.path.exists({str(workspace / "pid")!r}): time.sleep(0.01)
        print("said")
        6 * 7
    """
    with Sandbox(Walls.none()) as sandbox:
        outcome = sandbox.run(Policy(workspace), python(code))
    left = int((workspace / "pid").read_text())
    assert not Path(f"/proc/{left}").exists()
    assert (outcome.result, outcome.output) == (42, b"said\n")
    assert outcome.walls == ["limits"]


def test_a_keeper_that_is_gone_says_so(walls: Walls, workspace: Path) -> None:
    with Sandbox(walls, warm=True) as sandbox:
        sandbox.run(Policy(workspace), python("1"))
        (keeper,) = _idle(sandbox)
        keeper.close()
        with pytest.raises(SandboxError, match="ended while it was not used"):
            keeper.tell({"run": {}})
