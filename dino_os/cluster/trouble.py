"""What keeps a node's service from dealing in the cluster's tasks, for other processes to show."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import DecodeError, Struct, json

from engines.durable import make_folder
from engines.errors import DinoError
from engines.liveness import this_boot

if TYPE_CHECKING:
    from dino_os.cluster.cluster import Cluster


class _Note(Struct):
    """What is wrong, says the process *pid* of that boot."""

    why: str
    pid: int
    boot: str


class Trouble:
    """This process's."""

    def __init__(self, cluster: Cluster) -> None:
        self._file = _file(cluster)
        self._told: str | None = None

    def tell(self, error: DinoError | None) -> None:
        """Keep it where it is another than before; without one, take back what was told."""
        why = error.message if error else None
        if why == self._told:
            return
        with contextlib.suppress(OSError):
            if why is None:
                self._file.unlink(missing_ok=True)
            else:
                make_folder(self._file.parent)
                draft = self._file.with_suffix(".draft")
                draft.write_bytes(json.encode(_Note(why, os.getpid(), this_boot())))
                draft.replace(self._file)
            self._told = why


def trouble_of(cluster: Cluster) -> str | None:
    """What a process that lives told last; None where there is nothing."""
    with contextlib.suppress(OSError, DecodeError):
        note = json.decode(_file(cluster).read_bytes(), type=_Note)
        if note.boot == this_boot() and _lives(note.pid):
            return note.why
    return None


def _file(cluster: Cluster) -> Path:
    return cluster.folder / "tasks_trouble.json"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
