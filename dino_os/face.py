"""
What a skill imports (`MemoryLayer`, `MessageBus`, `Scheduler`) is a face: the same in a sandbox.

A face holds no state of its own.  Outside a sandbox it calls its part in the workspace, inside it
calls the same method of the same part through the broker; both take and give JSON values.
Importing or making one costs nothing: what it needs is imported by the first call.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dino_os import inside

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


class Face:
    """Base of the faces."""

    _part: ClassVar[str]  # what the broker, and `Workspace.parts`, call it
    _root: Path | None = None

    def _call(self, method: str, /, **arguments: Any) -> Any:
        """What that method of the part answers, wherever the part is."""
        if broker := inside.connection():
            return broker.call(self._part, method, **arguments)
        return getattr(self._local(), method)(**arguments)

    def _local(self) -> Any:
        return self._workspace().parts[self._part]()

    def _workspace(self) -> Workspace:
        """That of the first call, even if the program goes to another folder later."""
        from dino_os.workspace import Workspace  # noqa: PLC0415  a face costs nothing to import

        workspace = Workspace.shared(self._root)
        self._root = workspace.root
        return workspace
