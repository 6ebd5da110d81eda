"""
Who may call a server of ours at all: by name of the host, by origin, by password.

A page that somebody's browser shows can reach servers on loopback.  Its requests carry the name it
was loaded from (Host, by which DNS rebinding is told) and its origin; neither is trusted unless it
was named.  And without the password, where there is one, nothing is answered.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from dino_os.offline.wire import Refused, as_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

USER = "dino"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_CHALLENGE = (b"www-authenticate", b'Basic realm="dino", charset="UTF-8"')
_KIND = (b"content-type", b"application/json")
# Else the rest of the request, which may have no end, would be read and thrown away.
CLOSE = ("Connection", "close")


class Guard:
    """
    Lets those calls through to *app* that may be made.

    Args:
        password: As the password of the user `dino`, or as a bearer token; None asks for none.
        names: What the server may be called in a request's Host.
        origins: Of pages that may call it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        password: str | None,
        names: Collection[str] = LOOPBACK,
        origins: Collection[str] = (),
    ) -> None:
        self._app = app
        self._accepted: tuple[tuple[str, bytes], ...] = ()
        if password is not None:
            basic = base64.b64encode(f"{USER}:{password}".encode())
            self._accepted = (("basic", basic), ("bearer", password.encode()))
        self._names = {name.lower() for name in names}
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # nothing else is served
            return
        refused = self.refusal(scope["headers"])
        if refused is None:
            await self._app(scope, receive, send)
            return
        body = as_json(refused.document)
        closes = tuple(word.encode() for word in CLOSE)
        headers = [_KIND, closes, (b"content-length", str(len(body)).encode())]
        if refused.status is HTTPStatus.UNAUTHORIZED:
            headers.append(_CHALLENGE)
        await send(
            {"type": "http.response.start", "status": int(refused.status), "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> Refused | None:
        """Why a request with these headers is not answered; None where it is."""
        found: dict[bytes, list[str]] = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value.decode("latin-1"))
        hosts = [_without_port(host).lower() for host in found.get(b"host", [])]
        if len(hosts) != 1 or hosts[0] not in self._names:
            return Refused(HTTPStatus.MISDIRECTED_REQUEST, "this server has another name")
        if any(origin not in self._origins for origin in found.get(b"origin", [])):
            return Refused(HTTPStatus.FORBIDDEN, "pages of this origin may not call this server")
        credentials = found.get(b"authorization", [])
        if not self._accepted:
            return None
        if len(credentials) != 1 or not self._knows(credentials[0]):
            return Refused(HTTPStatus.UNAUTHORIZED, "name or password is incorrect")
        return None

    def _knows(self, credentials: str) -> bool:
        kind, _, given = credentials.partition(" ")
        shown = given.strip().encode("latin-1")
        matches = [
            kind.lower() == name and hmac.compare_digest(_plain(name, shown), _plain(name, secret))
            for name, secret in self._accepted
        ]
        return any(matches)


def _plain(kind: str, text: bytes) -> bytes:
    """Basic credentials without their base64, which has more than one spelling."""
    if kind != "basic":
        return text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _without_port(host: str) -> str:
    head, colon, port = host.rpartition(":")
    return head if colon and port.isdigit() else host
