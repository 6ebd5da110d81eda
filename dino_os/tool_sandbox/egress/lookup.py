"""
One look-up of a name, in a thread of its own: it cannot be broken off, and may never come back.

Whoever waits for it, on an event loop or in a thread, says how many may go on at once, and for how
long he waits; which of the addresses may be dialled is `Allowed.dialable`'s to say.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

Resolve = Callable[..., list[Any]]  # as socket.getaddrinfo
MOST_DIALLED = 4  # addresses of one name


class NoAddress(OSError):
    """A name that stands for no address."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(None, f"{host} was not found: {why}")

    def __str__(self) -> str:
        return self.strerror or ""


def look_up(
    resolve: Resolve, host: str, port: int, tell: Callable[[list[str], NoAddress | None], None]
) -> threading.Thread:
    """
    Ask for *host* beside everything else.

    Args:
        tell: Called in that thread, with the addresses or with why there are none.

    Raises:
        OSError: The machine has no room for another thread; nothing is told.
    """

    def ask() -> None:
        addresses, failure = [], None
        try:
            found = resolve(host, port, type=socket.SOCK_STREAM)
            addresses = [str(entry[4][0]) for entry in found]
        except Exception as error:  # noqa: BLE001  whatever it is, there is no address
            failure = NoAddress(host, getattr(error, "strerror", None) or type(error).__name__)
        tell(addresses, failure)

    thread = threading.Thread(target=ask, name="dino-lookup", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(f"{host} was not looked up: {error}") from None
    return thread
