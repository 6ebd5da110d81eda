"""
The one foreground loop: runs tasks in worker processes, and between them whatever else falls due.

Single-threaded.  It waits for its workers, for changes of the journals, for the next time that
something is due, and for signals: the first lets what runs come to its end, the second stops it.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.upkeep import after_writing, now_and_then
from dino_os.wake import LOOK_EVERY_S, Wake
from dino_os.work.calls import own_calls
from dino_os.work.duty import Duty
from dino_os.work.turns import Complaints, Turns, told
from engines.durable import make_folder
from engines.errors import JournalBusy
from engines.resource_engine import Crew, ResourceType, wait_readable

if TYPE_CHECKING:
    from dino_os.cluster.traffic import Traffic
    from dino_os.workspace import Workspace

_LONGEST_WAIT_S = 15.0  # a clock that is set is noticed then
_CLOCK_WAS_SET_S = 1.0
_UPKEEP_S = 60.0
_TASKS = "engine_state.head"
_ERRORS = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Service:
    """
    Runs the tasks of *workspace*.

    Args:
        duties: What else there is to do.
        workers: How many worker processes, whatever size the compute pool is; 0 for none.
        functions: Names ("module:name") of what tasks may call besides what the settings name; may
            grow.
        grace_s: How long what runs may go on once it is told to end.
    """

    def __init__(
        self,
        workspace: Workspace,
        duties: Sequence[Duty] = (),
        *,
        workers: int | None = None,
        functions: Collection[str] = (),
        grace_s: float = 30.0,
    ) -> None:
        self._workspace = workspace
        self._duties = [Turns(duty) for duty in duties]
        self._complaints = Complaints(_say)
        self._workers = workers
        self._functions = functions
        self._grace_s = grace_s
        self._crew: Crew | None = None
        self._traffic: Traffic | None = None
        self._ending_since: float | None = None
        self._ends: dict[str, int] | None = None  # how many tasks had ended how, when last seen
        self._ahead = _wall_ahead()
        self._kept = time.monotonic()
        self._bell, self._rings = socket.socketpair()
        for end in (self._bell, self._rings):
            end.settimeout(0)

    def end(self) -> None:
        """Have `run` end, from any thread or signal: softly at first, at once the second time."""
        first = self._ending_since is None
        self._ending_since = time.monotonic() if first else -math.inf
        with contextlib.suppress(OSError):
            self._rings.send(b"x")

    @property
    def cut_short(self) -> bool:
        """Whether it was told twice to end: what ran was stopped."""
        return self._ending_since == -math.inf

    def run(self, *, once: bool = False) -> int:
        """
        Work until a signal, `end()`, or `dino engine drain`; with *once* until nothing is left now.

        A duty that fails is told of, and tried again after a pause that grows; the others and the
        tasks go on.

        Returns:
            How many attempts at tasks ended.

        Raises:
            DinoError: The record of tasks cannot be read or written.
            Exception: With *once*, behind everything else: why the first of the duties failed.
        """
        make_folder(self._workspace.memory)
        if not once:  # whose tasks are those that are here now
            self._traffic = self._meet()
        with self._watching() as wake, self._hearing_signals():
            try:
                while not self._turn(wake, once=once):
                    self._wait(wake)
            finally:
                self._close()
        if once:
            self._raise_first()
        return self._crew.ended if self._crew else 0

    # --- a turn ------------------------------------------------------------------------------

    def _turn(self, wake: Wake, *, once: bool) -> bool:
        """Do what there is to do; whether that was all."""
        changed = wake.changed()
        ending = self._ending_since is not None
        try:
            if not ending:
                self._take_turns(changed, all_of_them=wake.fd is None)
            moved = self._work(claim=not ending)
            moved += self._trade(claim=not ending)
        except JournalBusy as error:
            _say(f"{error.message}; trying again")
            return False
        if not once:  # which ends with its errors
            for turns in self._duties:
                self._complaints.tell(turns)
            if self._traffic:
                self._complaints.tell(self._traffic)
        self._keep_up()
        busy = self._crew.busy if self._crew else 0
        if ending:
            return not busy or time.monotonic() - (self._ending_since or 0.0) > self._grace_s
        if self._crew and self._crew.leaving:
            return not busy
        return once and not busy and not moved and not self._finish()

    def _finish(self) -> bool:
        """Whether there is more to do after all."""
        more = [turns for turns in self._duties if turns.finish()]
        for turns in more:
            turns.soon()
        return bool(more)

    def _raise_first(self) -> None:
        """Raise why the first of the failing duties failed, and say it of the others."""
        failed = [(turns.name, turns.error) for turns in self._duties if turns.error]
        for name, error in failed[1:]:
            _say(f"{name}: {told(error)}")
        for _, error in failed[:1]:
            raise error

    def _take_turns(self, changed: set[str], *, all_of_them: bool) -> None:
        if _TASKS in changed and not self._have_ended():
            changed = changed - {_TASKS}
        all_of_them |= self._clock_was_set()
        for turns in self._duties:
            if all_of_them:
                turns.soon()
            else:
                turns.hear(changed)
        now = time.time()
        due = [turns for turns in self._duties if turns.is_due(now)]
        for turns in due:
            turns.soon()  # also where one before it, or it itself, cannot take its turn now
        for turns in due:
            turns.take()

    def _have_ended(self) -> bool:
        """
        Whether tasks ended since this was last asked, whoever ran them.

        That a task was submitted or has begun, which is recorded as often, is nothing to a duty.
        """
        if not any(_TASKS in turns.watches and turns.has_begun() for turns in self._duties):
            return False
        resources, before = self._workspace.resources, self._ends
        try:
            resources.refresh()
        except DinoError:  # each duty will see for itself
            return True
        self._ends = resources.totals()
        return self._ends != before

    def _clock_was_set(self) -> bool:
        """Whether the times that the duties asked for are to be asked for anew."""
        before, self._ahead = self._ahead, _wall_ahead()
        return abs(self._ahead - before) > _CLOCK_WAS_SET_S

    def _work(self, *, claim: bool) -> int:
        if self._workers == 0:
            return 0
        if self._crew is None:
            self._crew = self._hire()
        before = self._crew.ended
        moved = self._crew.turn(claim=claim)
        if self._crew.ended > before:
            for turns in self._duties:  # they may have waited for one of these
                turns.soon()
        return moved

    def _meet(self) -> Traffic | None:
        """What deals in tasks with the other nodes, where there are any."""
        if (cluster := self._workspace.cluster) is None:
            return None
        from dino_os.cluster.traffic import Traffic  # noqa: PLC0415  few have others

        def places() -> int:
            if self._workers is not None:
                return self._workers
            return self._workspace.resources.pools[ResourceType.COMPUTE].capacity

        return Traffic(self._workspace, cluster, places)

    def _trade(self, *, claim: bool) -> int:
        leaving = self._crew is not None and self._crew.leaving
        return self._traffic.turn(claim=claim and not leaving) if self._traffic else 0

    def _hire(self) -> Crew:
        resources = self._workspace.resources
        named = {*own_calls(), *self._workspace.config.settings.resources.functions}

        def runs(does: str) -> bool:
            # No other is ever handed to a worker, which imports what it is told to.
            kind, _, name = does.partition(":")
            return kind == "skill" or name in named or name in self._functions

        def launch(far: socket.socket) -> int:
            return _launch(far, resources.lock_fd(crew.name), self._workspace.root)

        crew = Crew(
            resources,
            launch,
            runs=runs,
            slots=self._workers,
            timeout_s=self._workspace.config.settings.resources.timeout_s,
        )
        return crew

    def _keep_up(self) -> None:
        if time.monotonic() - self._kept > _UPKEEP_S:
            self._kept = time.monotonic()
            after_writing(self._workspace)
            now_and_then(self._workspace)

    # --- waiting -----------------------------------------------------------------------------

    def _wait(self, wake: Wake) -> None:
        """Until something happens or falls due."""
        until = [_LONGEST_WAIT_S]
        until += [
            max(turns.at - time.time(), turns.paused_s)
            for turns in self._duties
            if turns.at is not None
        ]
        if self._crew:
            until.append(self._crew.wake_at() - time.monotonic())
        if self._traffic:
            until.append(self._traffic.wake_at() - time.monotonic())
        if self._ending_since is not None:
            until.append(self._ending_since + self._grace_s - time.monotonic())
        if wake.fd is None:
            until.append(LOOK_EVERY_S)
        heard = [self._bell]
        for part in (self._crew, self._traffic):
            heard += part.sockets() if part else ()
        watched: list[socket.socket | int] = [*heard, *([wake.fd] if wake.fd is not None else [])]
        wait_readable(watched, max(min(until), 0.0))
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(64)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[Wake]:
        wake = Wake(self._workspace.memory)
        try:
            yield wake
        finally:
            wake.close()

    @contextlib.contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """In the main thread; elsewhere whoever owns it calls `end`."""

        def heard(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.end()

        try:
            before = {number: signal.signal(number, heard) for number in _SIGNALS}
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _close(self) -> None:
        if self._crew:
            with contextlib.suppress(DinoError):  # the lock of its session tells the others
                self._crew.close()
        if self._traffic:
            self._traffic.close()
        self._bell.close()
        self._rings.close()


def _say(text: str) -> None:
    print(f"dino: {text}", file=sys.stderr)  # noqa: T201


def _wall_ahead() -> float:
    """By how much the clock that may be set is ahead of the one that nobody sets."""
    return time.time() - time.monotonic()


def _launch(far: socket.socket, lock: int | None, root: Path) -> int:
    """Start a worker that holds the session's lock too: it is not lost before they all are."""
    # -P: nothing is imported from whatever folder this happens to be, where skills may write.
    arguments = ["-P", "-m", "dino_os.work.worker", str(far.fileno()), str(os.getpid()), str(root)]
    inherited = (far.fileno(),) if lock is None else (far.fileno(), lock)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=_ERRORS,  # what functions print is no part of this command's answer
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        pass_fds=inherited,
        start_new_session=True,
    )
    process.returncode = 0  # it is waited for by the crew, and by nobody else
    return process.pid
