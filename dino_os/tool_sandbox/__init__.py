"""The tool sandbox: where skills and tools run, and the only ways out of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # part of every start on the far side
    from dino_os.tool_sandbox.face import SandboxResult, ToolSandbox

__all__ = ["SandboxResult", "ToolSandbox"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dino_os.tool_sandbox import face  # noqa: PLC0415

    return getattr(face, name)
