"""The values in a workspace's vault, in every spelling in which they may turn up in a text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dino_os.redaction import forms_of
from engines.any_of import any_of

if TYPE_CHECKING:
    from dino_os.security_log import VaultHead
    from dino_os.workspace import Workspace

_NONE = re.compile(r"(?!)")


class VaultValues:
    """The values of *workspace*'s vault as it is now; there need not be one, nor a workspace."""

    def __init__(self, workspace: Workspace | None) -> None:
        self._workspace = workspace
        self._head: VaultHead | None = None
        self.names: Mapping[str, frozenset[str]] = {}
        """Spelling → the keys of which it is a value, those of a rotation under way among them."""
        self.pattern = _NONE

    def refresh(self) -> bool:
        """
        Catch up with the vault; whether it has changed.

        Raises:
            VaultLocked: It cannot be opened, so nobody can tell whether a text holds its values.
            VaultBroken: Its file is not the one that was last written.
        """
        if self._workspace is None:
            return False
        gateway = self._workspace.security
        gateway.log.refresh()
        if gateway.log.vault is None or gateway.log.vault == self._head:
            return False
        gateway.vault.unlock()
        content, names = gateway.vault.read(), dict[str, frozenset[str]]()
        for name, versions in content.keys.items() if content else ():
            for version in versions:
                if version.sealed:
                    for form in forms_of(gateway.vault.value_of(name, version)):
                        names[form] = names.get(form, frozenset()) | {name}
        self.names = names
        self.pattern = re.compile(any_of(sorted(names))) if names else _NONE
        self._head = gateway.log.vault
        return True

    def hand_out(self, form: str, skill: str, keys: frozenset[str]) -> bool:
        """
        Whether *form* is the value, as it is served now, of a key that is among *keys*.

        It is recorded that *skill* had it.

        Raises:
            SecurityError: The key has expired, or the vault does not open.
        """
        if self._workspace is None:
            return False
        for name in sorted(self.names.get(form, frozenset()) & keys):
            served = self._workspace.security.own_key(name, f"skill:{skill}")
            if served is not None and form in forms_of(served):
                return True
        return False
