"""
Users that root's sandboxes run as: one each, so that no two can meet.

The numbers belong to nobody (no account has them).  One is taken for as long as its process lives
by a name in the kernel (an abstract socket) that no crash can leave behind.
"""

from __future__ import annotations

import contextlib
import random
import socket

from dino_os.errors import SandboxError

FIRST_USER, USERS = 61_000, 64


class Slot:
    """One user that is nobody else's until this is closed."""

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Not always from the first on: the one before may not have quite ended.
        begin = random.randrange(USERS)  # noqa: S311  any will do
        for user in (FIRST_USER + (begin + n) % USERS for n in range(USERS)):
            with contextlib.suppress(OSError):
                self._claim.bind(f"\0dino-sandbox-user-{user}")
                self.user = user
                return
        self._claim.close()
        raise SandboxError(f"{USERS} sandboxes run as root's already; wait until one has ended")

    def close(self) -> None:
        self._claim.close()
