"""A network of a process's own: nothing but a loopback, which nobody else has."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from dino_os.tool_sandbox.kernel import calls

_NEW_USERS, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_CAPABILITIES_VERSION = 0x20080522


def own_network() -> None:
    """
    Leave the machine's network for an empty one.

    Whoever is not root makes a user namespace for it, and keeps nothing of the power that it has
    there.

    Raises:
        OSError: The kernel, or this system's policy, does not let it.
    """
    if os.geteuid() == 0:
        calls.unshare(_NEW_NETWORK)
        _raise_loopback()
        return
    user, group = os.geteuid(), os.getegid()
    calls.unshare(_NEW_USERS | _NEW_NETWORK)
    for file, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as opened:
            opened.write(line)
    _raise_loopback()
    _drop_capabilities()


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))


def _drop_capabilities() -> None:
    head = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    calls.syscall(calls.CAPSET[calls.MACHINE], head, bytes(24))
