"""What a service does for the documents: what has expired goes, and what nobody needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_EXPIRE_EVERY_S = 300.0
_COMPACT_EVERY_S = 86_400.0
_NOTE = "upkeep"  # a local document, so that a service that begins knows when it was done last


class UpkeepDuty(Duty):
    """
    Sweeps the documents of *workspace*, and once a day what they do not name any more.

    Deletions are kept: whoever has not heard of one yet would bring the document back.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def turn(self) -> float | None:
        """Do what is due; the file keeps its size, and what is free in it is used again."""
        now = time.time()
        if self._workspace.documents_file.exists():
            store = self._workspace.documents
            store.expire()
            noted = store.get_local(_NOTE)
            # A clock that was set back makes nobody wait.
            if noted is None or not 0 <= now - noted["at"] < _COMPACT_EVERY_S:
                store.compact(shrink=False)
                store.put_local(_NOTE, {"at": now})
        return now + _EXPIRE_EVERY_S
