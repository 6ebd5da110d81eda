"""
Worker processes from the near end: started when there is work, spoken to, stopped, replaced.

A task that takes too long, or is cancelled, is asked to end by SIGTERM and ended by SIGKILL soon
after, with everything its process started; the others that were handed over with it go back.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engines.resource_engine.model import Ended, Lease, Task
from engines.resource_engine.worker import Run, die_with, frame, serve, whole

Launch = Callable[[socket.socket], int]
"""Starts a process that serves the socket's other end, and says its id."""

GRACE_S = 5.0
_READ = 1 << 18
_PATIENCE_S = 1.0
_TASKS_BEFORE_RENEWAL = 10_000  # what leaks in a process goes with it


@dataclass(slots=True)
class _Worker:
    """
    One process.

    Attributes:
        ready: Whether it came so far as to say so: one that ends before has begun nothing.
        left: Tasks of its lease that have not ended; the first is under way.
        stopping: The outcome for which it was told to stop, and `stopped` the task.
        deadline: When it is told to stop, or, once it was, ended; monotonic.
        patience: When those that it has not begun are given to others.
    """

    pid: int
    sock: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    ready: bool = False
    lease: int = -1
    left: list[Task] = field(default_factory=list)
    stopping: str | None = None
    stopped: Task | None = None
    deadline: float | None = None
    patience: float = math.inf
    served: int = 0


