"""
Landlock: which files a process and all its children may open, and whom they may signal.

The numbers are those of `linux/landlock.h`; each version of the interface knows more rights, and a
ruleset handles (denies by default) all that the running kernel knows.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from dino_os.tool_sandbox.kernel import calls

TYPE_CHECKING = False
if TYPE_CHECKING:  # it is part of every start on the far side
    from collections.abc import Iterable

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_FIFO, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 10, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | 1 << 15

READ = READ_FILE | READ_DIR
# No device nodes, no sockets: neither is a file that a skill leaves behind.
WRITE = (
    READ
    | WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_FIFO
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
)
# Version of the interface → how many of the file rights it knows.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_SINCE, SCOPES_SINCE = 4, 6
_BIND, _CONNECT = 1 << 0, 1 << 1
_ABSTRACT_UNIX, _SIGNAL = 1 << 0, 1 << 1
_PATH_BENEATH, _NET_PORT = 1, 2


def version() -> int:
    """Which version of the interface the kernel has; 0 for none."""
    try:
        return calls.syscall(calls.LANDLOCK_CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def restrict(beneath: Iterable[tuple[int, int]], ports: Iterable[int] = ()) -> None:
    """
    Deny this process every file but those named, TCP but to *ports*, signals to others.

    Args:
        beneath: (descriptor of a file or folder, rights) pairs.
        ports: To which TCP may connect.

    Raises:
        OSError: The kernel has no Landlock, or refused.
    """
    known = version()
    files = (1 << _FILE_RIGHTS.get(known, 16)) - 1
    net = _BIND | _CONNECT if known >= _NET_SINCE else 0
    ruleset = _create(files, net, scoped(known))
    try:
        for descriptor, rights in beneath:
            _allow_beneath(ruleset, descriptor, rights & files)
        for port in ports if net else ():
            _add(ruleset, _NET_PORT, struct.pack("=QQ", _CONNECT, port))
        _enforce(ruleset)
    finally:
        os.close(ruleset)


def isolate() -> None:
    """Deny this process signals to whoever is not its child, where the kernel can."""
    if scopes := scoped(version()):
        ruleset = _create(0, 0, scopes)
        _enforce(ruleset)
        os.close(ruleset)


def scoped(known: int) -> int:
    return _ABSTRACT_UNIX | _SIGNAL if known >= SCOPES_SINCE else 0


def _create(files: int, net: int, scopes: int) -> int:
    attributes = struct.pack("=QQQ", files, net, scopes)
    # A kernel that knows less takes the longer form as long as what it does not know is zero.
    return calls.syscall(calls.LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)


def _allow_beneath(ruleset: int, descriptor: int, rights: int) -> None:
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _OF_FILES
    _add(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor))


def _add(ruleset: int, kind: int, rule: bytes) -> None:
    buffer = ctypes.create_string_buffer(rule, len(rule))
    calls.syscall(calls.LANDLOCK_ADD_RULE, ruleset, kind, ctypes.cast(buffer, ctypes.c_void_p), 0)


def _enforce(ruleset: int) -> None:
    calls.syscall(calls.LANDLOCK_RESTRICT_SELF, ruleset, 0)
