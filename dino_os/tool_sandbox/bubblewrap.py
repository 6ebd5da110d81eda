"""
Namespaces by bubblewrap: its command line for a view.

Whoever builds the arguments owns the security model (bubblewrap's own words): nothing of a skill's
is ever part of them but paths, and those are named by descriptor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dino_os.tool_sandbox.view import SCRATCH, SHARED_MEMORY, Kind, Place

_NEW = ("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts")
_ALWAYS = (
    *_NEW,
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--hostname",
    "sandbox",
)


def arguments(program: str, view: Iterable[Place], *, scratch_bytes: int) -> list[str]:
    """The command that starts what follows it with *view* as its whole file system."""
    made = [part for place in view for part in _mount(place)]
    return [program, *_ALWAYS, *_own(scratch_bytes), *made, "--remount-ro", "/"]


def around_own_root(program: str) -> list[str]:
    """The same where root's launcher has made the view already."""
    return [program, *_ALWAYS, "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc"]


def _mount(place: Place) -> Iterator[str]:
    source = place.source if place.descriptor is None else f"/proc/self/fd/{place.descriptor}"
    match place.kind:
        case Kind.READ:
            yield from ("--ro-bind", source, place.path)
        case Kind.WRITE:
            yield from ("--bind", source, place.path)
        case Kind.LINK:
            yield from ("--symlink", source, place.path)
        case Kind.FOLDER:
            yield from ("--dir", place.path)


def _own(scratch_bytes: int) -> Iterator[str]:
    yield from ("--proc", "/proc", "--dev", "/dev")
    for folder in (SCRATCH, SHARED_MEMORY):
        yield from ("--size", str(scratch_bytes), "--tmpfs", folder)
