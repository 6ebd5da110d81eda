"""
Connections to one server: kept, bounded in time and size, cut off when told to.

The library below knows TCP, TLS and HTTP.  Certificates are always verified, redirects are never
followed, no answer is waited for or read without end.  Every request of the protocol may be sent
twice, so one that met a connection which the peer had closed meanwhile is sent again at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from socket import SHUT_RDWR, socket
from threading import Event
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from engines.replication.address import Address
from engines.replication.coding import decode
from engines.replication.errors import (
    PeerFault,
    PeerTimedOut,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

MIB = 1 << 20
_PIECE = 256 * 1024
_TOGETHER = 4  # a page, its documents and a record may be under way at once
_LISTENING = 1


@dataclass(frozen=True, slots=True)
class Http:
    """
    How a peer is talked to.

    Attributes:
        connect_s: How long a connection may take to come about.
        silence_s: How long the peer may say nothing while it owes an answer.
        answer_s: How long an answer may take as a whole.
        answer_bytes: How large one may be.
        ca_file: Certificates to trust instead of the system's, in PEM form.
        clear_passwords: Send credentials over plain http to other machines, too.
    """

    connect_s: float = 10.0
    silence_s: float = 60.0
    answer_s: float = 600.0
    answer_bytes: int = 64 * MIB
    ca_file: str | None = None
    clear_passwords: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A request; `path` is below the server's root, with its parameters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer answered, whole; header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004  HTTP's

    def json(self) -> Any:
        """
        The value that it carries.

        Raises:
            PeerUnreachable: It is not whole; or it is a page of something in between.
        """
        try:
            return decode(self.body)
        except ValueError:
            raise PeerUnreachable("the peer's answer is no JSON, or not all of it") from None

    def said(self) -> dict[str, Any]:
        """What it says of an error, where it does."""
        with suppress(ValueError):
            found = decode(self.body)
            if isinstance(found, dict):
                return found
        return {}


class Connections:
    """Those to the server at *address*."""

    def __init__(self, address: Address, http: Http) -> None:
        self._address = address
        self._http = http
        self._sockets: WeakSet[socket] = WeakSet()
        self._stopped = Event()

    def ask(self, question: Question, limit: int) -> Answer:
        """
        The whole answer, of whatever status.

        Raises:
            PeerUnreachable: There was none, or not all of it.
            TooLarge: It is of more than *limit* bytes.
        """
        deadline = time.monotonic() + self._http.answer_s
        return self._send(self._pool, question, self._http.silence_s, limit, deadline)

    def listen(self, question: Question, silence_s: float, stopped: Event) -> Answer:
        """As `ask`, of a server that takes its time; set *stopped* and `interrupt` to end it."""
        self._stopped = stopped
        return self._send(self._listening, question, silence_s, self._http.answer_bytes, None)

    def interrupt(self) -> None:
        """Cut off whoever listens."""
        for heard in list(self._sockets):
            with suppress(OSError):  # it is closed by now
                heard.shutdown(SHUT_RDWR)

    @cached_property
    def _pool(self) -> HTTPConnectionPool:
        return self._make_pool(_TOGETHER)

    @cached_property
    def _listening(self) -> HTTPConnectionPool:
        """Their sockets are known, so that they can be cut off."""
        pool = self._make_pool(_LISTENING)
        connections = self
        kind: Any = pool.ConnectionCls

        class Noted(kind):  # type: ignore[misc]  # one of two
            def connect(self) -> None:
                super().connect()
                connections._sockets.add(self.sock)
                if connections._stopped.is_set():  # just now: nobody saw this one
                    raise ConnectionAbortedError("stopped")

        pool.ConnectionCls = Noted
        return pool

    def _make_pool(self, most: int) -> HTTPConnectionPool:
        # The network stack is loaded by the first request.
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415

        where = self._address
        if where.scheme == "http":
            return HTTPConnectionPool(where.host, where.port, maxsize=most)
        return HTTPSConnectionPool(
            where.host,
            where.port,
            maxsize=most,
            cert_reqs="CERT_REQUIRED",
            ca_certs=self._http.ca_file,
        )

    def _send(
        self,
        pool: HTTPConnectionPool,
        question: Question,
        silence_s: float,
        limit: int,
        deadline: float | None,
    ) -> Answer:
        with self._faults():
            try:
                response = self._begin(pool, question, silence_s)
            except ConnectionAbortedError:  # by whoever stopped it
                raise PeerUnreachable("cut off") from None
            try:
                body = b"".join(_pieces(response, limit, deadline))
            except BaseException:
                response.close()
                raise
            response.release_conn()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, body)

    def _begin(
        self, pool: HTTPConnectionPool, question: Question, silence_s: float
    ) -> BaseHTTPResponse:
        from urllib3 import Timeout  # noqa: PLC0415
        from urllib3.exceptions import ProtocolError  # noqa: PLC0415

        timeout = Timeout(connect=self._http.connect_s, read=silence_s)
        for again in (True, False):
            try:
                return pool.urlopen(
                    question.method,
                    question.path,
                    body=question.body,
                    headers=question.headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=False,
                )
            except ProtocolError:
                if not again or self._stopped.is_set():
                    raise
        raise AssertionError

    @contextmanager
    def _faults(self) -> Iterator[None]:
        from urllib3 import exceptions  # noqa: PLC0415

        try:
            yield
        except ReplicationError as error:
            error.message = f"{self._address}: {error.message}"
            raise
        except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
            kind = type(error).__name__
            raise PeerUnreachable(
                f"no connection to {self._address} ({kind})", offline=True
            ) from None
        except exceptions.TimeoutError:
            raise PeerTimedOut(f"{self._address} does not answer in time") from None
        except exceptions.SSLError as error:
            raise PeerFault(f"{self._address}: its certificate does not do: {error}") from None
        except (exceptions.HTTPError, OSError) as error:
            # With the kind alone: the library's texts repeat what was sent.
            kind = type(getattr(error, "reason", None) or error).__name__
            raise PeerUnreachable(f"{self._address} cannot be reached ({kind})") from None


def _pieces(response: BaseHTTPResponse, limit: int, deadline: float | None) -> Iterator[bytes]:
    length = 0
    for piece in response.stream(_PIECE, decode_content=True):
        length += len(piece)
        if length > limit:
            raise TooLarge(f"an answer of more than {limit // MIB or 1} MiB")
        if deadline and time.monotonic() > deadline:
            raise PeerTimedOut("its answer takes too long")
        yield piece
