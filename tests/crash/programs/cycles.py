"""`dino plan-cycle`, which ends for good just before or just after a call that changes a file."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from dino_os.commands import dino

for needed in ("dino_os.commands.plan_cycle", "dino_os.planning.cycle", "dino_os.work.service"):
    import_module(needed)  # where it is first needed is not our subject

CHANGING = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "mkdir")


def plan(
    folder: str, moment: str, when: str, say: Callable[..., None], gate: Callable[[], None]
) -> None:
    """Plan a cycle; the process dies *when* ("before", "after") its call number *moment*, 0: never."""
    del gate
    os.chdir(folder)
    os.environ["DINO_NO_PLUGINS"] = "1"
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # where the nursery speaks
    calls = itertools.count(1)
    for name in CHANGING:
        setattr(os, name, _deadly(getattr(os, name), calls, int(moment), when))
    try:
        dino(["plan-cycle", "scenario.yaml", "--json"], prog_name="dino")
    except SystemExit as end:
        say(code=end.code or 0)


def _deadly(
    call: Callable[..., Any], calls: Iterator[int], moment: int, when: str
) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        last = next(calls) == moment
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(*args, **kwargs)
        finally:
            if last:
                os.kill(os.getpid(), signal.SIGKILL)

    return wrapped
