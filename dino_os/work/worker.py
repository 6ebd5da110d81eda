"""
A worker process: `python -m dino_os.work.worker SOCKET PARENT WORKSPACE`.

Runs skills on the one path, each in its sandbox, which it keeps warm; and functions that the
settings name.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.arguments import bind
from dino_os.errors import Denied, InvalidInput, NotConfined
from dino_os.upkeep import after_writing
from dino_os.workspace import Workspace
from engines.resource_engine import calling, die_with, failure, serve

if TYPE_CHECKING:
    from dino_os.plugins import SkillTable
    from dino_os.runner import Run
    from dino_os.skill_index import Skill

_UPKEEP_S = 60.0


class Work:
    """Runs what a task's payload names, in the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        workspace.stays = True
        self._table: SkillTable | None = None
        self._seen: Mapping[Path, tuple[int, int, int]] = {}
        self._kept = time.monotonic()

    def __call__(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        payload = task["payload"]
        if payload is None or "call" in payload:
            return calling(self._functions)(task)
        try:
            return self._run(task, payload)
        except (Denied, NotConfined) as error:
            return {**failure(error), "outcome": "denied", "final": True}
        except InvalidInput as error:
            return {**failure(error), "outcome": "blocked", "final": True}
        finally:
            if time.monotonic() - self._kept > _UPKEEP_S:
                self.close()

    def close(self) -> None:
        """What is done behind a command that wrote."""
        self._kept = time.monotonic()
        after_writing(self._workspace)

    def _run(self, task: Mapping[str, Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
        skill = self._skill(payload["skill"])
        run = self._workspace.runner.run(
            skill,
            bind(skill, payload.get("params", {})),
            timeout_s=task["timeout_s"],
            environment={
                "DINO_TASK_ID": task["task_id"],
                "DINO_ATTEMPT": str(task["attempt"]),
                "DINO_IDEMPOTENCY_KEY": task["key"],
            },
        )
        return _told(run)

    def _skill(self, name: str) -> Skill:
        """The skill as its file is now; files that stayed as they were are not read again."""
        folder = self._workspace.skills_folder
        there = {path: _stamp(path) for path in (folder, *folder.glob("*.py"))}
        if self._table is None or there != self._seen:
            self._table, self._seen = self._workspace.plugins.skills(), there
        return self._table.find(name)

    @cached_property
    def _functions(self) -> dict[str, Any]:
        """Those that the operator named: nothing else is ever imported."""
        named = self._workspace.config.settings.resources.functions
        sys.path.insert(0, str(self._workspace.root))
        return {path: _imported(path) for path in named}


def _told(run: Run) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": run.outcome}
    if run.outcome == "ok":
        return told if run.result is None else told | {"result": run.result}
    names = ("message", "type", "where")
    told["error"] = {name: run.error[name] for name in names if run.error.get(name)}
    told["error"]["run_id"] = run.run_id
    told["final"] = bool(run.error.get("final")) or run.outcome == "denied"
    if (after := run.error.get("retry_after_s")) is not None:
        told["retry_after_s"] = after
    return told


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for step in name.split("."):
        found = getattr(found, step)
    return found


def _stamp(path: Path) -> tuple[int, int, int]:
    with contextlib.suppress(OSError):
        found = path.stat()
        return (found.st_mtime_ns, found.st_size, found.st_ino)
    return (0, 0, 0)


def main(arguments: list[str]) -> None:
    fd, parent, root = arguments
    die_with(int(parent))
    work = Work(Workspace.shared(Path(root)))
    with socket.socket(fileno=int(fd)) as sock:
        try:
            serve(sock, work)
        finally:
            work.close()
            if "sandbox" in vars(work._workspace):  # noqa: SLF001  its own, and nobody else's
                work._workspace.sandbox.close()  # noqa: SLF001


if __name__ == "__main__":
    os.environ["DINO_DOOR"] = "worker"
    main(sys.argv[1:])
