"""
HTTP/1 as the sandbox's proxy takes it: strictly, so that no two parsers can see two requests.

Owns the heads of requests and answers, as pure functions of bytes.  Where RFC 9112 lets a recipient
be lenient (bare line feeds, folded lines, two lengths that agree) this one is not: leniency that
differs between two servers in a row is what request smuggling lives on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from dino_os.errors import InvalidInput
from dino_os.tool_sandbox.egress.hosts import authority, canonical, printable, split_authority

CHUNKED = -1
HEAD_END = b"\r\n\r\n"

_HTTP_PORT = 80
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110, 5.6.2
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) (HTTP/1\.[01])")
_STATUS_LINE = re.compile(r"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?")
_NAME = re.compile(_TOKEN)
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_WHERE = re.compile(r"(?:[A-Za-z]+://)?([^/?#]*)")
# What is between two neighbours, and goes no further (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset({"connection", "http2-settings", "keep-alive", "te", "trailer", "upgrade"})
# Written anew from what was checked, whatever the client wants to have dropped.
_FRAMING = frozenset({"content-length", "host", "transfer-encoding"})

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks the proxy for."""

    method: str
    host: str  # canonical
    port: int
    path: str  # of a CONNECT: empty
    version: str
    fields: Fields  # those that go on to the host
    body: int | None  # bytes, CHUNKED, or None where no length was said

    @property
    def is_tunnel(self) -> bool:
        return self.method == "CONNECT"

    def head(self) -> bytes:
        """The head as the host gets it."""
        host = authority(self.host, self.port).removesuffix(f":{_HTTP_PORT}")
        own = [("Host", host), ("Connection", "close")]
        if self.body == CHUNKED:
            own.append(("Transfer-Encoding", "chunked"))
        elif self.body is not None:
            own.append(("Content-Length", str(self.body)))
        return _head(f"{self.method} {self.path} {self.version}", own + self.fields)


def parse_request(head: bytes) -> Request:
    """
    The request whose head, up to the empty line, is *head*.

    Raises:
        InvalidInput: It is malformed, or nothing that a proxy is asked for.
    """
    line, fields = _split(head)
    parts = _REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise InvalidInput("malformed request line")
    method, target, version = parts.groups()
    tunnel = method == "CONNECT"
    host, port, path = _connect_target(target) if tunnel else _absolute_target(target)
    if _values(fields, "host") or not (tunnel or version == "HTTP/1.0"):
        _check_host(fields, host, port, default=port if tunnel else _HTTP_PORT)
    body = _body(fields, version)
    if tunnel and body:
        raise InvalidInput("CONNECT has no body")
    kept = _end_to_end(fields, drop=_FRAMING)
    return Request(method, host, port, path, version, kept, body)


def parse_answer(head: bytes) -> tuple[int, bytes]:
    """
    The status of a host's answer, and its head as the client gets it.

    Raises:
        InvalidInput: It is malformed.
    """
    line, fields = _split(head)
    parts = _STATUS_LINE.fullmatch(line)
    if parts is None:
        raise InvalidInput("malformed status line")
    status = int(parts[1])
    interim = status < 200  # noqa: PLR2004
    own = [] if interim else [("Connection", "close")]
    return status, _head(line, _end_to_end(fields, drop=frozenset()) + own)


def answer_head(status: int, fields: Fields) -> bytes:
    """The head of an answer of our own."""
    return _head(f"HTTP/1.1 {status} {_phrase(status)}", fields)


def parse_chunk_size(line: bytes) -> int:
    """
    The size that a line before a chunk says.

    Raises:
        InvalidInput: It says none, or more than that.
    """
    if not _CHUNK_SIZE.fullmatch(line):
        raise InvalidInput("malformed size of a chunk")
    return int(line, 16)


def asked_for(head: bytes) -> str:
    """The host that a request which may be malformed seems to name; no path, no password."""
    words = head.decode("latin-1").split("\r\n", 1)[0].split(" ", 2)
    target = words[1 if len(words) > 1 else 0]
    where = _WHERE.match(target)
    return printable(where[1].rpartition("@")[2]) if where else ""


def _split(head: bytes) -> tuple[str, Fields]:
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not (colon and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise InvalidInput("malformed header line")  # which may hold a secret
        fields.append((name, value.strip(" \t")))
    return first, fields


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Answer"


def _head(first: str, fields: Fields) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END


def _connect_target(target: str) -> tuple[str, int, str]:
    host, port = split_authority(target)
    if port is None:
        raise InvalidInput("CONNECT names no port")
    return canonical(host), port, ""


def _absolute_target(target: str) -> tuple[str, int, str]:
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise InvalidInput("a proxy is asked by CONNECT host:port, or for http://host/path")
    if "#" in rest:
        raise InvalidInput("a fragment is not sent")
    where = re.split(r"[/?]", rest, maxsplit=1)[0]
    host, port = split_authority(where)
    path = rest[len(where) :]
    path = path if path.startswith("/") else f"/{path}"
    return canonical(host), port or _HTTP_PORT, path


def _check_host(fields: Fields, host: str, port: int, *, default: int) -> None:
    """The Host header must say what the target says: a server may go by either."""
    said = _values(fields, "host")
    if len(said) != 1:
        raise InvalidInput("there must be one Host header")
    name, said_port = split_authority(said[0])
    if (canonical(name), said_port or default) != (host, port):
        raise InvalidInput(f"Host: '{printable(said[0])}' is not {authority(host, port)}")


def _body(fields: Fields, version: str) -> int | None:
    lengths = _values(fields, "content-length")
    codings = _values(fields, "transfer-encoding")
    if codings:
        if lengths:
            raise InvalidInput("both Content-Length and Transfer-Encoding")
        if version == "HTTP/1.0" or [coding.lower() for coding in codings] != ["chunked"]:
            raise InvalidInput("the only Transfer-Encoding taken is 'chunked', in HTTP/1.1")
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise InvalidInput("malformed Content-Length")
    return int(lengths[0])


def _end_to_end(fields: Fields, *, drop: frozenset[str]) -> Fields:
    """Those *fields* that go further, without the ones in *drop*."""
    named = _listed(_values(fields, "connection")) - _FRAMING
    gone = _HOP_BY_HOP | named | drop
    return [
        (name, value)
        for name, value in fields
        if (low := name.lower()) not in gone and not low.startswith("proxy-")
    ]


def _listed(values: Iterable[str]) -> frozenset[str]:
    return frozenset(word.strip().lower() for value in values for word in value.split(","))


def _values(fields: Fields, name: str) -> list[str]:
    return [value for field, value in fields if field.lower() == name]
