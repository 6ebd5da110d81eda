"""A key of the vault that is a part of Dino's own, made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dino_os.errors import NotFound

if TYPE_CHECKING:
    from dino_os.security_gateway.gateway import Gateway


class OwnKey:
    """
    The key *name* of *part*, with which it seals.

    Args:
        gateway: Whose vault has it; asked for when it is needed.
    """

    def __init__(self, gateway: Callable[[], Gateway], name: str, part: str) -> None:
        self._find_gateway = gateway
        self._name = name
        self._part = part

    def found(self) -> bytes | None:
        """
        The key, or None where there is none.

        Raises:
            VaultLocked: The vault cannot be opened now.
        """
        try:
            text = self._find_gateway().own_key(self._name, self._part)
            return None if text is None else bytes.fromhex(text)
        except (NotFound, ValueError):  # by `security.require_keys`; and what is no key of ours
            return None

    def found_or_made(self) -> bytes:
        """
        The key, which is made where there is none.

        Raises:
            VaultLocked: The vault cannot be opened now.
        """
        return self.found() or self._made()

    def _made(self) -> bytes:
        from dino_os.security_gateway.sealing import new_key  # noqa: PLC0415

        gateway = self._find_gateway()
        gateway.vault.begin()
        gateway.vault.unlock()
        with gateway.log.deciding():  # of two who find none one makes it
            key = self.found()
            if key is None:
                key = new_key()
                gateway.lend(self._part, ("key_management",))
                gateway.set_key(self._name, key.hex(), asker=self._part)
        return key