class Workers:
    """
    The worker processes of one session.

    Args:
        launch: Starts one.
        timeout_s: For tasks that name no limit of their own: none holds a worker for ever.
    """

    def __init__(self, launch: Launch, *, timeout_s: float = 3600.0) -> None:
        self._launch = launch
        self._timeout_s = timeout_s
        self._busy: dict[int, _Worker] = {}
        self._idle: list[_Worker] = []
        self.returned: dict[int, list[str]] = {}
        self.failed_starts = 0  # one after the other

    # --- what the session does ---------------------------------------------------------------

    @property
    def busy(self) -> int:
        return len(self._busy)

    def sockets(self) -> Iterator[socket.socket]:
        """What to wait for: one can be read where something ended."""
        for worker in self._busy.values():
            yield worker.sock

    def start(self, lease: Lease) -> list[Ended]:
        """
        Have a worker run the tasks of *lease*.

        Returns:
            How those ended that cannot be handed over, whoever tries.

        Raises:
            OSError: No process can be started.
        """
        message, tasks, unfit = _handing(lease)
        if not tasks:
            return unfit
        worker = self._rested() or self._new()
        worker.lease, worker.left = lease.number, tasks
        worker.served += len(tasks)
        self._busy[worker.sock.fileno()] = worker
        self._set_deadline(worker)
        with contextlib.suppress(OSError):  # it has ended: that is found when it is read from
            worker.sock.settimeout(None)
            worker.sock.sendall(message)
        worker.sock.settimeout(0)
        return unfit

    def stop(self, task_id: str) -> None:
        """Have the task not go on, or not begin."""
        for worker in self._busy.values():
            if worker.left and worker.left[0].task_id == task_id and not worker.stopping:
                self._tell_to_stop(worker, "cancelled")

    def collect(self) -> list[Ended]:
        """What ended since; see `returned` for what never began."""
        ended: list[Ended] = []
        for worker in [*self._busy.values()]:
            ended += self._read(worker)
            if worker.sock.fileno() >= 0 and worker.deadline is not None:
                self._keep_to_time(worker)
        return ended

    def take_returned(self) -> dict[int, list[str]]:
        """Lease → tasks that were handed over and never began."""
        found, self.returned = self.returned, {}
        return found

    def next_deadline(self) -> float | None:
        """Monotonic."""
        busy = self._busy.values()
        return min((min(w.deadline, w.patience) for w in busy if w.deadline), default=None)

    def close(self) -> None:
        """End all of them, busy ones too."""
        workers = [*self._busy.values(), *self._idle]
        for worker in workers:
            _hang_up(worker.sock)  # an idle one ends by itself then
        for worker in self._busy.values():
            _signal(worker.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_S
        for worker in workers:
            _wait(worker.pid, until)
        self._busy.clear()
        self._idle.clear()

    # --- one worker --------------------------------------------------------------------------

    def _rested(self) -> _Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if os.waitpid(worker.pid, os.WNOHANG)[0] == 0:
                return worker
            worker.sock.close()  # it ended while it had nothing to do
        return None

    def _new(self) -> _Worker:
        near, far = socket.socketpair()
        with far:
            try:
                pid = self._launch(far)
            except BaseException:
                near.close()
                raise
        return _Worker(pid, near)

    def _read(self, worker: _Worker) -> list[Ended]:
        try:
            data = worker.sock.recv(_READ)
        except BlockingIOError:
            return []
        except ConnectionError:
            data = b""
        if not data:
            return self._ended(worker)
        worker.buffer += data
        found = [self._take(worker, message) for message in whole(worker.buffer)]
        return [ended for ended in found if ended]

    def _take(self, worker: _Worker, message: dict[str, Any]) -> Ended | None:
        if "ready" in message:
            worker.ready, self.failed_starts = True, 0
            return None
        if not worker.left or message["task_id"] != worker.left[0].task_id:
            return None  # it had been begun when it was given to others
        task = worker.left[0]
        outcome, error = message["outcome"], message.get("error")
        if worker.stopping and outcome == "cancelled":
            if worker.stopped is not task:
                return None  # the signal came a moment late; the process ends, and it goes back
            outcome, error = worker.stopping, self._why_stopped(worker, task) or error
        del worker.left[0]
        if not worker.stopping:  # else it ends now; that is found when it is read from
            if worker.left:
                self._set_deadline(worker)
            else:
                self._rest(worker)
        return Ended(
            task.task_id,
            worker.lease,
            outcome,
            message.get("result"),
            error,
            message["duration_s"],
            message.get("retry_after_s"),
            message.get("final", False),
        )

    def _rest(self, worker: _Worker) -> None:
        del self._busy[worker.sock.fileno()]
        worker.deadline = None
        if worker.served < _TASKS_BEFORE_RENEWAL:
            self._idle.append(worker)
        else:
            _hang_up(worker.sock)
            _wait(worker.pid, time.monotonic() + GRACE_S)

    def _ended(self, worker: _Worker) -> list[Ended]:
        """The process is gone: with the task under way, and without having begun the others."""
        del self._busy[worker.sock.fileno()]
        worker.sock.close()
        code = _wait(worker.pid, time.monotonic() + GRACE_S)
        begun = worker.left[0] if worker.left and worker.ready else None
        self.failed_starts += not worker.ready
        if worker.stopping and begun is not worker.stopped:
            begun = None  # it was stopped for another's sake
        if back := [task.task_id for task in worker.left if task is not begun]:
            self.returned.setdefault(worker.lease, []).extend(back)
        if begun is None:
            return []
        error = self._why_stopped(worker, begun) or {
            "message": f"its worker {_how(code)}",
            "type": "WorkerLost",
        }
        lost = worker.stopping is None
        return [
            Ended(begun.task_id, worker.lease, worker.stopping or "error", None, error, lost=lost)
        ]

    def _why_stopped(self, worker: _Worker, task: Task) -> dict[str, str] | None:
        if worker.stopping == "timeout":
            return {"message": f"it was stopped after {self._limit(task):g} s", "type": "Timeout"}
        return {"message": "it was stopped"} if worker.stopping else None

    def _limit(self, task: Task) -> float:
        if task.timeout_s is None:
            return self._timeout_s
        # Whatever confines a skill stops it in time; this is for where that fails.
        return task.timeout_s + (2 * GRACE_S if task.does.startswith("skill:") else 0.0)

    def _set_deadline(self, worker: _Worker) -> None:
        now = time.monotonic()
        worker.deadline = now + self._limit(worker.left[0])
        worker.patience = now + _PATIENCE_S if len(worker.left) > 1 else math.inf

    def _keep_to_time(self, worker: _Worker) -> None:
        if time.monotonic() > worker.patience and not worker.stopping:
            self._take_back(worker)
        if worker.deadline is None or time.monotonic() < worker.deadline:
            return
        if worker.stopping:
            _signal(worker.pid, signal.SIGKILL)
            worker.deadline = time.monotonic() + GRACE_S
        else:
            self._tell_to_stop(worker, "timeout")

    def _take_back(self, worker: _Worker) -> None:
        """What was taken for quick is not: others get what it has not begun."""
        worker.patience = math.inf
        with contextlib.suppress(OSError):  # it has ended: that is found when it is read from
            worker.sock.sendall(frame({"tasks": []}))
            back = [task.task_id for task in worker.left[1:]]
            del worker.left[1:]
            self.returned.setdefault(worker.lease, []).extend(back)

    @staticmethod
    def _tell_to_stop(worker: _Worker, outcome: str) -> None:
        worker.stopping, worker.stopped = outcome, worker.left[0]
        worker.deadline = time.monotonic() + GRACE_S
        _signal(worker.pid, signal.SIGTERM)


def forking(run: Run) -> Launch:
    """Workers that are forks of this process: for functions that live in it."""

    def launch(far: socket.socket) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            os.setsid()
            die_with(parent)
            serve(far, run)
            code = 0
        finally:
            os._exit(code)

    return launch


def _handing(lease: Lease) -> tuple[bytes, list[Task], list[Ended]]:
    """What hands over those of *lease* that can be, those, and how the others ended."""
    tasks, unfit = [*lease.tasks], list[Ended]()
    try:
        return _frame_of(tasks), tasks, unfit
    except TypeError:  # a journal of before has it: what is submitted now is checked
        tasks.clear()
    for task in lease.tasks:
        try:
            _frame_of([task])
            tasks.append(task)
        except TypeError as error:
            why = {"message": f"its parameters cannot be handed over: {error}", "type": "TypeError"}
            unfit.append(Ended(task.task_id, lease.number, "error", error=why, final=True))
    return _frame_of(tasks), tasks, unfit


def _frame_of(tasks: list[Task]) -> bytes:
    return frame({"tasks": [_told(task) for task in tasks]})


def _told(task: Task) -> dict[str, Any]:
    told = {
        "task_id": task.task_id,
        "payload": task.payload,
        "attempt": task.attempts,
        "key": task.key or task.task_id,
        "timeout_s": task.timeout_s,
    }
    return told | {"origin": task.origin} if task.origin else told


def _how(code: int | None) -> str:
    if code is None:
        return "is gone"
    if code < 0:
        names = {one.value: one.name for one in signal.Signals}
        return f"was killed by {names.get(-code, f'signal {-code}')}"
    return f"exited with code {code}"


def _hang_up(sock: socket.socket) -> None:
    """Closing alone would not do: workers that were forked later have a copy."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _signal(pid: int, number: int) -> None:
    """Asking is its own affair; ended is everything that it started too."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    if number == signal.SIGKILL:
        _end_group(pid)


def _end_group(pid: int) -> None:
    """End what a worker started and left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _wait(pid: int, until: float) -> int | None:
    """Its exit code, negative for the signal; killed where it outlives *until*."""
    pause = 0.0005
    while True:
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return None
        if done:
            _end_group(pid)
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            _signal(pid, signal.SIGKILL)
            until = time.monotonic() + GRACE_S
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
