"""Run after run leaves nothing behind: no process, mount, file or descriptor, and no memory."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.tool_sandbox.policy import Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox
from tests.tool_sandbox import processes
from tests.tool_sandbox.conftest import python

NOISE_KIB = 4096
# Each leaves something for its keeper to clear up.
CODE = """
import os, time
open(os.environ["HOME"] + "/left", "w").write("x" * 100_000)
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
"""


def there() -> set[str]:
    """What could be left: of this process, of root's sandboxes, and in the temporary folder."""
    gc.collect()  # what others forgot to close is not ours
    found = {f"process {one}" for one in processes.family(os.getpid()) if one != os.getpid()}
    found |= {f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    return found | {f"descriptor {name}" for name in descriptors()}


def descriptors() -> list[str]:
    names = [path.name for path in Path("/proc/self/fd").iterdir()]
    return [name for name in names if Path(f"/proc/self/fd/{name}").exists()]


def resident_kib() -> int:
    gc.collect()
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what others do in the machine's does not count."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()


def endure(work: Callable[[], object], first: int, runs: int, temporary: Path) -> None:
    for _ in range(first):
        work()
    before, files, memory = there(), set(temporary.iterdir()), resident_kib()
    for _ in range(runs):
        work()
    assert there() == before
    assert set(temporary.iterdir()) == files
    assert resident_kib() - memory < NOISE_KIB


def test_warm_runs_leave_nothing(walls: Walls, workspace: Path, tmp_path: Path) -> None:
    before = there()
    with Sandbox(walls, warm=True) as sandbox:

        def once() -> None:
            outcome = sandbox.run(Policy(workspace), python(CODE))
            assert (outcome.cause, outcome.ok) == ("finished", True)

        endure(once, 10, 140, tmp_path / "temporary")
    assert there() == before
    assert not list((tmp_path / "temporary").iterdir())


def test_single_runs_leave_nothing(walls: Walls, workspace: Path, tmp_path: Path) -> None:
    (workspace / "data").mkdir()

    def once() -> None:
        with Sandbox(walls) as sandbox:
            assert sandbox.run(Policy(workspace, writes=("data",)), python(CODE)).ok

    endure(once, 2, 18, tmp_path / "temporary")
    assert not list((tmp_path / "temporary").iterdir())


def test_runs_that_fail_leave_nothing_either(walls: Walls, workspace: Path, tmp_path: Path) -> None:
    """Refused policies, forged frames, deaths: each in turn."""
    with Sandbox(walls, warm=True) as sandbox:

        def once() -> None:
            for code in ("import os; os.abort()", "import os; os.write(3, b'x' * 100)", "1 / 0"):
                assert not sandbox.run(Policy(workspace), python(code)).ok
            with pytest.raises(ValueError, match="would let it change"):
                sandbox.run(Policy(workspace, writes=("memory",)), python("1"))

        endure(once, 2, 10, tmp_path / "temporary")
