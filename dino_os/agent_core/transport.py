"""
The one way to a server of models: which addresses are dialled, and what of a request goes out.

A name is looked up once; of what it stands for only addresses are dialled that were judged, so that
`local_only` holds whatever a name, a redirect or a proxy would have it be.  Redirects are not
followed and proxies not used.  Headers that nobody here asked for (the client library's about this
machine, others' from the environment) stay here; the key is added at the last moment, and a request
whose body holds a secret is not sent.  What comes back is read as it is, unpacked by nobody, and no
further than `MOST_BYTES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from functools import cache
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import httpcore2
import httpx2

from dino_os.agent_core.providers import Provider
from dino_os.errors import Denied
from dino_os.tool_sandbox.egress.hosts import Address, canonical, kind_of, literal
from dino_os.tool_sandbox.egress.lookup import MOST_DIALLED, NoAddress, Resolve, look_up

HERE = frozenset({"loopback"})
NEAR = HERE | {"private"}
ANYWHERE = NEAR | {"public"}
MOST_BYTES = 16 * 2**20  # of an answer
_SENT = frozenset({"host", "accept", "content-type", "content-length", "connection"})
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
Clean = Callable[[str], str]
"""A text without the secrets in it."""


class Elsewhere(Denied):
    """The server is not where it may be asked."""


class Spilt(Denied):
    """A secret was in what was about to be sent."""


class Unusable(httpx2.DecodingError):
    """What comes back is nothing that is read."""


async def addresses_of(
    host: str, port: int, within_s: float, resolve: Resolve = socket.getaddrinfo
) -> list[Address]:
    """
    What *host* stands for.

    Raises:
        OSError: Nothing, or not in time.
        InvalidInput: It is no host.
    """
    name = canonical(host)
    if own := literal(name):
        return [own]
    loop = asyncio.get_running_loop()
    told: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str], failure: NoAddress | None) -> None:
        def settle() -> None:
            if told.done():  # nobody waits any more
                return
            told.set_exception(failure) if failure else told.set_result(addresses)

        with contextlib.suppress(RuntimeError):  # too late: the loop is gone
            loop.call_soon_threadsafe(settle)

    look_up(resolve, name, port, tell)
    try:
        async with asyncio.timeout(within_s):
            found = await told
    except TimeoutError:
        raise TimeoutError(f"{host} was not looked up in time") from None
    return [address for text in found if (address := literal(text))]


def is_near(addresses: Iterable[Address]) -> bool:
    """Whether all of them are of this machine or its own network."""
    kinds = {kind(address) for address in addresses}
    return bool(kinds) and kinds <= NEAR


def kind(address: Address) -> str:
    """As `kind_of`; what somebody else translates to a near IPv4 address is not near itself."""
    found = kind_of(address)
    if found in NEAR and isinstance(address, IPv6Address):
        return found if address.is_loopback or address in _UNIQUE_LOCAL else "translated"
    return found


class Guard(httpcore2.AsyncNetworkBackend):
    """
    Connects to addresses of *kinds* and to no others.

    Args:
        why: For whom it is told that an address is not among them.
    """

    def __init__(
        self, kinds: frozenset[str], why: str, resolve: Resolve = socket.getaddrinfo
    ) -> None:
        self._kinds = kinds
        self._why = why
        self._resolve = resolve
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the library's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        within = 60.0 if timeout is None else timeout
        found = await addresses_of(host, port, within, self._resolve)
        allowed = [address for address in found if kind(address) in self._kinds]
        if not allowed:
            shown = f"{host} stands for {found[0]}" if found else f"{host} has no address"
            what = f", a {kind(found[0])} address" if found else ""
            raise Elsewhere(f"{shown}{what}: {self._why}")
        dialled = allowed[:MOST_DIALLED]
        for place, address in enumerate(dialled):
            try:
                return await self._plain.connect_tcp(
                    str(address), port, within / len(dialled), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if place == len(dialled) - 1:
                    raise
        raise AssertionError

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Wire(httpx2.AsyncHTTPTransport):
    """
    Sends what may be sent to *provider*, by *guard*.

    Args:
        clean: Finds secrets.
    """

    def __init__(self, provider: Provider, guard: Guard, clean: Clean) -> None:
        super().__init__(verify=_untrusting(), trust_env=False)
        self._key = provider.key
        self._clean = clean
        # The library has no argument for it.  Connections are not kept: one that outlives its call
        # belongs to an event loop that may be gone when the next call comes.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_trusting() if provider.encrypted else _untrusting(),
            max_keepalive_connections=0,
            network_backend=guard,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = (await request.aread()).decode("utf-8", "replace")
        secret = self._key().reveal() if self._key else ""
        if (secret and secret in body) or self._clean(body) != body:
            raise Spilt(
                "a secret is in what was about to be sent to a model; nothing was sent",
                hint="take it out of the prompt, the file or the tool's answer",
            )
        sent = {name: value for name, value in request.headers.items() if name in _SENT}
        sent |= {"user-agent": "dino", "accept-encoding": "identity"}
        if secret:
            sent["authorization"] = f"Bearer {secret}"
        request.headers = httpx2.Headers(sent)
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise Unusable("its answer is packed, which nobody asked for")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response),
            extensions=response.extensions,
        )


class _Bounded(httpx2.AsyncByteStream):
    """The body of *response*, as long as an answer may be."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for piece in self._response.aiter_raw():
            left -= len(piece)
            if left < 0:
                raise Unusable(f"its answer is longer than {MOST_BYTES // 2**20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


def client_for(
    provider: Provider,
    kinds: frozenset[str],
    why: str,
    *,
    clean: Clean,
    resolve: Resolve = socket.getaddrinfo,
) -> httpx2.AsyncClient:
    """What asks *provider*, at addresses of *kinds*; *why* is told where it has none."""
    return httpx2.AsyncClient(
        transport=Wire(provider, Guard(kinds, why, resolve), clean),
        timeout=httpx2.Timeout(provider.timeout_s, connect=provider.connect_s),
        follow_redirects=False,
        trust_env=False,
    )


@cache
def _trusting() -> ssl.SSLContext:
    """Once: to read all certificates of the system takes as long as a request."""
    return ssl.create_default_context()


@cache
def _untrusting() -> ssl.SSLContext:
    """Where there is no TLS: it trusts nobody, and costs nothing to make."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
