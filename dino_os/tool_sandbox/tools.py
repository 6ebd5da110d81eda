"""
Tools: Python, a shell, files and HTTP, each run in the sandbox as far as it was granted.

A tool is granted what it may in the settings, under `sandbox.grants` by `tool:NAME`; called by a
skill it gets what the skill was granted, and no more.  Each run is in the record.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from dino_os import run_context
from dino_os.errors import Denied, InvalidInput
from dino_os.grants import Permissions, check
from dino_os.tool_sandbox.policy import Limits, Policy
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.tool_sandbox.sandbox import Outcome, Sandbox
    from engines.journal import Journal

# Tool → the arguments it takes, the one it needs first.
_TAKES = {
    "python": ("code",),
    "shell": ("command",),
    "http": ("url", "method", "headers", "body"),
    "file": ("path", "content", "mode"),
}
_MODES = ("r", "w", "a")
_SHORTEST_S = 0.001


class Tools:
    """
    The tools of a workspace.

    Args:
        journal: `runs.jsonl`.
        folder: The workspace.
        sandbox: Makes the sandbox, on the first run.
        granted: What the tool of that name may.
        limits: Of each run.
        functions: What plugins bring: name → function; each runs in a fork of this process.
        until: When all of them end, on the monotonic clock.
    """

    CALLS: ClassVar = frozenset({"execute", "list_tools"})

    def __init__(
        self,
        journal: Journal,
        folder: Path,
        *,
        sandbox: Callable[[], Sandbox],
        granted: Callable[[str], Permissions],
        limits: Limits,
        functions: Callable[[], Mapping[str, Callable[..., Any]]] = dict,
        until: float = math.inf,
    ) -> None:
        self._functions = functions
        self._until = until
        self._journal = journal
        self._folder = folder
        self._sandbox = sandbox
        self._granted = granted
        self._limits = limits

    def for_skill(self, name: str, permissions: Permissions, until: float) -> Tools:
        """The same, for a skill: each tool may what the skill may, as long as that may run."""

        def granted(tool: str) -> Permissions:
            if tool == "shell" and not permissions.programs:
                raise Denied(
                    f"skill {name!r} does not ask to start programs, which a shell does",
                    hint="write @skill(programs=True), and grant that",
                )
            return permissions

        return Tools(
            self._journal,
            self._folder,
            sandbox=self._sandbox,
            granted=granted,
            limits=self._limits,
            functions=self._functions,
            until=until,
        )

    def list_tools(self) -> list[str]:
        return sorted({*_TAKES, *self._functions()})

    def execute(
        self, tool: str, arguments: dict[str, Any], timeout_ms: float | None = None
    ) -> dict[str, Any]:
        """
        Run *tool* and say how it ended.

        Returns:
            success, output (what it answered, or printed), error, cause, execution_time_ms,
            memory_used_bytes, exit_code.

        Raises:
            InvalidInput: No such tool, or not with these arguments.
            Denied: It may not start at all.
        """
        if tool not in _TAKES and (function := self._functions().get(tool)):
            return self.call(tool, function, arguments, timeout_ms)
        job = {"kind": tool, **_checked(tool, arguments, self.list_tools())}
        permissions = self._granted(tool)
        if tool == "shell":
            permissions = replace(permissions, programs=True)
        return self._run(tool, job, permissions, timeout_ms)

    def call(
        self,
        tool: str,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        timeout_ms: float | None = None,
    ) -> dict[str, Any]:
        """As `execute`, for a function of this process; it runs in a fork of it."""
        job = {"kind": tool, "arguments": arguments}
        return self._run(tool, job, self._granted(tool), timeout_ms, {tool: function})

    def _run(
        self,
        tool: str,
        job: dict[str, Any],
        permissions: Permissions,
        timeout_ms: float | None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> dict[str, Any]:
        check(permissions)
        policy = self._policy(permissions, timeout_ms)
        run = {"run_id": uuid4().hex, "tool": tool}
        above = run_context.current()
        parent = {"parent_run": above.run_id} if above else {}
        facts = {"permissions": permissions.as_dict(), "arguments_sha256": _digest(job)}
        self._journal.append("tool_started", {**run, **parent, **facts})
        try:
            ended = self._sandbox().run(policy, job, functions=functions)
        except BaseException:
            self._journal.append("tool_finished", {**run, "cause": "not run"})
            raise
        ending = {
            "cause": ended.cause,
            "success": _succeeded(tool, ended),
            "sandbox": ended.walls,
            "system_calls_refused": dict(ended.refused),
            "duration_s": round(ended.seconds, 6),
            "peak_memory_bytes": ended.peak_bytes,
        }
        self._journal.append("tool_finished", {**run, **ending})
        return _answer(tool, ended)

    def _policy(self, permissions: Permissions, timeout_ms: float | None) -> Policy:
        limits = self._limits
        if timeout_ms is not None:
            if isinstance(timeout_ms, bool) or not 0 < timeout_ms < float("inf"):
                raise InvalidInput(f"timeout_ms: expected milliseconds above 0, found {timeout_ms}")
            limits = replace(limits, timeout_s=timeout_ms / 1000)
        left = max(self._until - time.monotonic(), _SHORTEST_S)
        limits = replace(limits, timeout_s=min(limits.timeout_s, left))
        may = permissions
        return Policy(self._folder, may.reads, may.writes, may.reaches, may.programs, limits)


def _checked(tool: str, arguments: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """What of a job *tool* takes."""
    if tool not in _TAKES:
        raise InvalidInput(
            f"no tool {tool!r}{did_you_mean(tool, known)}", hint=f"there are {', '.join(known)}"
        )
    needed, *_ = takes = _TAKES[tool]
    for name in arguments:
        if name not in takes:
            raise InvalidInput(f"tool {tool!r} takes no {name!r}{did_you_mean(name, takes)}")
    if not isinstance(arguments.get(needed), str) or "\0" in arguments[needed]:
        raise InvalidInput(f"tool {tool!r} needs {needed!r}, a text")
    if tool == "file" and arguments.get("mode", "r") not in _MODES:
        raise InvalidInput(f"tool 'file': mode is one of {', '.join(_MODES)}")
    if tool == "shell":
        return dict(arguments)
    return {"arguments": dict(arguments)}


def _succeeded(tool: str, ended: Outcome) -> bool:
    return ended.cause == "finished" and (ended.code == 0 if tool == "shell" else ended.ok)


def _answer(tool: str, ended: Outcome) -> dict[str, Any]:
    printed = ended.output.decode("utf-8", "replace")
    success = _succeeded(tool, ended)
    error = ended.error.get("message")
    if tool == "shell" and ended.cause == "finished":
        error = None if success else f"it exited with code {ended.code}"
    elif kind := ended.error.get("type"):
        error = f"{kind}: {error}"
    return {
        "success": success,
        "output": printed if ended.result is None else ended.result,
        "error": error,
        "cause": ended.cause,
        "execution_time_ms": round(ended.seconds * 1000, 3),
        "memory_used_bytes": ended.peak_bytes,
        "exit_code": ended.code,
    }


def _digest(job: Mapping[str, Any]) -> str:
    text = json.dumps(job, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
