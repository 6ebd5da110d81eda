"""
The gates' private keys in the workspace's vault, as `gate/DOMAIN`.

The key of the pseudonyms is not among them: without it no request can be decided, and requests come
by night too, when nobody is there to open the vault.  It lies beside the workspace's other keys, in
a file of mode 0600 outside the workspace.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.errors import NotFound
from engines.durable import make_folder
from engines.nav_mesh import FileKeys, Keys, KeysBroken

if TYPE_CHECKING:
    from dino_os.security_gateway.gateway import Gateway

_PART = "engine:nav_mesh"


class VaultKeys:
    """
    Keys in a vault.

    Args:
        gateway: Whose; asked for when a key is.
        pseudonyms: Where the file with the key of the pseudonyms lies.
    """

    def __init__(self, gateway: Callable[[], Gateway], pseudonyms: Callable[[], Path]) -> None:
        self._find_gateway = gateway
        self._pseudonyms = pseudonyms

    def unlock(self) -> None:
        """Open the vault, or make one; may ask for a passphrase."""
        vault = self._gateway().vault
        vault.begin()
        vault.unlock()

    def load(self, domain: str) -> bytes | None:
        try:
            text = self._gateway().own_key(_name(domain), _PART)
        except NotFound:  # by `security.require_keys`
            text = None
        try:
            return bytes.fromhex(text) if text is not None else None
        except ValueError:
            raise KeysBroken(
                f"the vault's key {_name(domain)!r} is none of a gate's",
                hint=f"`dino gate rotate {domain}` makes a new one",
            ) from None

    def save(self, domain: str, private: bytes) -> None:
        gateway = self._gateway()
        gateway.lend(_PART, ("key_management",))
        gateway.set_key(_name(domain), private.hex(), asker=_PART)

    def pseudonyms(self) -> bytes:
        path = self._pseudonyms()
        make_folder(path.parent, 0o700)
        return FileKeys(path).pseudonyms()

    def _gateway(self) -> Gateway:
        gateway = self._find_gateway()
        gateway.log.refresh()
        return gateway


def for_workspace(memory: Path) -> Keys:
    """The keys of the workspace whose journals lie in *memory*: what `dino.gate_keys` names."""
    from dino_os.workspace import Workspace  # noqa: PLC0415  which imports much

    return Workspace.shared(memory.parent).gate_keys


def _name(domain: str) -> str:
    return f"gate/{domain}"
