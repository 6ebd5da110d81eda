"""
The mesh's requests on the network: HTTP(S) with an end to everything, TLS always verified.

A redirect is not followed, a proxy is not used, and no name leads to an address inside that was not
granted.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.errors import ConfigError, Denied, InvalidInput
from dino_os.nav.dialling import Dialler
from dino_os.tool_sandbox.egress.hosts import canonical
from dino_os.tool_sandbox.egress.lookup import Resolve
from dino_os.web_calls import AnswerTooLarge, Unreachable, call, checked_url, origin_of
from engines.nav_mesh import Request, Response, Unreached

if TYPE_CHECKING:
    from ssl import SSLContext

KEY_HEADER = "Idempotency-Key"
# What is between two neighbours, or is written anew.
_OWN = frozenset(
    {
        *("connection", "content-length", "expect", "host", "http2-settings", "keep-alive"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"),
        "upgrade",
    }
)


class WebTransport:
    """
    Asks one address.

    Args:
        private_hosts: Names that may stand for private addresses.
        ca_file: Certificates of authorities that are trusted besides the system's.
        most_bytes: Of an answer.
        connect_s: For a connection, with the look-up of its name and its TLS; None is as long as
            for the answer.
    """

    def __init__(
        self,
        *,
        private_hosts: Sequence[str] = (),
        ca_file: Path | None = None,
        most_bytes: int = 16 * 2**20,
        connect_s: float | None = None,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._dial = Dialler(private_hosts, resolve)
        self._ca_file = ca_file
        self._most_bytes = most_bytes
        self._connect_s = connect_s
        self._guard = threading.Lock()

    def __call__(self, address: str, request: Request, seconds: float) -> Response:
        """
        What *address* answers to *request*, whatever its status.

        Raises:
            Unreached: No answer, or not all of it in time; or its name leads where nothing may go.
            InvalidInput: Address or headers cannot be such.
        """
        with self._guard:
            tls = self._tls if address.startswith("https:") else None
        lacks = ""
        try:
            answer = call(
                request.method,
                address.rstrip("/") + request.path,
                headers=headers_of(request),
                body=request.body,
                timeout_s=seconds,
                most_bytes=self._most_bytes,
                connect_s=self._connect_s,
                dial=self._dial,
                tls=tls,
            )
        except AnswerTooLarge as error:
            answer, lacks = error.answer, error.message
        except Unreachable as error:
            raise Unreached(error.message, heard=error.heard) from None
        except Denied as error:  # as behind the portal of a hotel, which answers to every name
            why = f"{error}; only `nav.private_hosts` lets it"
            raise Unreached(f"{origin_of(checked_url(address))}: {why}", heard=False) from None
        return Response(
            answer.status, answer.headers, answer.body, lacks=lacks, fields=answer.fields
        )

    @cached_property
    def _tls(self) -> SSLContext:
        from ssl import create_default_context  # noqa: PLC0415

        context = create_default_context()
        if self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except OSError as error:  # also what is no certificate
                why = error.strerror or "no certificate in it"
                raise ConfigError(f"nav.ca_file: {self._ca_file}: {why}") from None
        return context


def headers_of(request: Request) -> dict[str, str]:
    """What goes on to the service, with its idempotency key."""
    named = {
        word.strip().lower()
        for name, value in request.headers.items()
        if name.lower() == "connection"
        for word in value.split(",")
    }
    gone = _OWN | named | ({KEY_HEADER.lower()} if request.idempotency_key else frozenset())
    kept = {name: value for name, value in request.headers.items() if name.lower() not in gone}
    if request.idempotency_key:
        kept[KEY_HEADER] = request.idempotency_key
    return kept


def checked_address(address: str) -> str:
    """
    *address*, if it can be a route's.

    Raises:
        InvalidInput: It is none of the web, or has a query, which a request brings itself.
    """
    parts = checked_url(address)
    canonical(parts.hostname or "")
    if parts.query or parts.fragment or "?" in address or "#" in address:
        raise InvalidInput(f"not an address of a route: {address!r}: it has a query")
    return address
