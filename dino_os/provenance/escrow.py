"""The workspace's escrow: its file, and the role's private key in the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dino_os.errors import InvalidInput, NotFound
from engines.redaction import Escrow, EscrowBroken

if TYPE_CHECKING:
    from dino_os.workspace.parts import Parts

_FILE = "redaction_escrow.db"
_PART = "engine:provenance"


class RoleEscrow:
    """
    The escrow for the role that `provenance.redaction.escrow` names.

    The private key is the vault's `escrow/ROLE`: who may have that may reveal, and each time is
    recorded as of every key.
    """

    def __init__(self, workspace: Parts) -> None:
        self._workspace = workspace
        self.role = workspace.config.settings.provenance.redaction.escrow

    @property
    def escrow(self) -> Escrow:
        """
        Raises:
            InvalidInput: The settings name no role.
        """
        if not self.role:
            raise InvalidInput(
                "there is no escrow: provenance.redaction.escrow names no role",
                hint="`dino config set provenance.redaction.escrow auditors` turns it on",
            )
        return Escrow(self._workspace.memory / _FILE, self.role)

    def found(self) -> Escrow | None:
        """For what redacts; None where it is off."""
        return self.escrow if self.role else None

    def new_key(self) -> str:
        """Make the role's key, and put the private half into the vault; its name there."""
        gateway = self._workspace.security
        gateway.vault.begin()
        gateway.vault.unlock()
        gateway.lend(_PART, ("key_management",))
        self.escrow.new_key(lambda private: gateway.set_key(self._name, private.hex(), asker=_PART))
        return self._name

    def reveal(self, token: str) -> str:
        """
        What *token* stands for.

        Raises:
            NotFound: It is not in escrow, was forgotten, or the role has no key.
            EscrowBroken: The vault's key is not the one for which it was sealed.
            Denied: The key may not be had.
        """
        escrow = self.escrow
        private = self._workspace.security.get_key(self._name)
        if private is None:
            raise NotFound(
                f"the vault has no key {self._name!r}", hint="`dino provenance escrow` makes it"
            )
        try:
            return escrow.reveal(token, bytes.fromhex(private))
        except ValueError:
            raise EscrowBroken(
                f"the vault's key {self._name!r} is none that the escrow made",
                hint=f"`dino keys rollback {self._name}` goes back to it, within a day",
            ) from None

    @property
    def _name(self) -> str:
        return f"escrow/{self.role}"
