"""
Which servers are trusted, and how we show them who we are.

Every connection is judged by what the server says of itself before a byte is sent to it, each time
anew: a reconnect may lead to another server, and names may stand for other addresses by then.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dino_os.errors import Denied, InvalidInput

if TYPE_CHECKING:
    from dino_os.config import Cluster

_PORT = 4222
_SEED = 58  # characters of an nkey's seed


class Refused(Exception):
    """
    A server was refused.

    Attributes:
        reason: Why, for people.
    """

    def __init__(self, reason: Denied) -> None:
        self.reason = reason
        super().__init__(str(reason))


class Trust:
    """What *settings* demand of a server."""

    def __init__(self, settings: Cluster, root: Path) -> None:
        self._settings = settings
        self._ca = root / Path(settings.ca).expanduser() if settings.ca else None
        self._wants_tls = bool(settings.ca) or "tls://" in settings.url

    def context(self) -> ssl.SSLContext:
        """
        How TLS is spoken: the certificate must be the host's, and signed by an authority we know.

        Raises:
            InvalidInput: The file of `cluster.ca` is none.
        """
        try:
            return ssl.create_default_context(cafile=self._ca)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                f"cluster.ca: {self._ca}: {error.strerror or 'holds no certificate'}",
                hint="a file in PEM form with the authority's certificate",
            ) from None

    def judge(self, info: dict[str, Any], peer: str) -> None:
        """
        Refuse a server that is not what was asked for.

        Args:
            info: What it says of itself.
            peer: The address that we are connected to, not the name we asked for.

        Raises:
            Refused: TLS was asked for and it has none; or somebody else than this machine can talk
                to it, and it does not ask who.
        """
        tls = bool(info.get("tls_required"))
        if self._wants_tls and not tls:
            raise Refused(
                Denied(f"{peer}: TLS was asked for, and this server has none", hint="see `tls {…}`")
            )
        if self._settings.insecure or is_loopback(peer):
            return
        missing = [
            what
            for what, there in (
                ("asks nobody who they are", info.get("auth_required")),
                ("has no TLS", tls),
            )
            if not there
        ]
        if missing:
            raise Refused(
                Denied(
                    f"{peer}: not trusted off this machine: it {' and '.join(missing)}",
                    hint="docs/cluster.md has a configuration; `cluster.insecure: true` where the "
                    "network itself keeps others out",
                )
            )


def is_loopback(address: str) -> bool:
    """Whether only this machine can be at *address*; a name is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def urls_of(settings: Cluster) -> list[str]:
    """
    The servers of `cluster.url`, which commas separate.

    Raises:
        InvalidInput: One is no address of a server.
    """
    found = [part.strip() for part in settings.url.split(",") if part.strip()]
    if not found:
        raise InvalidInput("cluster.url is empty: there is no cluster")
    for url in found:
        try:
            parts = urlsplit(url)
            port, host = parts.port or _PORT, parts.hostname
        except ValueError:
            parts, port, host = urlsplit(""), 0, None
        if parts.scheme not in {"nats", "tls"} or not host or not port or parts.path.strip("/"):
            raise InvalidInput(
                f"cluster.url: expected nats://HOST:PORT or tls://HOST:PORT, found {url!r}"
            )
    return found


def sign_in(settings: Cluster, secret: Callable[[str], str]) -> dict[str, Any]:
    """
    How nats-py shows who we are, from what the vault has: an nkey's seed, the text of a `.creds`
    file, `user:password`, or else a token.
    """
    if not settings.credentials:
        return {}
    text = secret(settings.credentials).strip()
    if "BEGIN NATS USER JWT" in text:
        from nats.aio.client import RawCredentials  # noqa: PLC0415

        return {"user_credentials": RawCredentials(text + "\n")}
    if len(text) == _SEED and text.startswith("SU") and text.isalnum():
        return {"nkeys_seed_str": text}
    user, colon, password = text.partition(":")
    return {"user": user, "password": password} if colon else {"token": text}


def new_key() -> tuple[str, str]:
    """A new nkey of a user: its seed, which is secret, and its public half."""
    import nkeys  # type: ignore[import-untyped]  # noqa: PLC0415  heavy

    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return bytes(seed).decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()
