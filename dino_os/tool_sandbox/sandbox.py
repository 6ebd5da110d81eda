"""
The sandbox: jobs in, outcomes out; nothing runs in it that its walls do not hold.

Keepers are kept where they may be used again (`warm`): one for each permission set and run at a
time, so that no job ever meets another's process, and each finds its folder empty.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from dino_os.errors import NotConfined
from dino_os.tool_sandbox import layers
from dino_os.tool_sandbox.confined import Confined, Forked, NoNamespaces
from dino_os.tool_sandbox.kernel import calls, system_calls
from dino_os.tool_sandbox.policy import Policy, Walls
from dino_os.tool_sandbox.run import Ended, IsCancelled, OnCall, OnOutput, run

if TYPE_CHECKING:
    from dino_os.tool_sandbox.egress.carrying import Carrier

# What skills import most, for keepers that serve more than one of them.
_USUAL = (
    *("dataclasses", "datetime", "json", "pathlib", "re", "traceback", "typing"),
    *("dino_os.memory_layer", "dino_os.message_bus", "dino_os.scheduler"),
    *("dino_os.security_gateway", "dino_os.tool_sandbox.inside.skill"),
)
# What takes a second, for keepers whose first skill names it.
_HEAVY = {"from dino_os.mcp import inside": "dino_os.mcp.library"}
_LONGEST_TOLD = 1 << 16
_LONGEST_WAIT_S = 366 * 86_400
_STOPPED = {
    "timeout": "it was stopped after {limits.timeout_s:g} s",
    "cancelled": "it was cancelled",
    "memory": "it used more than its {limits.memory_bytes:,} bytes of memory",
    "disk": "it wrote more than its folder holds ({limits.scratch_bytes:,} bytes, "
    "{limits.scratch_files:,} files)",
    "protocol": "it broke the broker's protocol",
    "refusals": "it went on making system calls that are refused",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a job ended.

    Attributes:
        cause: finished (whatever it returned or raised), timeout, cancelled, memory, killed,
            denied.
        ok: Whether it finished with a result.
        code: Of its process, for a program; negative for the signal that killed it.
        error: message, and of what was raised type, where and trace.
        refused: Names of system calls that were refused, and how often.
        peak_bytes: The largest resident memory of one of its processes.
    """

    cause: str
    ok: bool
    code: int
    walls: list[str]
    result: Any = None
    output: bytes = b""
    output_cut: int = 0
    error: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0


_Places = tuple[tuple[int, int] | None, ...]


