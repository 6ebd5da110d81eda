"""
A file system of a process's own, made by root before it becomes somebody else.

Each source is cloned as a detached mount first (open_tree(2)), made read-only, without devices and
set-user-id programs, and then moved into an empty root.  Where a source belongs to a user that the
sandboxed one is not, its mount shows that user's files as the sandboxed one's (an id-mapped mount,
mount_setattr(2)): granted files can be used, and no other file of that user's.
"""

from __future__ import annotations

import os
import stat
import struct

from dino_os.tool_sandbox.kernel import calls

TYPE_CHECKING = False
if TYPE_CHECKING:  # it is part of every start on the far side
    from collections.abc import Iterable, Mapping
    from typing import Any

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_PRIVATE, _RECURSIVE_MOUNT = 1 << 18, 1 << 14
_NO_SET_ID, _NO_DEVICES, _NO_PROGRAMS = 2, 4, 8
_CLONE, _CLOSE_ON_EXEC, _AT_EMPTY_PATH, _AT_RECURSIVE = 1, 0o2000000, 0x1000, 0x8000
_FROM_DESCRIPTOR, _AT_HERE = 0x4, -100
_ATTRIBUTE_READ_ONLY, _ATTRIBUTE_NO_SET_ID, _ATTRIBUTE_NO_DEVICES = 0x1, 0x2, 0x4
_ATTRIBUTE_ID_MAP = 0x100000
_DETACH = 2
_KILLED = 9  # signal.SIGKILL, without its module
_HIGHEST_ID = 2**32 - 1
_WHERE = "/tmp"  # noqa: S108  exists everywhere; what lies there is hidden from this process alone


def make_root(
    sources: Iterable[Mapping[str, Any]], temporary: Iterable[Mapping[str, Any]], user: int
) -> None:
    """
    Make the root of this process a folder with just these places in it.

    Args:
        sources: path (where it is seen), kind ("read", "write", "link", "folder", "device",
            "processes"), source or descriptor, and granted.
        temporary: path, bytes and files of each empty folder in memory.
        user: Who owns what is temporary and uses what is granted.

    Raises:
        OSError: The kernel refused a step.
    """
    maps: dict[int, int] = {}
    # First: a descriptor from outside names nothing that the new name space could clone.
    cloned = [(source, _clone(source, user, maps)) for source in sources]
    calls.unshare(_NEW_MOUNTS)
    calls.mount("none", "/", "", _PRIVATE | _RECURSIVE_MOUNT)
    calls.mount("root", _WHERE, "tmpfs", _NO_SET_ID | _NO_DEVICES, "mode=0755,size=4m")
    for source, tree in cloned:
        _place(source, tree)
    for folder in temporary:
        at = _made_folder(folder["path"])
        options = f"mode=0700,uid={user},gid={user},size={folder['bytes']}"
        flags = _NO_SET_ID | _NO_DEVICES | _NO_PROGRAMS
        calls.mount("scratch", at, "tmpfs", flags, f"{options},nr_inodes={folder['files']}")
    _enter()
    for descriptor in maps.values():
        os.close(descriptor)


def become(user: int) -> None:
    """Give up root for ever: groups, user and every capability."""
    for capability in range(64):
        try:
            calls.prctl(calls.PR_CAPBSET_DROP, capability)
        except OSError:  # more than the kernel knows
            break
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1)


def _clone(source: Mapping[str, Any], user: int, maps: dict[int, int]) -> int | None:
    """A detached mount of *source* with what it must not have taken off; None for what is made."""
    if source["kind"] in {"link", "folder"}:
        return None
    descriptor = source["descriptor"]
    whole = 0 if source["kind"] in {"processes", "device"} else _AT_RECURSIVE
    at, path = (descriptor, b"\0") if descriptor is not None else (_AT_HERE, _c(source["source"]))
    empty = _AT_EMPTY_PATH if descriptor is not None else 0
    flags = _CLONE | _CLOSE_ON_EXEC | empty
    tree = calls.syscall(calls.OPEN_TREE, at, path, flags | whole)
    attributes = _ATTRIBUTE_NO_SET_ID
    attributes |= _ATTRIBUTE_NO_DEVICES if source["kind"] != "device" else 0
    attributes |= _ATTRIBUTE_READ_ONLY if source["kind"] == "read" else 0
    _set(tree, attributes, whole)
    owner = os.fstat(tree).st_uid
    if source["granted"] and owner != user:
        try:
            _set(tree, _ATTRIBUTE_ID_MAP, 0, _id_map(owner, user, maps))
        except OSError:  # a file system without: its own rights have to do
            return tree
    return tree


def _set(tree: int, attributes: int, whole: int, id_map: int = 0) -> None:
    wanted = struct.pack("=QQQQ", attributes, 0, _PRIVATE, id_map)
    calls.syscall(calls.MOUNT_SETATTR, tree, b"\0", _AT_EMPTY_PATH | whole, wanted, len(wanted))


def _id_map(owner: int, user: int, maps: dict[int, int]) -> int:
    """A user namespace in which *owner* is *user*, and everybody else who they are."""
    if owner not in maps:
        ready, go = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            calls.unshare(_NEW_USERS)
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        try:
            for kind in ("uid_map", "gid_map"):
                with open(f"/proc/{child}/{kind}", "w", encoding="ascii") as file:
                    file.write(_exchange(owner, user))
            maps[owner] = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.kill(child, _KILLED)
            os.waitpid(child, 0)
            for end in (*ready, *go):
                os.close(end)
    return maps[owner]


def _exchange(owner: int, user: int) -> str:
    """Lines of a map: *owner* on disk is *user* here, who has no other; the rest is unchanged."""
    lines, first = [f"{owner} {user} 1"], 0
    for taken in sorted({owner, user}):
        lines += [f"{first} {first} {taken - first}"] if taken > first else []
        first = taken + 1
    return "\n".join([*lines, f"{first} {first} {_HIGHEST_ID - first}"])


def _place(source: Mapping[str, Any], tree: int | None) -> None:
    if source["kind"] == "folder":
        _made_folder(source["path"])
    elif source["kind"] == "link":
        _made_folder(os.path.dirname(source["path"]))
        os.symlink(source["source"], _WHERE + source["path"])
    elif tree is not None:
        at = _made_point(source["path"], folder=stat.S_ISDIR(os.fstat(tree).st_mode))
        calls.syscall(calls.MOVE_MOUNT, tree, b"\0", _AT_HERE, _c(at), _FROM_DESCRIPTOR)
        os.close(tree)


def _made_folder(path: str) -> str:
    os.makedirs(_WHERE + path, mode=0o755, exist_ok=True)
    return _WHERE + path


def _made_point(path: str, *, folder: bool) -> str:
    if folder:
        return _made_folder(path)
    _made_folder(os.path.dirname(path))
    if not os.path.lexists(_WHERE + path):
        os.close(os.open(_WHERE + path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    return _WHERE + path


def _enter() -> None:
    """Make the new root the only one; see pivot_root(2) on doing it without a second folder."""
    os.chdir(_WHERE)
    calls.syscall(calls.PIVOT_ROOT[calls.MACHINE], b".\0", b".\0")
    calls.unmount(".", _DETACH)
    os.chdir("/")
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _set(root, _ATTRIBUTE_READ_ONLY, 0)
    os.close(root)


def _c(path: str) -> bytes:
    return os.fsencode(path) + b"\0"
