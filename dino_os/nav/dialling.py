"""
From a name to a connection, looked up once: only addresses that were judged are dialled.

A name may stand for an address inside (SSRF), and for another one the second time it is asked (DNS
rebinding).  So the socket is given the address that was judged, and TLS still proves the name.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence

from dino_os.tool_sandbox.egress.hosts import Address, Allowed, Rule, canonical, literal
from dino_os.tool_sandbox.egress.lookup import MOST_DIALLED, NoAddress, Resolve, look_up

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
        return _first(allowed.dialable(name, found)[:MOST_DIALLED], port, deadline)

    def _look_up(self, host: str, port: int, deadline: float) -> list[str]:
        late = TimeoutError(f"{host} was not looked up in time")
        answers: list[tuple[list[str], NoAddress | None]] = []

        def tell(addresses: list[str], failure: NoAddress | None) -> None:
            self._room.release()
            answers.append((addresses, failure))

        if not self._room.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise late
        try:
            thread = look_up(self._resolve, host, port, tell)
        except OSError:
            self._room.release()
            raise
        thread.join(max(deadline - time.monotonic(), 0))
        for addresses, failure in answers:
            if failure:
                raise failure
            return addresses
        raise late


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
