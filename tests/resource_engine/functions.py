"""Functions for tasks: well-behaved ones and others."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import time
from typing import Any

from engines.resource_engine import Fatal, RetryLater


def add(a: int, b: int) -> int:
    return a + b


def nested(depth: int) -> list[Any]:
    """Lists in lists, so many."""
    found: list[Any] = []
    for _ in range(depth - 1):
        found = [found]
    return found


def note(file: str, what: str) -> None:
    """Append a line, as one write."""
    with open(file, "a") as out:  # noqa: PTH123
        out.write(f"{what}\n")


def hang(file: str | None = None) -> None:
    if file:
        note(file, f"{os.getpid()}")
    time.sleep(600)


def hang_deaf(file: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(file)


def stubborn(file: str) -> str:
    """It is asked to stop, and comes to its end all the same."""
    note(file, f"{os.getpid()}")
    try:
        time.sleep(600)
    except BaseException:  # noqa: BLE001
        return "done"
    return "slept"


def once_then(file: str, how: str) -> str:
    """The first attempt ends badly, the second well."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "well"
    bad(how)
    return "never"


def bad(how: str) -> Any:  # noqa: C901, PLR0911, PLR0912  a table of ways to go wrong
    match how:
        case "segfault":
            faulthandler.disable()
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "sys.exit":
            sys.exit("that was it")
        case "raise":
            raise ValueError("no such gauge")
        case "surrogate":
            raise ValueError("caf\udce9")
        case "later":
            raise RetryLater(0.0, "busy")
        case "fatal":
            raise Fatal("broken for good")
        case "huge":
            return {"n": 2**70}
        case "nan":
            return [float("nan")]
        case "object":
            return object()
        case "deep":
            return nested(2000)
        case "nested":
            return nested(201)
        case "interrupt":
            raise KeyboardInterrupt
        case "leak":
            _LEAKED.append(bytearray(20_000_000))
            return len(_LEAKED)
        case "print":
            print("said aloud")  # noqa: T201
            return "printed"
    return None


_LEAKED: list[bytearray] = []


def forks(file: str, then: str) -> None:
    """A child that outlives its parent, unless somebody sees to it."""
    if os.fork() == 0:
        note(file, f"{os.getpid()}")
        time.sleep(600)
        os._exit(0)
    while not (os.path.exists(file) and os.path.getsize(file)):  # noqa: PTH110, PTH202
        time.sleep(0.005)
    if then == "hang":
        time.sleep(600)
    bad(then)
