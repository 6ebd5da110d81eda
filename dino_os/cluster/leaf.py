"""
The configuration of a nats-server at a site that is often offline: a leaf of the hub.

What lies in wait at such a site lies in its journals; the server there carries, and keeps nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from dino_os.cluster.trust import is_loopback
from dino_os.errors import InvalidInput

_LEAF_PORT = 7422


@dataclass(frozen=True, slots=True)
class Leaf:
    """
    A leaf.

    Attributes:
        hub: Where the hub listens for leaves: `tls://HOST:PORT`.
        sign_in: `user:password` that the hub knows it by; empty where it asks for none.
        listen: Where it listens for the nodes of its site: an address, and a port.
        ca: The file with the authority that signed the hub's certificate.
        nkeys: The public keys of the nodes that may connect; needed where it listens for other
            machines, as are *cert* and *key*.
    """

    hub: str
    sign_in: str = ""
    listen: str = "127.0.0.1:4222"
    ca: str = ""
    cert: str = ""
    key: str = ""
    nkeys: tuple[str, ...] = ()

    def text(self) -> str:
        """
        The file for `nats-server -c`.

        Raises:
            InvalidInput: It would let anybody in, or send a password in clear.
        """
        hub = urlsplit(self.hub)
        if hub.scheme not in {"tls", "nats", "nats-leaf"} or not hub.hostname or "@" in self.hub:
            raise InvalidInput(f"--hub: expected tls://HOST:{_LEAF_PORT}, found {self.hub!r}")
        far = not is_loopback(hub.hostname)
        if far and hub.scheme != "tls":
            raise InvalidInput("--hub: a hub on another machine is reached by tls://")
        address, _, port = self.listen.rpartition(":")
        if not address or not port.isdigit():
            raise InvalidInput(f"--listen: expected ADDRESS:PORT, found {self.listen!r}")
        if not is_loopback(address.strip("[]")) and not (self.nkeys and self.cert and self.key):
            raise InvalidInput(
                f"--listen {self.listen}: other machines could connect",
                hint="give --nkey for each node, --cert and --key; or listen on 127.0.0.1",
            )
        lines = [f"listen: {_quoted(self.listen)}"]
        if self.nkeys:
            users = ", ".join(f"{{nkey: {_quoted(nkey)}}}" for nkey in self.nkeys)
            lines.append(f"authorization {{ users: [{users}] }}")
        if self.cert:
            files = f"cert_file: {_quoted(self.cert)}, key_file: {_quoted(self.key)}"
            lines.append(f"tls {{ {files} }}")
        user, _, password = self.sign_in.partition(":")
        who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if self.sign_in else ""
        url = f"{hub.scheme}://{who}{hub.hostname}:{hub.port or _LEAF_PORT}"
        tls = f", tls: {{ ca_file: {_quoted(self.ca)} }}" if self.ca else ""
        lines.append(f"leafnodes {{ reconnect: 2, remotes: [ {{ url: {_quoted(url)}{tls} }} ] }}")
        return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return json.dumps(text)
