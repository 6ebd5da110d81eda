"""
Runs cycles that are killed: the first behind its first call that changes a file, the next behind its
second, until one reaches its end; all in one workspace.  Between two such calls nothing changes, so
behind one is before the next.

    killed.py FOLDER

Each run is forked from here, where everything is imported and nothing open, and gets a file of new
calls to read.  Prints how many runs there were, and how those that were not killed had ended.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CALLS = (
    *("write", "pwrite", "fsync", "fdatasync", "ftruncate"),
    *("mkdir", "link", "unlink", "rename", "replace"),
)
_state = {"calls": 0, "moment": 0}


def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _state["calls"] += 1
        last = _state["calls"] == _state["moment"]
        try:
            return call(*args, **kwargs)
        finally:
            if last:
                os.kill(os.getpid(), signal.SIGKILL)

    return wrapped


def at_once(fd: int) -> None:
    """Nothing is synced: what a process wrote outlives it, and no power is cut here."""
    del fd


# Before anything keeps one of them by another name.
os.fsync = os.fdatasync = at_once
for _name in _CALLS:
    setattr(os, _name, deadly(getattr(os, _name)))

from dino_os.planning.configured import ConfiguredCycle  # noqa: E402
from dino_os.planning.cycle_file import load_cycle  # noqa: E402
from dino_os.workspace import Workspace  # noqa: E402
from tests.cycles.duty import check, drop  # noqa: E402
from tests.desk import calls_text  # noqa: E402


def cycle(folder: Path) -> None:
    """One run, as a process of its own does it."""
    workspace = Workspace(folder)
    loaded = load_cycle(folder / "cycle.yaml", workspace.plugins.skills().find)
    ConfiguredCycle(workspace, loaded).run()


def in_a_child(folder: Path, moment: int) -> int:
    """Run a cycle that dies at its call number *moment* (0: never); how it ended."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _state.update(calls=0, moment=moment)
            cycle(folder)
            code = 0
        except BaseException:  # noqa: BLE001  its parent is told all
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def import_all(folder: Path) -> None:
    """What a run imports on first use is imported once for all of them: by one somewhere else."""
    with tempfile.TemporaryDirectory() as elsewhere:
        copy = Path(shutil.copytree(folder, Path(elsewhere) / "copy"))
        outbox = "http://127.0.0.1:9/"
        text = re.sub(r"http://127\.0\.0\.1:\d+", outbox, (copy / "cycle.yaml").read_text())
        (copy / "cycle.yaml").write_text(text)
        drop(copy, "1.csv", [check(f"C-{n}") for n in range(3)])
        (copy / "p1.csv").write_text(calls_text([{"id": "P", "hours": "1"}]))
        cycle(copy)


def main(folder: Path) -> None:
    import_all(folder)
    gc.disable()  # no run lives so long that it would be worth it
    moment, codes = 0, []
    while not codes:
        moment += 1
        calls = [check(f"C-{moment}-{n}") for n in range(3)]
        drop(folder, f"{moment}.csv", calls)
        moved = calls_text([{"id": f"P-{moment}", "hours": "1"}])
        (folder / f"p{moment}.csv").write_text(moved)
        code = in_a_child(folder, moment)
        if code != -signal.SIGKILL:
            codes.append(code)
    codes += [in_a_child(folder, 0) for _ in range(2)]
    sys.stdout.write(json.dumps({"runs": moment, "codes": codes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