class Sandbox:
    """
    Runs jobs behind every wall that this machine has.

    Args:
        walls: Which; what the machine has where none are given.
        require_namespaces: Whether nothing less than them will do.
        private_hosts: Names of the operator's own network that may be reached by name.
        warm: Keep keepers for the next run of the same permissions; then `close` ends them.

    Raises:
        NotConfined: Nothing here keeps unknown code in.
    """

    def __init__(
        self,
        walls: Walls | None = None,
        *,
        require_namespaces: bool = False,
        private_hosts: Iterable[str] = (),
        warm: bool = False,
    ) -> None:
        self.walls = walls or layers.walls(namespaces=require_namespaces)
        self._require_namespaces = require_namespaces
        self._private_hosts = tuple(private_hosts)
        self._warm = warm
        self._idle: dict[Policy, list[tuple[Confined, _Places]]] = {}
        self._homes = itertools.count(1)

    def run(
        self,
        policy: Policy,
        job: Mapping[str, Any],
        *,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        on_egress: Callable[[Mapping[str, Any]], None] | None = None,
        carrier: Carrier | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> Outcome:
        """
        Run *job* as *policy* allows; never raises for what the job does.

        Args:
            functions: Of this process, by the kind of job that calls them; it runs in a fork.
            job: kind (skill, python, shell, file, http) and what that kind needs; `environment`
                of its own is added to what it finds.
            on_output: Given what it prints, as it comes.
            on_call: Answers its calls to the broker.
            on_egress: Told of each connection that it asked for.
            carrier: Is asked about hosts behind a gate.
            is_cancelled: Asked a few times a second, in this thread, whether to stop it.

        Raises:
            NotConfined: A wall could not be put up; nothing ran.
            InvalidInput: The policy names a path that no skill is given.
        """
        places = _places(policy)
        if functions:
            keeper: Confined = Forked(policy, self.walls, functions)
        else:
            keeper = self._idle_for(policy, places) or self._keeper(policy, job)
        try:
            home = f"{keeper.scratch}/{next(self._homes)}"
            own = {**job.get("environment", {}), "HOME": home, "TMPDIR": home}
            whole = {"folder": str(policy.folder), **job, "home": home, "environment": own}
            with keeper.serving(self._private_hosts, on_egress, carrier):
                ended = run(
                    keeper,
                    whole,
                    policy.limits,
                    on_output=on_output,
                    on_call=on_call,
                    is_cancelled=is_cancelled,
                )
        except BaseException:
            keeper.close()
            raise
        if self._warm and ended.clean and not functions:
            self._idle.setdefault(_kind(policy), []).append((keeper, places))
        else:
            keeper.close()
        return _judged(ended, policy, keeper.walls)

    def close(self) -> None:
        """End every keeper that waits for another job."""
        while self._idle:
            _, keepers = self._idle.popitem()
            for keeper, _ in keepers:
                keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keeper(self, policy: Policy, job: Mapping[str, Any]) -> Confined:
        preload = (*_USUAL, *_heavy(job)) if self._warm else ()
        try:
            return Confined(policy, self.walls, preload)
        except NoNamespaces as error:
            if self._require_namespaces:
                raise NotConfined(error.message, hint=layers.INSTALL) from None
            without = replace(self.walls, bubblewrap=None)
            if not without.enforce:
                raise
            self.walls = without  # it fails each time here; the other walls hold
            return Confined(policy, without, preload)

    def _idle_for(self, policy: Policy, places: _Places) -> Confined | None:
        waiting = self._idle.get(_kind(policy), [])
        while waiting:
            with contextlib.suppress(IndexError):  # another thread took the last one
                keeper, there = waiting.pop()
                if keeper.lives() and there == places:
                    return keeper
                keeper.close()
        return None


def _heavy(job: Mapping[str, Any]) -> list[str]:
    texts = job.get("sources", {}).values()
    return [module for line, module in _HEAVY.items() if any(line in text for text in texts)]


def _kind(policy: Policy) -> Policy:
    """What a keeper is made for: all of *policy* but the limits that each run brings along."""
    limits = policy.limits
    made_for = replace(type(limits)(), scratch_bytes=limits.scratch_bytes)
    return replace(policy, limits=replace(made_for, scratch_files=limits.scratch_files))


def _places(policy: Policy) -> _Places:
    """What *policy* names is there now: a keeper goes on showing what was there as it began."""
    found: list[tuple[int, int] | None] = []
    for name in (*policy.reads, *policy.writes):
        try:
            status = (policy.folder / name).stat()
        except (OSError, ValueError):
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return tuple(found)


def _judged(ended: Ended, policy: Policy, walls: Walls) -> Outcome:
    done = ended.done or {}
    error = _told(done.get("error")) if done and not done.get("ok") else {}
    if ended.stopped:
        error = {"message": _STOPPED[ended.stopped].format(limits=policy.limits)}
    elif not done and ended.code:
        error = {"message": _how_it_died(ended.code)}
    return Outcome(
        cause=_cause(ended, error),
        ok=bool(done.get("ok")) and not ended.stopped,
        code=ended.code,
        walls=walls.names(),
        result=done.get("result") if not ended.stopped else None,
        output=ended.output,
        output_cut=ended.output_cut,
        error=error,
        refused=_named(ended.refused),
        seconds=ended.seconds,
        cpu_s=ended.cpu_s,
        peak_bytes=ended.peak_bytes,
    )


def _cause(ended: Ended, error: Mapping[str, Any]) -> str:
    if ended.stopped in {"timeout", "cancelled", "memory"}:
        return ended.stopped
    if ended.stopped in {"protocol", "refusals"} or error.get("denied"):
        return "denied"
    if error.get("memory"):
        return "memory"
    return "killed" if ended.stopped or ended.code < 0 else "finished"


def _told(error: object) -> dict[str, Any]:
    """What a job says of its own error, in the form that it has to have: it may say anything."""
    said = error if isinstance(error, dict) else {}
    found: dict[str, Any] = {
        name: text[:most]
        for name, most in (("type", 100), ("message", _LONGEST_TOLD), ("hint", 300), ("where", 300))
        if isinstance(text := said.get(name), str)
    }
    lines = said.get("trace")
    if isinstance(lines, list) and all(isinstance(line, str) for line in lines):
        found["trace"] = lines
    after = said.get("retry_after_s")
    if isinstance(after, int | float) and 0 <= after <= _LONGEST_WAIT_S:
        found["retry_after_s"] = after
    flags = {name: said.get(name) is True for name in ("denied", "memory", "final")}
    return {"message": "it does not say why", **found, **flags}


def _how_it_died(code: int) -> str:
    import signal  # noqa: PLC0415

    if code < 0:
        names = {one.value: one.name for one in signal.Signals}
        return f"its process was killed by {names.get(-code, f'signal {-code}')}"
    return f"its process exited with code {code} without a result"


def _named(refused: Mapping[int, int]) -> dict[str, int]:
    if not refused:  # as nearly always
        return {}
    tables = (system_calls.DANGEROUS, system_calls.SWITCHED, system_calls.CHECKED)
    names = {
        number: name
        for table in tables
        for name, number in system_calls.numbers(table, calls.MACHINE).items()
    }
    return {names.get(number, str(number)): count for number, count in sorted(refused.items())}
