"""
One job in a keeper, watched from the parent: its output, its calls to the broker, its limits.

One loop waits for all of them, so that a job which floods one cannot hold up another.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dino_os.errors import SandboxError
from dino_os.tool_sandbox import wire
from dino_os.tool_sandbox.accounting import resident_bytes, user_processes
from dino_os.tool_sandbox.confined import Confined
from dino_os.tool_sandbox.kernel import seccomp
from dino_os.tool_sandbox.policy import Limits

_LOOK_EVERY_S = 0.25
_GRACE_S = 5.0
_ENDING_S = 0.1
_FRAME_LIMIT = 1 << 20
_MOST_REFUSALS = 10_000
_SLOW = {"tools.execute", "bus.request"}  # they wait for others; this loop does not for them

OnOutput = Callable[[bytes], None]
OnCall = Callable[[Mapping[str, Any]], Mapping[str, Any]]
IsCancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a job ended.

    Attributes:
        code: Of its process; negative for the signal that killed it.
        stopped: Why it was stopped: timeout, cancelled, memory, disk, protocol or refusals; else
            None.
        done: What it said of its result; None where it said nothing.
        output: What it printed, up to the limit, and how many bytes were dropped.
        refused: System calls that were refused, by number, and how often.
        peak_bytes: The largest resident memory of one of its processes.
        clean: Whether its keeper may run another.
    """

    code: int
    stopped: str | None
    done: Mapping[str, Any] | None
    output: bytes
    output_cut: int
    refused: Mapping[int, int]
    seconds: float
    cpu_s: float
    peak_bytes: int
    clean: bool


def run(
    keeper: Confined,
    job: Mapping[str, Any],
    limits: Limits,
    *,
    on_output: OnOutput | None = None,
    on_call: OnCall | None = None,
    is_cancelled: IsCancelled | None = None,
) -> Ended:
    """
    Have *keeper* do *job* and return how it ended.

    Args:
        is_cancelled: Asked now and then whether nobody wants it any more.

    Raises:
        SandboxError: The keeper is gone.
    """
    watched = _Watched(keeper, limits, on_output, on_call, is_cancelled)
    try:
        return watched.run(job)
    finally:
        watched.close()


