"""
One HTTP request, with an end to everything: to its time, to its size, and to where it goes.

A redirect is not followed: what is sent along (keys, signatures) is meant for the address that was
named.  Proxies are not used.  Who gets no answer learns whether the request may have been heard.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from dino_os.errors import DinoError, InvalidInput

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse
    from ssl import SSLContext

Dial = Callable[[str, int, float], socket.socket]
"""(host, port, seconds) → a connection; raises OSError, or `Unreachable`."""

_BLOCK = 65536
_MULTIPLE_CHOICES = 300
_OK = 200
_LEAST_S = 0.001
_header_name = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_unwelcome = re.compile(r"[\x00-\x20\x7f]")


class Unreachable(DinoError):
    """
    Nobody answered: offline, refused, or not in time.

    Attributes:
        heard: Whether there was a connection, so that the request may have arrived all the same.
    """

    exit_code = 4

    def __init__(self, message: str, *, heard: bool) -> None:
        self.heard = heard
        super().__init__(message)


class AnswerTooLarge(Unreachable):
    """
    There was an answer, and more of it than is read.

    Attributes:
        answer: Without its body.
    """

    def __init__(self, message: str, answer: Answer) -> None:
        self.answer = answer
        super().__init__(message, heard=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back.

    Attributes:
        fields: Its headers as they came, also those of one name.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    fields: Sequence[tuple[str, str]] = ()

    @property
    def ok(self) -> bool:
        return _OK <= self.status < _MULTIPLE_CHOICES

    @property
    def retry_after_s(self) -> float | None:
        """Seconds of its Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
        from email.utils import parsedate_to_datetime  # noqa: PLC0415

        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return None


def checked_url(url: str) -> SplitResult:
    """
    The parts of *url*.

    Raises:
        InvalidInput: It is no address of the web, or has a password in it.
    """
    wrong = InvalidInput(
        f"not an address: {_shown(url)!r}", hint="for example https://site.example/path"
    )
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where it is none
    except ValueError:  # which tells what it takes for the port: it may be a password
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or _unwelcome.search(url):
        raise wrong
    if parts.username is not None or parts.password is not None:
        # The address is recorded and shown.
        raise InvalidInput(f"{parts.hostname}: the address holds a name or a password; use a key")
    return parts


def _shown(url: str) -> str:
    """*url* without a name and a password, also where these keep it from being an address."""
    return re.sub(r"(?s)^([a-z]*://)?.*@", r"\1***@", url)


def origin_of(parts: SplitResult) -> str:
    """What errors call the server: scheme, host and port."""
    return f"{parts.scheme}://{parts.netloc}"


