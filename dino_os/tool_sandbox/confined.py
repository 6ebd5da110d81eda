"""
A keeper behind its walls, from the parent's side: started, spoken to, ended.

The parent believes the keeper, which nothing inside can reach, and nothing else that comes out.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Self

from dino_os.errors import NotConfined, SandboxError
from dino_os.tool_sandbox import view, wire
from dino_os.tool_sandbox.accounting import children
from dino_os.tool_sandbox.inside import scratch
from dino_os.tool_sandbox.paths import Paths
from dino_os.tool_sandbox.plan import Plan
from dino_os.tool_sandbox.policy import Policy, Walls
from dino_os.tool_sandbox.slots import Slot

if TYPE_CHECKING:
    from dino_os.tool_sandbox.egress.carrying import Carrier

_START_S = 30.0
_END_S = 5.0
_FRAME_LIMIT = 1 << 20


class NoNamespaces(SandboxError):
    """Bubblewrap is there and cannot make its namespaces here."""


class Confined:
    """
    A keeper that has put up its walls and waits for jobs.

    Args:
        policy: What its jobs may reach.
        walls: What enforces it.
        preload: Modules imported before it is confined.

    Attributes:
        control: The socket to the keeper.
        listener: Tells of refused system calls; see `kernel.seccomp.refuse_next`.
        proxy: The socket at which jobs look for the network, where the policy reaches anything.
        scratch: The private folder, as jobs see it.

    Raises:
        NotConfined: A wall could not be put up; nothing foreign ran.
        NoNamespaces: It was bubblewrap's.
        InvalidInput: The policy names a path that no skill is given.
    """

    def __init__(self, policy: Policy, walls: Walls, preload: tuple[str, ...] = ()) -> None:
        self.policy, self.walls = policy, walls
        self.listener: int | None = None
        self.proxy: socket.socket | None = None
        self._closing = ExitStack()
        try:
            self._start(preload)
        except BaseException:
            self.close()
            raise

    def _start(self, preload: tuple[str, ...]) -> None:
        user = self._slot() if self.walls.own_user else None
        self.scratch, *more = self._folders(own=bool(self.walls.bubblewrap) or user is not None)
        self.control, far = socket.socketpair()
        self._closing.callback(self.control.close)
        said = self._closing.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        with far, Paths(self.policy.folder) as paths:
            reads, writes = paths.read(self.policy.reads), paths.write(self.policy.writes)
            seen = tuple(view.places(self.policy.folder, reads, writes))
            folders = (self.scratch, *more)
            plan = Plan(self.policy, self.walls, seen, far.fileno(), folders, user)
            self.pid = self._spawn(plan, said)
            self._closing.callback(self._end)
            far.close()  # so that its end is seen
            with contextlib.suppress(ConnectionError):  # it says why
                for message in plan.messages(preload):
                    self.control.sendall(message)
            self._wait_until_ready(said)

    def _spawn(self, plan: Plan, said: IO[bytes]) -> int:
        """Start what *plan* says; its process."""
        try:
            process = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                env=plan.environment,
                pass_fds=(plan.control, *plan.descriptors),
            )
        except OSError as error:  # it was there a moment ago
            kind = NoNamespaces if self.walls.bubblewrap else NotConfined
            raise kind(f"{plan.command[0]}: {error.strerror}") from None
        process.returncode = 0  # it is waited for here, and by nobody else
        return process.pid

    def _slot(self) -> int:
        slot = Slot()
        self._closing.callback(slot.close)
        return slot.user

    def _folders(self, *, own: bool) -> list[str]:
        if own:
            return [view.SCRATCH, view.SHARED_MEMORY]
        folder = tempfile.mkdtemp(prefix="dino-")
        self._closing.callback(_remove, folder)
        return [folder]

    def _wait_until_ready(self, said: IO[bytes]) -> None:
        self.control.settimeout(_START_S)
        try:
            came = wire.receive(self.control, _FRAME_LIMIT)
        except TimeoutError:
            raise NotConfined(f"the sandbox did not start within {_START_S:g} s") from None
        self.control.settimeout(None)
        if came is None:
            said.seek(0)
            text = said.read().decode(errors="replace").strip().partition("\n")[0]
            if self.walls.bubblewrap:
                raise NoNamespaces(f"bubblewrap makes no sandbox here: {text or 'it says nothing'}")
            raise NotConfined(f"the sandbox did not start: {text or 'it says nothing'}")
        answer, descriptors = came
        if why := answer.get("failed"):
            raise NotConfined(f"the sandbox was not put up: {why}")
        if self.policy.reaches:
            self.proxy = socket.socket(fileno=descriptors.pop(0))
            self._closing.callback(self.proxy.close)
        if descriptors:
            self.listener = descriptors.pop()
            self._closing.callback(os.close, self.listener)

    @contextlib.contextmanager
    def serving(
        self,
        private_hosts: Iterable[str],
        on_egress: Callable[[Mapping[str, Any]], None] | None,
        carrier: Carrier | None = None,
    ) -> Iterator[None]:
        """Let its jobs reach the hosts of the policy while this lasts."""
        if self.proxy is None:
            yield
            return
        from dino_os.tool_sandbox.egress.hosts import Allowed, Rule  # noqa: PLC0415
        from dino_os.tool_sandbox.egress.proxy import Proxy  # noqa: PLC0415

        allowed = Allowed([Rule.parse(host) for host in self.policy.reaches], private_hosts)
        listener, tell = self.proxy.dup(), on_egress or (lambda _: None)
        proxy = Proxy(listener, allowed, tell, carrier=carrier)
        proxy.start()
        try:
            yield
        finally:
            proxy.close()

    def lives(self) -> bool:
        """Whether it can still be told anything."""
        # Not waited for yet: until then its number is nobody else's.
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, how) is None

    def tell(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """
        Send the keeper *message*.

        Raises:
            SandboxError: It is gone.
        """
        try:
            wire.send(self.control, message, descriptors)
        except OSError:
            raise SandboxError("the sandbox ended while it was not used") from None

    def close(self) -> None:
        """End it and all that is in it; nothing of it stays."""
        self._closing.close()

    def _end(self) -> None:
        with ExitStack() as opened:
            # Bubblewrap ends before the last of its name space does, which is its child.
            inner = [opened.enter_context(_Ending(child)) for child in children(self.pid)]
            # Its socket's end is what it waits for; a signal would leave others to clear up.
            self.control.close()
            outer = opened.enter_context(_Ending(self.pid))
            if not outer.wait():
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # another waited for it
                os.waitpid(self.pid, 0)
            for ending in inner:
                ending.wait()


class Forked(Confined):
    """
    A keeper that is a fork of this process, for functions that live in it.

    It is held by the walls that need no other program: Landlock, seccomp and limits.

    Args:
        tools: Name → function; a job of that kind calls it.
    """

    def __init__(
        self, policy: Policy, walls: Walls, tools: Mapping[str, Callable[..., Any]]
    ) -> None:
        self._tools = tools
        alone = replace(walls, bubblewrap=None)
        if walls.enforce and not alone.enforce:  # else an override let it in
            raise NotConfined("a tool of one's own needs Landlock 6, which Linux has from 6.12 on")
        super().__init__(policy, alone)

    def _spawn(self, plan: Plan, said: IO[bytes]) -> int:
        from dino_os.tool_sandbox import stage  # noqa: PLC0415
        from dino_os.tool_sandbox.inside import keeper, tools  # noqa: PLC0415

        child = os.fork()
        if child:
            return child
        try:
            for stream in (1, 2):
                os.dup2(said.fileno(), stream)
            tools.TOOLS.update(self._tools)
            if plan.user is not None:
                stage.enter(stage.read_plan(plan.control))
            keeper.main(plan.control)
        finally:
            os._exit(1)


class _Ending:
    """The end of a process, to be waited for; one that is gone already has ended."""

    def __init__(self, process: int) -> None:
        self._descriptor: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self._descriptor = os.pidfd_open(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def wait(self) -> bool:
        """Whether it has ended within the time there is."""
        if self._descriptor is None:
            return True
        poll = select.poll()  # which takes any descriptor: `select` ends at the 1024th
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(_END_S * 1000))


def _remove(folder: str) -> None:
    """However deep it goes, and whatever modes and names its folders have."""
    scratch.clear([folder])
    with contextlib.suppress(OSError):
        os.rmdir(folder)