@dataclass
class _Watched:
    keeper: Confined
    limits: Limits
    on_output: OnOutput | None
    on_call: OnCall | None
    is_cancelled: IsCancelled | None
    output: bytearray = field(default_factory=bytearray)
    output_cut: int = 0
    done: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    stopped: str | None = None
    refused: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        now = time.monotonic()
        self._deadline, self._look_at = now + self.limits.timeout_s, now + _LOOK_EVERY_S
        self._waiting = selectors.DefaultSelector()
        self._out, self._far_out = os.pipe()
        self._broker, self._far_broker = socket.socketpair()
        self._broker.settimeout(_GRACE_S)  # whoever does not fetch answers holds up nobody
        self._frames = wire.Reader(self.limits.result_bytes)
        self._answering: threading.Thread | None = None
        self._broken = False

    def run(self, job: Mapping[str, Any]) -> Ended:
        with self._waiting:
            self._register()
            with self._far_broker:
                far = (self._far_out, self._far_broker.fileno())
                try:
                    self.keeper.tell({"run": {**job, **self._limits()}}, far)
                finally:
                    os.close(self._far_out)
            self._watch()
        ended = self.ended or {}
        return Ended(
            code=ended.get("status", -9),
            stopped=self.stopped or ended.get("why"),
            done=self.done,
            output=bytes(self.output),
            output_cut=self.output_cut,
            refused=self.refused,
            seconds=ended.get("seconds", 0.0),
            cpu_s=ended.get("cpu_s", 0.0),
            peak_bytes=ended.get("peak_bytes", 0),
            clean=bool(ended.get("clean")),
        )

    def close(self) -> None:
        if self._answering:
            self._answering.join()
        os.close(self._out)
        self._broker.close()

    def _limits(self) -> dict[str, Any]:
        limits, walls = self.limits, self.keeper.walls
        own = limits.of_a_process() if walls.limits else {}
        if own and not walls.bubblewrap and not walls.own_user:
            own["processes"] += user_processes()  # the limit is the user's, whose they all are
        return {
            "limits": own,
            "result_bytes": limits.result_bytes,
            "scratch_bytes": limits.scratch_bytes,
            "scratch_files": limits.scratch_files,
        }

    def _register(self) -> None:
        self._watch_for(self._out, self._take_output)
        self._watch_for(self._broker.fileno(), self._take_calls)
        self._watch_for(self.keeper.control.fileno(), self._take_end)
        if (listener := self.keeper.listener) is not None:
            self._watch_for(listener, partial(self._refuse, listener))

    def _watch_for(self, descriptor: int, take: Callable[[], bool]) -> None:
        self._waiting.register(descriptor, selectors.EVENT_READ, take)

    def _watch(self) -> None:
        while self.ended is None:
            now = time.monotonic()
            if now >= self._deadline and self.stopped:
                raise SandboxError("the sandbox does not end its job; it was killed")
            if self._broken:
                self._stop("protocol")
            if now >= self._deadline:
                self._stop("timeout")
            elif now >= self._look_at:
                self._look_at = now + _LOOK_EVERY_S
                if self._uses_too_much():
                    self._stop("memory")
                elif self.is_cancelled and self.is_cancelled():
                    self._stop("cancelled")
            self._take(max(min(self._deadline, self._look_at) - now, 0))
        # What was sent just before the end; a process that outlived it may hold the other ends.
        last = time.monotonic() + _GRACE_S
        while self._take(0) and time.monotonic() < last:
            pass

    def _take(self, seconds: float) -> bool:
        """Take what comes within *seconds*; whether anything did."""
        ready = self._waiting.select(seconds)
        for key, _ in ready:
            if not key.data():
                self._waiting.unregister(key.fd)
        return bool(ready)

    def _stop(self, why: str) -> None:
        if self.stopped is None:
            self.stopped = why
            self._deadline = time.monotonic() + _GRACE_S
            with contextlib.suppress(SandboxError):  # it is gone, and its socket's end says so
                self.keeper.tell({"stop": why})

    def _uses_too_much(self) -> bool:
        return resident_bytes(self.keeper.pid) > self.limits.memory_bytes

    # --- what comes; each says whether more may ---------------------------------------------------

    def _take_output(self) -> bool:
        data = os.read(self._out, 1 << 16)
        room = self.limits.output_bytes - len(self.output)
        kept = data[:room]
        self.output += kept
        self.output_cut += len(data) - len(kept)
        if kept and self.on_output:
            self.on_output(kept)
        return bool(data)

    def _take_calls(self) -> bool:
        more = self._frames.take(self._broker)
        try:
            # An honest client sends one and waits: more at once would be answered here one by one,
            # while nobody looks at the clock.
            if frames := list(itertools.islice(self._frames.frames(), 2)):
                self._heard(*frames)
        except ConnectionError:  # nobody is there to hear it; its end says how it ended
            return False
        except (wire.Malformed, OSError):
            self._stop("protocol")
            return False
        return more

    def _heard(self, frame: Mapping[str, Any], *more: Mapping[str, Any]) -> None:
        if more or self.done is not None:
            raise wire.Malformed("more than one message at once, or one behind the result")
        if "done" in frame and isinstance(frame["done"], dict):
            self.done = frame["done"]
        elif self.on_call and isinstance(frame.get("call"), dict) and not self._is_busy():
            call = frame["call"]
            if f"{call.get('part')}.{call.get('method')}" in _SLOW:
                self._start_answering(call)
            else:
                self._answer(call)
        else:
            raise wire.Malformed("neither a result nor a call, one at a time")

    def _is_busy(self) -> bool:
        """Whether the last call is being answered still; its thread may just be ending."""
        if self._answering:
            self._answering.join(_ENDING_S)
        return self._answering is not None and self._answering.is_alive()

    def _start_answering(self, call: Mapping[str, Any]) -> None:
        thread = threading.Thread(target=self._answer_later, args=(call,))
        try:
            thread.start()
        except RuntimeError:
            raise wire.Malformed("no room for a thread") from None
        self._answering = thread

    def _answer(self, call: Mapping[str, Any]) -> None:
        if self.on_call:
            answer = _framed(self.on_call(call))
            left = self._deadline - time.monotonic()
            self._broker.settimeout(min(max(left, _ENDING_S), _GRACE_S))
            self._broker.sendall(answer)

    def _answer_later(self, call: Mapping[str, Any]) -> None:
        try:
            self._answer(call)
        except ConnectionError:  # it is gone
            return
        except OSError:  # it does not fetch its answer
            self._broken = True

    def _take_end(self) -> bool:
        came = wire.receive(self.keeper.control, _FRAME_LIMIT)
        if came is None:  # whatever killed it, the job is over
            self.ended = {}
            return False
        self.ended = came[0].get("ended", {})
        return False

    def _refuse(self, listener: int) -> bool:
        with contextlib.suppress(OSError):
            if found := seccomp.refuse_next(listener):
                self.refused[found[0]] += 1
        if self.refused.total() > _MOST_REFUSALS:
            self._stop("refusals")
        return True


def _framed(answer: Mapping[str, Any]) -> bytes:
    try:
        return wire.encode(answer)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the answer has no form in JSON: {type(error).__name__}"
        return wire.encode({"error": {"type": "SandboxError", "message": message}})