def fits_header(value: str) -> bool:
    """Whether *value* can stand in a header: printable ASCII only."""
    return value.isascii() and value.isprintable()


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """
    *headers*, if a request can have them.

    Raises:
        InvalidInput: A name or a value cannot be one; the value is not shown.
    """
    for name, value in headers.items():
        if not _header_name(name):
            raise InvalidInput(f"not a header's name: {name!r}")
        if not fits_header(value):
            raise InvalidInput(f"the header {name!r} can hold printable ASCII only")
    return dict(headers)


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout_s: float,
    most_bytes: int,
    connect_s: float | None = None,
    dial: Dial | None = None,
    tls: SSLContext | None = None,
) -> Answer:
    """
    Make one request and return the answer, whatever its status.

    Args:
        timeout_s: For all of it, from the first packet to the last byte.
        most_bytes: Of the answer's body.
        connect_s: Of that time for the connection, with its TLS; None is all of it.
        dial: Connects, where not every address that the name has may be connected to.
        tls: Whose certificates are trusted; the system's own where it is None.

    Raises:
        Unreachable: No answer, or not all of it in time.
        AnswerTooLarge: More of it than *most_bytes*.
        InvalidInput: The address or a header cannot be one.
    """
    from http.client import HTTPException  # noqa: PLC0415  the network, on first use

    parts, headers = checked_url(url), checked_headers(headers)
    where = origin_of(parts)
    connection = _connection(parts, timeout_s)
    begun = time.monotonic()
    within = min(connect_s or timeout_s, timeout_s)
    deadline, lacks = begun + within, "connection" if connect_s else "answer"
    heard = False
    try:
        connection.sock = _connected(parts, connection, deadline, dial, tls)
        heard, within, deadline, lacks = True, timeout_s, begun + timeout_s, "answer"
        connection.sock.settimeout(max(deadline - time.monotonic(), _LEAST_S))
        with _cut_off(connection.sock, deadline):
            target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request(method, target, body, {"Connection": "close", **headers})
            answer = _final(connection.getresponse())
            fields = answer.getheaders()
            said = {name.lower(): value for name, value in fields}
            found = Answer(answer.status, said, _body(answer, most_bytes), fields)
    except (OSError, HTTPException, ValueError) as error:
        late = time.monotonic() >= deadline or isinstance(error, TimeoutError)
        why = f"no {lacks} within {within:g} s" if late else _reason(error)
        raise Unreachable(f"{where}: {why}", heard=heard) from None
    finally:
        connection.close()
    if len(found.body) > most_bytes:
        why = f"{where}: the answer has more than {most_bytes:,} bytes"
        raise AnswerTooLarge(why, replace(found, body=b""))
    return found


@contextlib.contextmanager
def _cut_off(sock: socket.socket, deadline: float) -> Iterator[None]:
    """End what is read from *sock* at the *deadline*, however it drips in."""

    def cut() -> None:
        # Not the method of a TLS socket, which is not made for a second thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watch = threading.Timer(max(deadline - time.monotonic(), 0), cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _final(answer: HTTPResponse) -> HTTPResponse:
    """*answer*, read past those that only announce it (RFC 9110, 15.2)."""
    while answer.status < _OK:
        answer.headers = None  # type: ignore[assignment] # else it begins nothing
        answer.begin()
    return answer


def _body(answer: HTTPResponse, most_bytes: int) -> bytes:
    """All of it, or so much that it shows to be more than *most_bytes*."""
    content = bytearray()
    while block := answer.read(min(_BLOCK, most_bytes + 1 - len(content))):
        content += block
    if answer.length and len(content) <= most_bytes:
        raise OSError(errno.EPIPE, "the answer was cut off")
    return bytes(content)


def _connected(
    parts: SplitResult,
    connection: HTTPConnection,
    deadline: float,
    dial: Dial | None,
    tls: SSLContext | None,
) -> socket.socket:
    """A socket to ask on: connected, and where it has to be behind TLS that was verified."""
    dial = dial or (lambda host, port, seconds: socket.create_connection((host, port), seconds))
    sock = dial(connection.host, connection.port, max(deadline - time.monotonic(), _LEAST_S))
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(max(deadline - time.monotonic(), _LEAST_S))
        if parts.scheme != "https":
            return sock
        from ssl import create_default_context  # noqa: PLC0415

        context = tls or create_default_context()
        sock = ours = context.wrap_socket(
            sock, server_hostname=connection.host, do_handshake_on_connect=False
        )
        with _cut_off(ours, deadline):
            ours.do_handshake()
    except BaseException:
        sock.close()
        raise
    return sock


def _connection(parts: SplitResult, timeout_s: float) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415

    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout_s)


def _reason(error: Exception) -> str:
    """Why, without what the other side said, which may be anything."""
    from http.client import HTTPException  # noqa: PLC0415
    from ssl import SSLError  # noqa: PLC0415

    if isinstance(error, SSLError):
        return f"no trust: {error.reason or 'TLS'}"
    if isinstance(error, OSError) and not isinstance(error, HTTPException):
        return error.strerror or type(error).__name__
    return f"not an answer of the web ({type(error).__name__})"
