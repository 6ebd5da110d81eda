"""Seccomp: put a filter over a process and all its children, and hear what it refused."""

from __future__ import annotations

import ctypes
import errno
import struct

from dino_os.tool_sandbox.kernel import calls

_NEW_LISTENER, _SET_FILTER = 1 << 3, 1
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTIFICATION, _RESPONSE = "=QIIiIQ6Q", "=QqiI"


def install(filter_program: bytes, *, notify: bool) -> int | None:
    """
    Put *filter_program* over this process for ever; the listener's descriptor where it notifies.

    Raises:
        OSError: The kernel refused.
    """
    buffer = ctypes.create_string_buffer(filter_program, len(filter_program))
    head = struct.pack("=HxxxxxxQ", len(filter_program) // 8, ctypes.addressof(buffer))
    head_buffer = ctypes.create_string_buffer(head, len(head))
    number, flags = calls.SECCOMP[calls.MACHINE], _NEW_LISTENER if notify else 0
    answer = calls.syscall(number, _SET_FILTER, flags, ctypes.cast(head_buffer, ctypes.c_void_p))
    return answer if notify else None


def refuse_next(listener: int) -> tuple[int, int] | None:
    """
    Refuse the call that waits at *listener*; its number and the process that made it.

    None where the process died before it was answered.
    """
    import fcntl  # noqa: PLC0415  the parent's alone

    buffer = bytearray(struct.calcsize(_NOTIFICATION))
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
        cookie, process, _, number, *_ = struct.unpack(_NOTIFICATION, buffer)
        fcntl.ioctl(listener, _SEND, struct.pack(_RESPONSE, cookie, 0, -errno.EPERM, 0))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.EINTR}:
            return None
        raise
    return number, process
