"""
From a name to a connection, looked up once: only addresses that were judged are dialled.

A name may stand for an address inside (SSRF), and for another one the second time it is asked (DNS
rebinding).  So the socket is given the address that was judged, and TLS still proves the name.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from dino_os.tool_sandbox.egress.hosts import Address, Allowed, Rule, canonical, literal

Resolve = Callable[..., list[Any]]  # as socket.getaddrinfo

_ATTEMPTS = 4
_LOOKUPS = 16  # a lookup cannot be broken off; names that hang hold so many threads, and no more


class Dialler:
    """
    Connects to hosts that an operator named.

    Args:
        private_hosts: Names that may stand for private or loopback addresses.  An address that was
            named itself may be any.
    """

    def __init__(
        self, private_hosts: Sequence[str] = (), resolve: Resolve = socket.getaddrinfo
    ) -> None:
        self._private_hosts = tuple(private_hosts)
        self._resolve = resolve
        self._room = threading.BoundedSemaphore(_LOOKUPS)

    def __call__(self, host: str, port: int, seconds: float) -> socket.socket:
        """
        A connection to *host*.

        Raises:
            Denied: It stands for addresses that may not be dialled.
            OSError: It cannot be found or reached, or not in time.
        """
        deadline = time.monotonic() + seconds
        name = canonical(host)
        found = [name] if literal(name) else self._look_up(name, port, deadline)
        allowed = Allowed([Rule(name, frozenset({port}))], self._private_hosts)
        return _first(allowed.dialable(name, found)[:_ATTEMPTS], port, deadline)

    def _look_up(self, host: str, port: int, deadline: float) -> list[str]:
        answer: list[list[str]] = []
        failure: list[str] = []

        def ask() -> None:
            try:
                found = self._resolve(host, port, type=socket.SOCK_STREAM)
                answer.append([str(entry[4][0]) for entry in found])
            except Exception as error:  # noqa: BLE001  whatever it is, there is no address
                failure.append(getattr(error, "strerror", None) or type(error).__name__)
            finally:
                self._room.release()

        if not self._room.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimeoutError(f"{host} was not looked up in time")
        thread = threading.Thread(target=ask, name="dino-lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no room for another
            self._room.release()
            raise OSError(f"{host} was not looked up: {error}") from None
        thread.join(max(deadline - time.monotonic(), 0))
        if answer:
            return answer[0]
        if failure:
            raise NoAddress(f"{host} was not found: {failure[0]}")
        raise TimeoutError(f"{host} was not looked up in time")


class NoAddress(OSError):
    """A name that no server knows."""

    def __init__(self, why: str) -> None:
        super().__init__(None, why)


def _first(addresses: Sequence[Address], port: int, deadline: float) -> socket.socket:
    """The first that answers; each has its share of the time, so that none uses up all."""
    failure: OSError | None = None
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        share = left / (len(addresses) - number)
        if share <= 0:
            break
        try:
            return socket.create_connection((str(address), port), share)
        except OSError as error:  # also a timeout
            failure = error
    raise failure or TimeoutError("no time was left to connect")
