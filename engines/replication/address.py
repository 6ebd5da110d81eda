"""The address of a database: what is connected to, what is shown, what may be said to it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from engines.errors import InvalidInput
from engines.replication.coding import encode
from engines.replication.credentials import Basic

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where a database is; whoever it lets in is not part of it.

    Attributes:
        path: Of the database, quoted, without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def server(self) -> str:
        """The path of the server that the database is on."""
        return self.path.rpartition("/")[0]

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read along."""
        if self.scheme == "https" or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(url: str) -> tuple[Address, Basic | None]:
    """
    *url* taken apart: the address, and the user and password that may stand in it.

    Raises:
        InvalidInput: It is no address of a database.  The text never shows a password.
    """
    parts = urlsplit(url)
    try:
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError:
        raise InvalidInput("the port of a peer's address is no number") from None
    path = "/" + "/".join(quote(unquote(p), safe="") for p in parts.path.split("/") if p)
    if parts.scheme not in _PORTS or not host or path == "/":
        raise InvalidInput(
            "a peer's address is that of a database, as https://host/database",
            hint="credentials are best handed in beside it, not within it",
        )
    if parts.query or parts.fragment:
        raise InvalidInput("a peer's address ends with the name of its database")
    user = Basic(unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], path), user


def doc_path(doc_id: str) -> str:
    """The path of a document below its database's."""
    for kept in ("_design/", "_local/"):
        if doc_id.startswith(kept):
            return f"/{kept}{quote(doc_id.removeprefix(kept), safe='')}"
    return "/" + quote(doc_id, safe="")


def query(**given: Any) -> str:
    """Parameters of a request; text as it is, anything else as JSON; None is left out."""
    pairs = [
        (name, value if isinstance(value, str) else encode(value).decode())
        for name, value in given.items()
        if value is not None
    ]
    return "?" + urlencode(pairs) if pairs else ""
