"""
Rotates a key in a process that is killed before its n-th change of the disk, for n = 1, 2, …

    python killed_rotation.py FOLDER VERB

FOLDER holds a workspace; each time a copy of it is used.  Prints one JSON line for each n: what a
new process finds there.  VERB is what is killed: rotate, set, delete, relock or accept.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

CHANGES = (
    "write",
    "pwrite",
    "fsync",
    "fdatasync",
    "replace",
    "rename",
    "link",
    "unlink",
    "ftruncate",
)
left = [1 << 60]


def counted(call: Callable[..., Any]) -> Callable[..., Any]:
    def before(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)

    return before


for name in CHANGES:
    setattr(os, name, counted(getattr(os, name)))

from dino_os.security_gateway import SecurityGateway  # noqa: E402
from dino_os.workspace import Workspace  # noqa: E402


def rotate(root: Path) -> None:
    face = SecurityGateway(workspace=Workspace(root))
    assert face.rotate_key("a", "the new value", test=lambda _: served(root) == "the old value")


VERBS: dict[str, Callable[[Path], object]] = {
    "rotate": rotate,
    "set": lambda root: Workspace(root).security.set_key("a", "the new value"),
    "rollback": lambda root: Workspace(root).security.rollback_key("a"),
    "delete": lambda root: Workspace(root).security.delete_key("a"),
    "relock": lambda root: Workspace(root).security.relock("file"),
}


def served(root: Path) -> str | None:
    value: str | None = Workspace(root).security.get_key("a")
    return value


def found(root: Path) -> dict[str, Any]:
    gateway = Workspace(root).security
    value = gateway.get_key("a")
    states = [v["state"] for v in gateway.key_history("a")] if gateway.list_keys() else []
    sound = gateway.log.verify_hash_chain()
    after = gateway.set_key("a", "afterwards") and gateway.get_key("a")
    return {"served": value, "states": states, "sound": sound, "after": after}


def main() -> None:
    folder, verb = Path(sys.argv[1]), VERBS[sys.argv[2]]
    for n in count(1):
        root = folder.with_name(f"{folder.name}-{n}")
        shutil.copytree(folder, root)
        child = os.fork()
        if not child:
            left[0] = n
            verb(root)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(json.dumps({"n": n, "code": code, **found(root)}) + "\n")
        sys.stdout.flush()
        shutil.rmtree(root)
        if code != -signal.SIGKILL:
            return


main()
