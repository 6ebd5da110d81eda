"""
The files that a sandboxed process sees: the runtime, its private temporary folder, what its policy
names, and nothing else.

One list of places says it all.  Bubblewrap mounts them, or root's own launcher does, and Landlock
allows the same: two walls from one plan.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from dino_os.tool_sandbox.kernel import landlock
from dino_os.tool_sandbox.paths import Opened

HOUSE = Path(__file__).resolve().parents[2]
SCRATCH, SHARED_MEMORY = "/run/dino", "/dev/shm"  # noqa: S108  inside, where both are the run's own
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
# What libraries look up to resolve names, check certificates and tell the time.
_SETTINGS = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki",
    "/etc/ssl",
)
# Of an installation: whoever makes a virtual environment of a workspace has both in one folder.
_INSTALLED = ("bin", "lib", "lib32", "lib64", "libexec", "share", "ssl", "pyvenv.cfg")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class Kind(Enum):
    """What stands at a place."""

    READ = "read"
    WRITE = "write"
    LINK = "link"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Place:
    """
    One place of the view.

    Attributes:
        path: Where it is seen.
        source: What is mounted there: its own path, another's, or a link's target.
        descriptor: Of what was opened there, where a path could be swapped.
        granted: Whether it is the policy's, not the runtime's: its owner may be another user.
    """

    path: str
    kind: Kind
    source: str = ""
    descriptor: int | None = None
    granted: bool = False


def places(folder: Path, reads: Iterable[Opened], writes: Iterable[Opened]) -> list[Place]:
    """The whole view but for what each wall makes itself: processes, devices, scratch."""
    written = list(writes)
    beneath = [Path(w.path) for w in written]
    only_read = [r for r in reads if not any(Path(r.path).is_relative_to(w) for w in beneath)]
    granted = [Place(r.path, Kind.READ, descriptor=r.descriptor, granted=True) for r in only_read]
    granted += [Place(w.path, Kind.WRITE, descriptor=w.descriptor, granted=True) for w in written]
    own = [*runtime(), Place(str(folder), Kind.FOLDER)]
    if not any(f"{place.path}/".startswith("/tmp/") for place in [*own, *granted]):  # noqa: S108
        own.append(Place("/tmp", Kind.LINK, SCRATCH.lstrip("/")))  # noqa: S108  for those who insist
    # From the root down: what lies deeper is mounted into what lies above it.
    return sorted([*own, *granted], key=lambda place: (place.path.count("/"), place.path))


@cache
def runtime() -> tuple[Place, ...]:
    """Python, what is installed for it, and the system's libraries."""
    return tuple(_runtime())


def _runtime() -> Iterator[Place]:
    for path in _SYSTEM:
        if os.path.islink(path):
            yield Place(path, Kind.LINK, os.readlink(path))
        elif os.path.isdir(path):
            yield Place(path, Kind.READ, path)
    for path in _SETTINGS:
        if os.path.exists(path):
            yield Place(path, Kind.READ, os.path.realpath(path))
    seen = list(_SYSTEM)
    for path in _python():
        if not any(Path(path).is_relative_to(above) for above in seen):
            seen.append(path)
            yield Place(path, Kind.READ, path)


def _python() -> list[str]:
    prefixes = {sys.base_prefix, sys.prefix, sys.base_exec_prefix, sys.exec_prefix}
    prefixes |= {os.path.realpath(prefix) for prefix in prefixes}
    within = {os.path.join(prefix, part) for prefix in prefixes for part in _INSTALLED}
    found = {path for path in within if os.path.exists(path)}
    found |= {str(HOUSE / "dino_os"), str(HOUSE / "engines")}
    found.add(os.path.dirname(interpreter()))
    return sorted(found)


def search_path() -> list[str]:
    """Where a sandboxed process imports from: what is installed, and Dino itself."""
    roots = [*map(Path, _python()), *map(Path, _SYSTEM)]
    found = [path for path in sys.path if any(Path(path).is_relative_to(root) for root in roots)]
    return [path for path in found if os.path.isabs(path)] + [str(HOUSE)]


@cache
def interpreter() -> str:
    """The real program behind shims and links."""
    return os.path.realpath(sys.executable)


def rules(view: Iterable[Place], *, mounted: bool, programs: bool) -> list[dict[str, object]]:
    """
    Landlock's rules for *view*.

    Args:
        mounted: The process sees the view itself; else the whole machine, and descriptors say
            which file is meant.
        programs: Programs of the runtime may be started.
    """
    run = landlock.EXECUTE if programs else 0
    # Names in the view are no secret; without one, every name on the machine would be.
    found = [_rule("/", landlock.READ_DIR)] if mounted else []
    for place in view:
        if place.kind in {Kind.READ, Kind.WRITE}:
            rights = landlock.WRITE if place.kind is Kind.WRITE else landlock.READ
            rights |= 0 if place.granted else run
            descriptor = None if mounted else place.descriptor
            found.append(_rule(place.path, rights, descriptor))
    return found


def _rule(path: str, rights: int, descriptor: int | None = None) -> dict[str, object]:
    return {"path": path, "rights": rights, "descriptor": descriptor}


def own_rules(scratch: Iterable[str], *, processes: bool) -> list[dict[str, object]]:
    """Landlock's rules for what every run has: scratch, devices, and its own processes."""
    found = [_rule(path, landlock.WRITE) for path in scratch]
    found += [
        _rule(path, landlock.READ_FILE | landlock.WRITE_FILE)
        for path in DEVICES
        if os.path.exists(path)
    ]
    return found + ([_rule("/proc", landlock.READ)] if processes else [])
