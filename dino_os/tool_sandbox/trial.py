"""Which walls stand here, found out by putting them up and running against them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dino_os.errors import SandboxError
from dino_os.tool_sandbox import layers
from dino_os.tool_sandbox.kernel import landlock
from dino_os.tool_sandbox.policy import Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Wall:
    """One wall, and what it does here or why it does not stand."""

    name: str
    stands: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "stands": self.stands, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Trial:
    """All walls, and whether together they hold unknown code."""

    walls: tuple[Wall, ...]
    holds: bool
    verdict: str
    hint: str | None = None

    def __iter__(self) -> Iterator[Wall]:
        return iter(self.walls)

    def as_dict(self) -> dict[str, Any]:
        walls = [wall.as_dict() for wall in self.walls]
        return {"holds": self.holds, "verdict": self.verdict, "hint": self.hint, "walls": walls}


def try_walls(folder: Path) -> Trial:
    """Run a job behind each set of walls that this machine has; nothing of it stays."""
    there = layers.possible()
    namespaces = _works(folder, there) if there.bubblewrap else "bubblewrap is not installed"
    standing = there if namespaces is None else replace(there, bubblewrap=None)
    alone = replace(there, bubblewrap=None)
    without = _works(folder, alone) if alone.enforce else layers.missing(alone)
    return Trial(
        tuple(_walls(standing, namespaces)),
        holds := namespaces is None or without is None,
        _verdict(namespaces, without),
        None if holds and namespaces is None else layers.INSTALL,
    )


def _works(folder: Path, walls: Walls) -> str | None:
    """None, or why it does not."""
    try:
        with Sandbox(walls) as sandbox:
            ended = sandbox.run(Policy(folder), {"kind": "python", "arguments": {"code": "6 * 7"}})
    except SandboxError as error:
        return error.message
    if sandbox.walls != walls:
        return "bubblewrap is installed, and this system lets it make no namespaces"
    return None if ended.ok else str(ended.error.get("message"))


def _walls(standing: Walls, namespaces: str | None) -> Iterator[Wall]:
    made = "its own files, processes, network and names (bubblewrap)"
    yield Wall("namespaces", namespaces is None, made if namespaces is None else namespaces)
    version = f"files and signals (Linux's Landlock, version {standing.landlock})"
    enough = "" if standing.landlock >= landlock.SCOPES_SINCE else "; signals not stopped by it"
    yield Wall("landlock", bool(standing.landlock), version + enough if standing.landlock else "no")
    yield Wall("seccomp", standing.seccomp, "system calls that no skill needs are refused")
    yield Wall("limits", standing.limits, "time, memory, processes, files, output")
    if standing.own_user:
        yield Wall("own-user", True, "a sandbox of root's runs as a user of its own")  # noqa: FBT003


def _verdict(namespaces: str | None, without: str | None) -> str:
    if namespaces is None and without is None:
        return "unknown code is held twice over: by namespaces, and by Landlock with seccomp"
    if namespaces is None:
        return "unknown code is held by namespaces and seccomp"
    if without is None:
        return "unknown code is held by Landlock and seccomp"
    return f"nothing here holds unknown code: {namespaces}; {without}"
