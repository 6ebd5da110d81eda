"""
The protocol server as a web application: requests in, answers out, with an end to their size.

Starlette carries it.  The store's calls run in threads; live feeds wait without one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dino_os.offline.feeds import Asked, LiveFeed, News, is_live
from dino_os.offline.guard import CLOSE, LOOPBACK, Guard
from dino_os.offline.protocol import DATABASE, Protocol
from dino_os.offline.wire import Answer, Call, Refused, refuse, told

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MOST_BYTES = 64 * 2**20
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_HEADERS = ("accept", "authorization", "content-type", "if-match", "origin", "referer")
_PREFLIGHT_S = 600
_SPACES = ("_design/", "_local/")
_NO_STORE = {"Cache-Control": "must-revalidate"}

Complain = Callable[[str], None]


class Application:
    """
    The application over *protocol*.

    Args:
        password: Without which nothing is answered.
        names: What the server may be called.
        origins: Of pages that may call it from a browser.
        complain: Told of a fault of ours.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        password: str,
        names: Collection[str] = LOOPBACK,
        origins: Collection[str] = (),
        most_bytes: int = MOST_BYTES,
        complain: Complain = lambda _: None,
    ) -> None:
        self._protocol = protocol
        self._most_bytes = most_bytes
        self._complain = complain
        self.news = News(protocol.store)
        inner = Starlette(routes=[Route("/{path:path}", self._serve, methods=[*_METHODS])])
        self.asgi: ASGIApp = Guard(inner, password=password, names=names, origins=origins)
        if origins:
            self.asgi = CORSMiddleware(
                self.asgi,
                allow_origins=[*origins],
                allow_methods=_METHODS,
                allow_headers=_HEADERS,
                expose_headers=("etag",),
                allow_credentials=True,
                allow_private_network=True,  # a page from the web, a server on loopback
                max_age=_PREFLIGHT_S,
            )

    async def _serve(self, request: Request) -> Response:
        try:
            call = await self._call(request)
            if is_live(call) and call.segments[1:] == ("_changes",):
                return await self._live(call)
            return _response(await run_in_threadpool(self._protocol.answer, call))
        except Refused as refused:
            return _response(Answer(refused.document, refused.status, dict([CLOSE])))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except Exception as error:  # noqa: BLE001  the one place where a fault of ours ends
            self._complain(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
            fault = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the server's")
            return _response(Answer(fault.document, fault.status))

    async def _live(self, call: Call) -> Response:
        if call.segments[0] != DATABASE:
            refuse("Database does not exist.", HTTPStatus.NOT_FOUND)

        def asked() -> Asked:
            with told():
                return Asked.of(self._protocol.store, call)

        wanted = await run_in_threadpool(asked)
        continuous = call.query["feed"] == "continuous"
        feed = LiveFeed(self._protocol.store, wanted, self.news, continuous=continuous)
        return StreamingResponse(feed.blocks(), media_type="application/json", headers=_NO_STORE)

    async def _call(self, request: Request) -> Call:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._most_bytes:
            self._too_large()
        body = bytearray()
        async for block in request.stream():
            body += block
            if len(body) > self._most_bytes:
                self._too_large()
        return Call(
            method=request.method,
            segments=_segments(request.scope["raw_path"]),
            query=dict(_query(request.scope["query_string"])),
            headers=dict(request.headers),
            body=bytes(body),
        )

    def _too_large(self) -> None:
        refuse(
            f"the request has more than {self._most_bytes:,} bytes",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )


def _segments(raw_path: bytes) -> tuple[str, ...]:
    """Each decoded by itself: `%2F` in an id separates nothing."""
    path = raw_path.partition(b"?")[0].strip(b"/")
    try:
        found = [unquote_to_bytes(part).decode() for part in path.split(b"/")] if path else []
    except UnicodeDecodeError:
        refuse("the address is not UTF-8")
    if len(found) > 1 and found[1].startswith(_SPACES):  # the one slash that separates all the same
        found[1:2] = found[1].split("/", 1)
    return tuple(found)


def _query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        refuse("the parameters are not UTF-8")


def _response(answer: Answer) -> Response:
    # As a header, or text would be given a charset that is not its own.
    headers = {**_NO_STORE, "Content-Type": answer.kind, **answer.headers}
    if answer.blocks is not None:
        return StreamingResponse(answer.blocks, status_code=answer.status, headers=headers)
    return Response(answer.body, status_code=answer.status, headers=headers)
