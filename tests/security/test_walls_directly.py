"""
Walls that no keeper is started without, even to see what comes of it: by a probe in its place.

A keeper ends what a job leaves by a signal to everybody it can reach.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from dino_os.errors import NotConfined
from dino_os.tool_sandbox import bubblewrap, view
from dino_os.tool_sandbox.policy import Policy
from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.tool_sandbox.slots import Slot
from tests.conftest import REPOSITORY
from tests.security import without
from tests.security.settings import ROOT, namespaces, walls
from tests.security.world import INTERPRETER, World

JOB = {"kind": "python", "arguments": {"code": "'ran'"}}
_ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.open("/dev/tty", os.O_RDWR)
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import pytest
from dino_os.tool_sandbox.policy import Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox
from tests.security import without
code = "import os; os.open('/dev/tty', os.O_RDWR)"
for setsid in (True, False):
    if not setsid:
        without.far("os.setsid = lambda: None")(pytest.MonkeyPatch())
    with Sandbox(Walls(None, 0, seccomp=False, limits=False)) as sandbox:
        ended = sandbox.run(Policy(Path("/")), {"kind": "python", "arguments": {"code": code}})
    print("reached it" if ended.ok else ended.error["type"], file=sys.stderr)
"""


def _signals(process: int) -> list[str]:
    return [INTERPRETER, "-I", "-S", "-c", f"import os; os.kill({process}, 0)"]


def _works(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, check=False, timeout=30, close_fds=True)
    return done.returncode == 0


@pytest.mark.parametrize("flag", ["--unshare-pid", "none"])
def test_the_namespace_of_processes_hides_those_outside(flag: str, world: World) -> None:
    if (program := namespaces()) is None:
        pytest.skip("no namespaces can be made here")
    command = bubblewrap.arguments(program, view.runtime(), scratch_bytes=2**20)
    command = [word for word in command if word != flag]
    through = _works([*command, *_signals(world.facts["victim"])])
    assert through is (flag == "--unshare-pid")


@pytest.mark.parametrize("leave", [True, False], ids=["another user", "root still"])
def test_a_user_of_its_own_signals_nobody_elses_processes(leave: bool, world: World) -> None:
    if not ROOT:
        pytest.skip("only root runs its sandboxes as another user")
    become = "mounts.become(61063); " if leave else ""
    code = (
        f"import sys, os; sys.path.insert(0, {str(REPOSITORY)!r}); "
        f"from dino_os.tool_sandbox.kernel import mounts; {become}"
        f"os.kill({world.facts['victim']}, 0)"
    )
    assert _works([INTERPRETER, "-I", "-S", "-c", code]) is not leave


def test_no_two_sandboxes_have_one_user() -> None:
    slots = [Slot() for _ in range(5)]
    users = {slot.user for slot in slots}
    for slot in slots:
        slot.close()
    assert len(users) == 5


@pytest.mark.parametrize("setting", ["namespaces", "own-user"])
def test_a_keeper_that_is_not_alone_does_not_start(
    setting: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It believes no plan: it looks whether it could reach anybody outside."""
    found = walls(setting)
    if isinstance(found, str):
        pytest.skip(found)
    # As if it were in the name space outside, and there were nobody to try a signal on.
    without.far(
        "real = it._is_alone\n"
        "own = it.os.stat('/proc/self/ns/pid').st_ino if it.os.path.exists('/proc/self') else 0\n"
        "it._is_alone = lambda setup: real({**setup, 'pid_namespace': own, 'parent': -1})"
    )(monkeypatch)
    with Sandbox(found) as sandbox, pytest.raises(NotConfined, match="signals to processes"):
        sandbox.run(Policy(world.workspace), JOB)


def test_a_job_has_no_terminal(tmp_path: Path) -> None:
    """It is of a session of its own: what it writes to a terminal nobody sees."""
    far, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_TERMINAL, str(REPOSITORY)],
        stdin=terminal,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
        text=True,
    )
    os.close(terminal)
    os.close(far)
    assert done.stderr.split("\n")[:2] == ["OSError", "reached it"], done.stderr
