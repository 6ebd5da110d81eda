"""What is taken out before the first store: the vault's secrets, and what typed detectors find."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from engines.redaction import Pseudonyms, Redactor

if TYPE_CHECKING:
    from dino_os.workspace.parts import Parts

_PERSON = b"dino redaction"


class WorkspaceRedactor:
    """Redacts for *workspace*, whose pseudonyms are no other's; the key is made by the first."""

    def __init__(self, workspace: Parts) -> None:
        self._workspace = workspace
        self._known = workspace.known_secrets

    @cached_property
    def typed(self) -> Redactor:
        """Finds what is a secret, or personal, by its form."""
        # Of the key that the gates' pseudonyms have, one that shows nothing of it.
        secret = self._workspace.gate_keys.pseudonyms()
        key = hashlib.blake2b(key=secret, person=_PERSON, digest_size=32).digest()
        return Redactor(pseudonyms=Pseudonyms(key))

    def redact(self, text: str) -> str:
        return self.typed.redact(self._known.blotted_out(text))

    def redact_json(self, value: Any) -> Any:
        return self.typed.redact_json(self._known.blotted_out(value))

    def redact_dict(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", self.redact_json(dict(data)))
