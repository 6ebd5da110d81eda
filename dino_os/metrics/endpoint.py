"""
`/metrics` for Prometheus: what `dino metrics --prometheus` prints, to whoever asks.

One request after the other, each looking again.  On loopback anybody on this machine may ask, as
he may read the journals' sizes; beyond it there must be a password.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dino_os.errors import InvalidInput
from dino_os.offline.guard import LOOPBACK, Guard
from dino_os.serving import in_address, listening, server_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from engines.metrics import MetricsCollector

PORT = 9464
_LOOPBACK_HOSTS = {host.strip("[]") for host in LOOPBACK}


@dataclass(frozen=True, slots=True)
class Options:
    """
    Where the metrics are served.

    Attributes:
        port: 0 for any that is free.
        names: What requests may call the server besides its address and `localhost`.
        password: What is asked for, as a bearer token or of the user `dino`; None asks for none.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    names: tuple[str, ...] = ()
    password: str | None = None


def serve(found: MetricsCollector, options: Options, on_start: Callable[[str], None]) -> None:
    """
    Serve until interrupted.

    Args:
        on_start: Told the address.

    Raises:
        InvalidInput: It would be served beyond this machine without a password.
        NotListening: The address cannot be listened on.
        KeyboardInterrupt: At the end, when all is closed.
    """
    if options.password is None and options.host not in _LOOPBACK_HOSTS:
        raise InvalidInput(
            f"{options.host} is more than this machine", hint="name a key of the vault with --key"
        )
    with listening(options.host, options.port) as heard:
        host = in_address(options.host)
        names = {*LOOPBACK, host, *options.names}
        guarded = Guard(application(found), password=options.password, names=names)
        server = server_of(guarded)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
        on_start(f"http://{host}:{heard.getsockname()[1]}/metrics")
        server.run(sockets=[heard])


def application(found: MetricsCollector) -> Starlette:
    """The application, without a guard."""
    from starlette.applications import Starlette  # noqa: PLC0415  where something is served
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    from engines.metrics import CONTENT_TYPE, render  # noqa: PLC0415

    async def metrics(_request: Request) -> Response:
        # In the one thread there is: what looks is no two threads' to share.
        found.update_all()
        text = render(found.families())
        return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    return Starlette(routes=[Route("/metrics", metrics, methods=["GET"])])
