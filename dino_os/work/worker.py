"""
A worker process: `python -m dino_os.work.worker SOCKET PARENT WORKSPACE`.

Runs skills on the one path, each in its sandbox, which it keeps warm; and functions, of which the
service above hands on only those that an operator or a program named.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.arguments import bind
from dino_os.errors import Denied, DinoError, InvalidInput, NotConfined
from dino_os.message_bus.nesting import led_to
from dino_os.skill_sources import read_sources
from dino_os.upkeep import after_writing
from dino_os.workspace import Workspace
from engines.resource_engine import calling, die_with, failure, kind_of, serve

if TYPE_CHECKING:
    from dino_os.runner import Run

_UPKEEP_S = 60.0


class Work:
    """Runs what a task's payload names, in the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        workspace.stays = True
        self._kept = time.monotonic()

    def __call__(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        payload = task["payload"]
        if kind_of(payload) != "skill":
            return calling(_functions(payload))(task)
        try:
            return self._run(task, payload)
        except (Denied, NotConfined) as error:
            return {**failure(error), "outcome": "denied", "final": True}
        except InvalidInput as error:
            return {**failure(error), "outcome": "blocked", "final": True}
        finally:
            if time.monotonic() - self._kept > _UPKEEP_S:
                self.close()

    def check(self) -> None:
        """Refuse to begin where no task could be run: the settings do not stand."""
        self._workspace.config.get("system")

    def close(self) -> None:
        """What is done behind a command that wrote."""
        self._kept = time.monotonic()
        after_writing(self._workspace)

    def _run(self, task: Mapping[str, Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
        skill = self._workspace.plugins.skills().find(payload["skill"])
        origin = task.get("origin")
        if origin and origin["sha256"] != read_sources(skill).sha256:
            raise InvalidInput(f"skill {skill.name!r} is not what {origin['node']!r} knows by it")
        # What it is known by where it was submitted: the same wherever it is tried again.
        known = {**task, "task_id": origin["task"], **origin} if origin else task
        with led_to(payload.get("depth", 0)):
            run = self._workspace.runner.run(
                skill,
                bind(skill, payload.get("params", {})),
                timeout_s=task["timeout_s"],
                environment={
                    "DINO_TASK_ID": known["task_id"],
                    "DINO_ATTEMPT": str(known["attempt"]),
                    "DINO_IDEMPOTENCY_KEY": known["key"],
                },
                traceparent=payload.get("traceparent"),
            )
        return _told(run)


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


def _functions(payload: Any) -> dict[str, Any]:
    """The one that is called, by its name."""
    return {payload["call"]: _imported(payload["call"])} if kind_of(payload) else {}


@functools.cache
def _imported(path: str) -> Any:
    root = str(Workspace.shared().root)
    if root not in sys.path:
        sys.path.append(root)  # where an operator's own functions lie; behind all that is installed
    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for step in name.split("."):
        found = getattr(found, step)
    return found


def main(arguments: list[str]) -> None:
    fd, parent, root = arguments
    die_with(int(parent))
    os.environ |= {"DINO_HOME": root, "DINO_DOOR": "worker"}
    workspace = Workspace.shared(Path(root))
    work = Work(workspace)
    try:
        work.check()
    except DinoError as error:  # it is no task's fault: they go to a worker that can start
        sys.exit(f"dino: no worker can start: {error.message}")
    with socket.socket(fileno=int(fd)) as sock:
        try:
            serve(sock, work)
        finally:
            work.close()
            if "sandbox" in vars(workspace):  # it was made, by the first skill
                workspace.sandbox.close()


if __name__ == "__main__":
    main(sys.argv[1:])
