"""
One job, in a process of its own: a skill's function, a piece of Python, a shell command.

    keeper → job   {"kind": …, "home": …, "folder": …, …} and two descriptors: output, broker
    job → parent   on the broker's socket {"call": …} any number of times, then {"done": …}

    {"ok": true, "result": …}
    {"ok": false, "error": {"type": …, "message": …, "where": "file.py:12", "trace": […]}}
"""

from __future__ import annotations

import os
import socket
import sys
from _thread import allocate_lock  # threading would do its own work at each fork

from dino_os import errors, inside
from dino_os.tool_sandbox import wire

TYPE_CHECKING = False
if TYPE_CHECKING:  # see keeper.py
    from collections.abc import Callable, Mapping
    from typing import Any

_ANSWER_LIMIT = 1 << 26
_BROKER = 3


def run(job: Mapping[str, Any], descriptors: list[int]) -> None:
    """Do *job* and say how it went; the process ends with this."""
    output, broker = descriptors
    os.dup2(output, 1)
    os.dup2(output, 2)
    broker = os.dup(broker) if broker == _BROKER else broker
    os.dup2(broker, _BROKER, inheritable=False)
    os.closerange(_BROKER + 1, 1 << 30)
    channel = socket.socket(fileno=_BROKER)
    os.environ.update(job["environment"])
    os.mkdir(job["home"], mode=0o700)
    os.chdir(job["folder"])
    if job["kind"] == "shell":
        os.execve("/bin/sh", ["sh", "-c", job["command"]], os.environ)  # noqa: S606
    inside.connect(Broker(channel))
    done = _judged(lambda: _result(job), _file(job))
    sys.stdout.flush()
    sys.stderr.flush()
    channel.sendall(_frame(done, job))


def _result(job: Mapping[str, Any]) -> Any:
    if job["kind"] == "skill":
        from dino_os.tool_sandbox.inside.skill import call  # noqa: PLC0415

        return call(job)
    from dino_os.tool_sandbox.inside import tools  # noqa: PLC0415

    tool = tools.TOOLS[job["kind"]]
    return tool(**job["arguments"])


def _judged(work: Callable[[], Any], file: str) -> dict[str, Any]:
    try:
        return {"ok": True, "result": work()}
    except BaseException as error:  # noqa: BLE001  whatever ends a skill is its outcome
        return {"ok": False, "error": describe(error, file)}


def _frame(done: dict[str, Any], job: Mapping[str, Any]) -> bytes:
    limit = job["result_bytes"]
    try:
        frame = wire.encode({"done": done})
    except (TypeError, ValueError, RecursionError) as error:
        return wire.encode({"done": {"ok": False, "error": describe(error, _file(job))}})
    if len(frame) > limit:
        message = f"its result is larger than {limit / 2**20:g} MiB"
        return wire.encode({"done": {"ok": False, "error": {"message": message}}})
    if wire.too_many(frame):
        message = f"its result has more than {wire.MOST_VALUES:,} values"
        return wire.encode({"done": {"ok": False, "error": {"message": message}}})
    return frame


def _file(job: Mapping[str, Any]) -> str:
    return str(job.get("file", "<code>"))


def describe(error: BaseException, file: str) -> dict[str, Any]:
    """What people need to know of *error*, the last place in *file* first."""
    import traceback  # noqa: PLC0415  on the way to an error alone

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file]
    message = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    first = next((i for i, frame in enumerate(frames) if frame.filename == file), 0)
    trace = traceback.format_list(frames[first:])
    trace += traceback.format_exception_only(type(error), error)
    name = os.path.basename(file)
    hint = error.hint if isinstance(error, errors.DinoError) else None
    return {
        "type": _plain(type(error).__name__),
        "message": _plain(message),
        "hint": _plain(str(hint)) if hint else None,
        "where": f"{name}:{own[-1].lineno}" if own else name,
        "trace": [_plain(line) for line in trace],
        "denied": isinstance(error, PermissionError | errors.Denied),
        "memory": isinstance(error, MemoryError),
        "retry_after_s": getattr(error, "retry_after_s", None),
        "final": getattr(error, "final", False) is True,
    }


def _plain(text: str) -> str:
    return text.encode(errors="replace").decode()


class Broker:
    """The job's end of the inherited socket; one call at a time, from any thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._owner = os.getpid()
        self._turn = allocate_lock()

    def call(self, part: str, method: str, /, **arguments: Any) -> Any:
        """See `dino_os.inside.Connection`."""
        if os.getpid() != self._owner:
            raise errors.SandboxError(
                "a process that a skill starts cannot call the broker",
                hint="make the call in the skill's own process",
            )
        request = {"call": {"part": part, "method": method, "arguments": arguments}}
        with self._turn:
            wire.send(self._channel, request)
            came = wire.receive(self._channel, _ANSWER_LIMIT)
        if came is None:
            raise errors.SandboxError("the broker is gone")
        answer = came[0]
        if refusal := answer.get("error"):
            raise _error(refusal)
        return answer.get("answer")


def _error(refusal: Mapping[str, Any]) -> Exception:
    """The error that the parent's part raised, by its name."""
    kind = getattr(errors, str(refusal.get("type")), errors.DinoError)
    found: Exception = kind(str(refusal.get("message")), hint=refusal.get("hint"))
    return found
