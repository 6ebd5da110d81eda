"""
One HTTP request with a limit on its whole time and on what is read.

Follows no redirect and asks no proxy: what goes out carries a key.  Tells a request that was never
sent from one whose answer got lost.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from dino_os.errors import InvalidInput

_MOST_READ = 1 << 20
_PRIVATE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotSent(Exception):
    """There was no connection: the other side has not heard of it."""


class Lost(Exception):
    """It may have been heard; no whole answer came."""


class Site:
    """
    The address below which requests go.

    Raises:
        InvalidInput: It is no address, or would carry a key in clear over a network.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not host or parts.username:
            raise InvalidInput(
                f"orders.http.url: not an address: {url!r}", hint="for example https://pay.example"
            )
        if parts.scheme == "http" and host not in _PRIVATE:
            raise InvalidInput(
                f"orders.http.url: {url!r} would send the key in clear", hint="use https"
            )
        self._secure = parts.scheme == "https"
        self._host, self._port = host, parts.port
        self._below = parts.path.rstrip("/")
        self._timeout_s = timeout_s

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """
        Send a request and read its answer, within the site's time limit.

        Raises:
            NotSent: No connection came about.
            Lost: None, or not all, of the answer came.
        """
        connection = self._connection()
        try:
            try:
                connection.connect()
            except (OSError, HTTPException, UnicodeError) as error:
                raise NotSent(_reason(error)) from None
            with self._deadline(connection.sock):
                try:
                    return self._exchange(connection, method, path, headers, body)
                except (OSError, HTTPException) as error:
                    raise Lost(_reason(error)) from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        if not self._secure:
            return HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        context = ssl.create_default_context()
        return HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=context)

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Reply:
        connection.request(method, self._below + path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read(_MOST_READ + 1)
        length = answer.getheader("Content-Length") or ""
        if len(content) > _MOST_READ or (length.isdigit() and len(content) < int(length)):
            raise Lost("its answer is too long, or was cut off")
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, content)

    @contextlib.contextmanager
    def _deadline(self, sock: socket.socket) -> Iterator[None]:
        """A socket's timeout starts anew with every byte; this one does not."""

        def end() -> None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._timeout_s, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
