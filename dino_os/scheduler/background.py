"""The scheduler in the background of a program: one thread for each workspace, until its end."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.scheduler.duty import SchedulerDuty
from dino_os.work.service import Service

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_serving: dict[Path, Background] = {}
# A fork has no threads but its own.
os.register_at_fork(after_in_child=_serving.clear)


class Background:
    """
    The service of *workspace* in a thread.

    Args:
        functions: What the program gave to be run, as "module:name"; it may become more.
    """

    def __init__(self, workspace: Workspace, functions: set[str]) -> None:
        # Made here and not in the thread: two threads must not each make one.
        self._service = Service(workspace, [SchedulerDuty(workspace)], functions=functions)
        self._error: DinoError | None = None
        self._thread = threading.Thread(target=self._serve, name="dino-scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, at_once: bool = False) -> None:
        """
        End it; what runs may come to its end first, unless *at_once*.

        Raises:
            DinoError: What it ended of before.
        """
        self._service.end()
        if at_once:
            self._service.end()
        self._thread.join()
        if self._error:
            raise self._error

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _serve(self) -> None:
        try:
            self._service.run()
        except DinoError as error:
            self._error = error


def start(workspace: Workspace, functions: set[str]) -> None:
    """Serve *workspace* from now on; nothing where that is done already."""
    known = _serving.get(workspace.root)
    if known is None or not known.is_alive:
        if known is None:
            atexit.register(_at_exit, workspace.root)
        _serving[workspace.root] = Background(workspace, functions)
        _serving[workspace.root].start()


def stop(root: Path) -> bool:
    """
    End it, once what runs has ended; False where nothing was served.

    Raises:
        DinoError: It had ended already, of this.
    """
    found = _serving.pop(root, None)
    if found is None:
        return False
    found.stop()
    return True


def _at_exit(root: Path) -> None:
    found = _serving.pop(root, None)
    if found:
        with contextlib.suppress(DinoError):
            found.stop(at_once=True)
