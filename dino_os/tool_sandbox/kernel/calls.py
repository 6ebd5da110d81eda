"""System calls that Python has no name for, each raising OSError where the kernel says no."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

MACHINE = os.uname().machine

# The same on every architecture, as all calls newer than 2019 are.
OPEN_TREE, MOVE_MOUNT = 428, 429
OPENAT2 = 437
MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446

SECCOMP = {"x86_64": 317, "aarch64": 277}
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPSET = {"x86_64": 126, "aarch64": 91}

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
PR_SET_CHILD_SUBREAPER = 36


def syscall(number: int, *arguments: int | bytes | ctypes.c_void_p | None) -> int:
    """
    Call the kernel and return what it answers.

    Raises:
        OSError: With its error number.
    """
    # Plain integers would be passed as 32 bits.
    sized = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    answer: int = _libc.syscall(ctypes.c_long(number), *sized)
    return _checked(answer)


def prctl(option: int, value: int = 0) -> None:
    """Change what the kernel allows this process."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount what *source* and *kind* name, as its manual page describes."""
    _checked(
        _libc.mount(
            source.encode(),
            os.fsencode(target),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            options.encode() or None,
        )
    )


def unmount(target: str, flags: int) -> None:
    _checked(_libc.umount2(os.fsencode(target), flags))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
