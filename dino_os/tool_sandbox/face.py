"""`ToolSandbox`: run a tool, the same inside a sandbox and outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from dino_os import inside
from dino_os.errors import DinoError, InvalidInput, NotFound, SandboxError
from dino_os.face import Face

__all__ = ["SandboxError", "SandboxResult", "ToolSandbox"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """
    How a tool ended.

    Attributes:
        output: What it answered (any JSON value), or where that is nothing what it printed.
        error: Why it did not succeed.
        cause: Why it ended: finished, timeout, memory, killed or denied.
        memory_used_bytes: The largest resident memory of one of its processes.
        exit_code: Of a shell.
    """

    success: bool
    output: Any = None
    error: str | None = None
    execution_time_ms: float = 0.0
    memory_used_bytes: int = 0
    cause: str = "finished"
    exit_code: int = 0


class ToolSandbox(Face):
    """
    The tools, each in the sandbox: python, shell, http, file, and those that are registered.

    A tool reads, writes and reaches nothing that was not granted to it: in the settings, under
    `sandbox.grants` by `tool:NAME`.  Inside a skill it may what the skill may.
    """

    _part = "tools"

    def __init__(self) -> None:
        self._tools: dict[str, Callable[..., Any]] = {}
        self._timeouts: dict[str, float] = {}

    def execute(self, tool: str, *, timeout_ms: float | None = None, **kw: Any) -> SandboxResult:
        """
        Run *tool*; what it may not, or what goes wrong in it, is in the result.

        Args:
            timeout_ms: Instead of its own limit.
            kw: python takes code; shell command; http url, method, headers and body; file path,
                content and mode (r, w or a).

        Raises:
            InvalidInput: There is no such tool, or it takes no such argument.
            NotConfined: No sandbox can be made here.
        """
        limit = self._timeouts.get(tool) if timeout_ms is None else timeout_ms
        if function := self._tools.get(tool):
            return SandboxResult(**self._call_function(tool, function, kw, limit))
        return SandboxResult(**self._call("execute", tool=tool, arguments=kw, timeout_ms=limit))

    @overload
    def register_tool(self, name: str, func: F) -> F: ...
    @overload
    def register_tool(self, name: str) -> Callable[[F], F]: ...
    def register_tool(self, name: str, func: F | None = None) -> F | Callable[[F], F]:
        """
        Offer *func* as the tool *name*; without it, a decorator.

        It runs in a fork of this process, behind every wall but the namespaces, and answers with
        a JSON value.

        Raises:
            InvalidInput: The name is taken, or it is no function.
        """

        def register(function: F) -> F:
            if name in self.list_tools():
                raise InvalidInput(f"there is a tool {name!r} already")
            if not callable(function):
                raise InvalidInput(f"tool {name!r}: expected a function, found {function!r:.80}")
            self._tools[name] = function
            return function

        return register(func) if func is not None else register

    def unregister_tool(self, name: str) -> bool:
        """Whether there was one of that name; those that are built in stay."""
        return self._tools.pop(name, None) is not None

    def list_tools(self) -> list[str]:
        return sorted({*self._call("list_tools"), *self._tools})

    def set_timeout(self, tool: str, timeout_ms: float) -> None:
        """
        Stop *tool* after *timeout_ms* from now on.

        Raises:
            NotFound: There is no such tool.
        """
        if tool not in self.list_tools():
            raise NotFound(f"no tool {tool!r}", hint=f"there are {', '.join(self.list_tools())}")
        self._timeouts[tool] = timeout_ms

    def _call_function(
        self,
        tool: str,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        timeout_ms: float | None,
    ) -> dict[str, Any]:
        if inside.connection() is None:
            answer: dict[str, Any] = self._local().call(tool, function, arguments, timeout_ms)
            return answer
        try:  # the skill's own, in the skill's own process: it is held already
            return {"success": True, "output": function(**arguments)}
        except DinoError as error:
            return {"success": False, "error": error.message}
        except Exception as error:  # noqa: BLE001  a tool's fault is its result
            return {"success": False, "error": f"{type(error).__name__}: {error}"}
