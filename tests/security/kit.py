"""
What attacks lean on.  Its text stands before each attack's own, wherever that runs: it imports
nothing that is not in every Python, and nothing of Dino.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import sys
import time
from types import SimpleNamespace as World

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
ARM = os.uname().machine == "aarch64"
AT_FDCWD, NEW_USERS = -100, 0x10000000
PROC = "/proc"


def system_call(x86_64, arm64, *arguments):
    """What the kernel answers; raises OSError where it says no."""
    number = arm64 if ARM else x86_64
    sized = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *sized))


def checked(answer):
    if answer < 0:
        raise kernel_said()
    return answer


def kernel_said():
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def looked_at(x86_64, arm64, *arguments):
    """Whether the kernel goes into a call at all, though it may not like what it finds there."""
    try:
        system_call(x86_64, arm64, *arguments)
    except OSError as error:
        return error.errno not in {errno.EPERM, errno.EACCES, errno.ENOSYS}
    return True


def name_it(descriptor, path):
    """Give a file that has no name one."""
    nameless = f"{PROC}/self/fd/{descriptor}".encode() + b"\0"
    system_call(265, 37, AT_FDCWD, nameless, AT_FDCWD, path.encode() + b"\0", 0x400)


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(4096)


def wrote(path, flags=0):
    """Whether a byte got into the file *path*."""
    descriptor = os.open(path, os.O_WRONLY | flags, 0o600)
    return os.write(descriptor, b"!") == 1


def started(arguments):
    """What another program prints."""
    import subprocess

    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout


def found(path):
    """Whether anything is there, asked again a few times."""
    for _ in range(20):
        if os.path.lexists(path):
            return True
        time.sleep(0.01)
    return False


__all__ = [
    "AT_FDCWD",
    "NEW_USERS",
    "PROC",
    "World",
    "checked",
    "errno",
    "found",
    "json",
    "kernel_said",
    "libc",
    "looked_at",
    "name_it",
    "socket",
    "started",
    "sys",
    "system_call",
    "text_of",
    "wrote",
]
