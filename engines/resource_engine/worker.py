"""
The far end: a process that runs the tasks it is handed, one after the other.

Frames are a length and JSON.  A signal to stop ends the task under way and then the process; what
else it was handed goes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from engines.errors import DinoError
from engines.resource_engine.model import kind_of
from engines.resource_engine.rows import with_room

Run = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""
Runs one task: task_id, payload, attempt, key, timeout_s and perhaps origin in; outcome, and as it
fits result, error, retry_after_s and final, out.
"""

_LENGTH = struct.Struct(">I")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_LONGEST_MESSAGE = 2000


class Stopped(BaseException):
    """This process was told to stop what it runs."""


def serve(sock: socket.socket, run: Run) -> None:
    """Run what comes until the other end is closed, or a signal stops it."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A child that kept it open would hide from the other end that this process has ended.
    os.register_at_fork(after_in_child=sock.close)
    with contextlib.suppress(Stopped, ConnectionError):
        sock.sendall(frame({"ready": True}))
        for message in frames(sock):
            if not _serve(sock, run, message["tasks"]):
                return


def _serve(sock: socket.socket, run: Run, tasks: list[dict[str, Any]]) -> bool:
    """Run these and say of each how it ended; whether none was stopped."""
    for number, task in enumerate(tasks):
        # Whatever is said meanwhile is that those not begun are wanted back.
        if number and wait_readable([sock], 0.0):
            return True
        began = time.monotonic()
        ended, stopped = _ended(run, task)
        took = time.monotonic() - began
        sock.sendall(_answer({"task_id": task["task_id"], "duration_s": took}, ended))
        if stopped:
            return False
    return True


def wait_readable(files: Iterable[socket.socket | int], timeout_s: float) -> bool:
    """Wait until one of *files* can be read; of any number, as `select` could not."""
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return bool(poll.poll(math.ceil(min(timeout_s, 3600.0) * 1000)))


def _answer(about: Mapping[str, Any], ended: Mapping[str, Any]) -> bytes:
    try:
        orjson.dumps(with_room(ended.get("result")))  # nested no deeper than can be recorded
        return frame({**about, **ended})
    except TypeError as error:  # a number beyond 64 bits, for example
        return frame({**about, **failure(TypeError(f"its result is not JSON: {error}"))})


def _ended(run: Run, task: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """How the task ended, and whether it was stopped."""
    try:
        return run(task), False
    except Stopped:
        return {"outcome": "cancelled", "error": {"message": "it was stopped"}}, True
    except BaseException as error:  # noqa: BLE001  it is that task's
        return failure(error), False


def failure(error: BaseException) -> dict[str, Any]:
    """What went wrong, as an outcome."""
    # Half a surrogate pair is in no text that can be sent.
    message = str(error)[:_LONGEST_MESSAGE].encode(errors="replace").decode()
    message = message or type(error).__name__
    found: dict[str, Any] = {
        "outcome": "error",
        "error": {"message": message, "type": type(error).__name__},
    }
    if where := _where(error):
        found["error"]["where"] = where
    after = getattr(error, "retry_after_s", None)
    if isinstance(after, int | float):
        found["retry_after_s"] = float(after)
    if getattr(error, "final", False) is True:
        found["final"] = True
    return found


def _where(error: BaseException) -> str | None:
    """The innermost place, unless it is our own complaint."""
    trace = error.__traceback__
    if trace is None or isinstance(error, DinoError):
        return None
    while trace.tb_next:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119


def calling(functions: Mapping[str, Callable[..., Any]]) -> Run:
    """A `Run` for functions by name; what has nothing to run succeeds."""

    def run(task: Mapping[str, Any]) -> Mapping[str, Any]:
        payload = task["payload"]
        if not kind_of(payload):
            return {"outcome": "ok_no_action"}
        name = payload.get("call")
        if name not in functions:
            return {
                "outcome": "error",
                "error": {"message": f"no function is registered as {name!r}"},
                "final": True,
            }
        result = functions[name](**payload.get("params", {}))
        try:
            json.dumps(result, allow_nan=False)  # what sends it would make nothing of a NaN
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"its result is not JSON: {error}") from None
        return {"outcome": "ok", "result": result}

    return run


def frame(message: Mapping[str, Any]) -> bytes:
    """*message*, which is JSON, as it travels; the reader checks nothing: both ends are ours."""
    body = orjson.dumps(message)
    return _LENGTH.pack(len(body)) + body


def frames(sock: socket.socket) -> Iterator[Any]:
    """What comes, until the other end is closed."""
    buffer = bytearray()
    while data := sock.recv(1 << 16):
        buffer += data
        yield from whole(buffer)


def whole(buffer: bytearray) -> Iterator[Any]:
    """The whole frames at the beginning of *buffer*, which they leave."""
    while len(buffer) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer)
        end = _LENGTH.size + length
        if len(buffer) < end:
            return
        body = bytes(buffer[_LENGTH.size : end])
        del buffer[:end]
        yield orjson.loads(body)


def die_with(parent: int) -> None:
    """End when the process *parent* does, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _stop(*_: object) -> None:
    raise Stopped
