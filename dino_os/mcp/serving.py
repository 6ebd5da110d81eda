"""
`dino mcp serve`: over standard input and output, or over HTTP on loopback.

There is no TLS here, and no address but loopback's is listened on.  Whoever asks needs the token,
and a page in a browser is told by its Host and Origin: the guard is that of the other servers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dino_os.errors import InvalidInput
from dino_os.mcp.offer import Offer
from dino_os.mcp.sdk import innermost
from dino_os.mcp.server import server_of
from dino_os.serving import in_address, listening
from dino_os.serving import server_of as web_server_of

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server
    from starlette.types import ASGIApp

    from dino_os.workspace import Workspace

PORT = 8383
PATH = "/mcp"
_MOST_BYTES = 2**20  # of a request's body
_MOST_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class Options:
    """
    Where it is served.

    Attributes:
        port: 0 for any that is free.
        names: What requests may call the server besides its address and `localhost`.
        token: None for one that nobody could guess.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    names: tuple[str, ...] = ()
    token: str | None = None


def prepare(workspace: Workspace) -> None:
    """Have what comes in here recorded as a client's, and keys out of logs and core files."""
    os.environ.setdefault("DINO_DOOR", "mcp")
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it quotes what clients send
    if (workspace.memory / "vault" / "vault.json").exists():
        from dino_os.security_gateway.hardening import harden  # noqa: PLC0415  where there are any

        harden()


def serve_stdio(workspace: Workspace, offer: Offer, *, with_resources: bool) -> None:
    """Serve the client at the other end of the pipes until it closes them."""
    import anyio  # noqa: PLC0415  where something is served
    from mcp.server.stdio import stdio_server  # noqa: PLC0415  as above

    server = server_of(workspace, offer, with_resources=with_resources)
    # Its input is waited for in a thread that no exception reaches; what is recorded stands.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    async def serve() -> None:
        # What else is printed here goes to standard error: the library sees to that.
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    try:
        anyio.run(serve)
    except BaseExceptionGroup as group:  # of a client that was killed: BrokenPipeError
        raise innermost(group) from None


def serve_http(
    workspace: Workspace,
    offer: Offer,
    options: Options,
    on_start: Callable[[str, str], None],
    *,
    with_resources: bool,
) -> None:
    """
    Serve until interrupted.

    Args:
        on_start: Told the address and the token.

    Raises:
        InvalidInput: The address is more than this machine.
        NotListening: It cannot be listened on.
        KeyboardInterrupt: At the end, when all is closed.
    """
    import anyio  # noqa: PLC0415  where something is served

    # What is served over pipes does without these, which take a good part of a start.
    from dino_os.offline.guard import LOOPBACK  # noqa: PLC0415
    from dino_os.offline.server import new_password  # noqa: PLC0415

    if options.host not in {host.strip("[]") for host in LOOPBACK}:
        raise InvalidInput(
            f"{options.host} is more than this machine, and there is no TLS here",
            hint="put something in front that has TLS, and name what it is called with --name",
        )
    token = options.token or new_password()
    server = server_of(workspace, offer, with_resources=with_resources)
    with listening(options.host, options.port) as heard:
        host = in_address(options.host)
        application = application_of(server, token, {*LOOPBACK, host, *options.names})
        web = web_server_of(application)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does

        async def serve() -> None:
            async with server.session_manager.run():
                on_start(f"http://{host}:{heard.getsockname()[1]}{PATH}", token)
                # uvicorn raises the signal again that ended it: in here the groups would wrap it.
                with contextlib.suppress(KeyboardInterrupt):
                    await web.serve(sockets=[heard])

        anyio.run(serve)
        raise KeyboardInterrupt


def application_of(server: Server[Any], token: str, names: set[str]) -> ASGIApp:
    """*server* behind its guard; `server.session_manager` must run while it is served."""
    from mcp.server.transport_security import (  # noqa: PLC0415  where something is served
        TransportSecuritySettings,
    )

    from dino_os.offline.guard import Guard  # noqa: PLC0415  over HTTP alone

    inner = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=_MOST_BYTES,
        max_sessions=_MOST_SESSIONS,
        # The guard in front knows the names.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Guard(inner, password=token, names=names)
