"""What is taken out before the first store: the vault's secrets, and what typed detectors find."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from dino_os.provenance.detectors import guarded
from dino_os.provenance.escrow import RoleEscrow
from dino_os.provenance.policy import policy_of
from engines.redaction import JOURNAL, Pseudonyms, Redactor

if TYPE_CHECKING:
    from dino_os.workspace.parts import Parts

_PERSON = b"dino redaction"


def pseudonyms_of(workspace: Parts) -> Pseudonyms:
    """Those of *workspace*, which are no other's; the key is made by the first who asks."""
    # Of the key that the gates' pseudonyms have, one that shows nothing of it.
    secret = workspace.gate_keys.pseudonyms()
    return Pseudonyms(hashlib.blake2b(key=secret, person=_PERSON, digest_size=32).digest())


class WorkspaceRedactor:
    """Redacts for *workspace*, with its pseudonyms."""

    def __init__(self, workspace: Parts) -> None:
        self._workspace = workspace
        self._known = workspace.known_secrets

    @cached_property
    def typed(self) -> Redactor:
        """
        Finds what is a secret, or personal, by its form.

        Raises:
            InvalidInput: The policy that the settings name does not fit.
        """
        plugins = self._workspace.plugins
        detectors = plugins.detectors()
        more = {kind for one in detectors.values() for kind in getattr(one, "kinds", ())}
        settings = self._workspace.config.settings.provenance.redaction
        return Redactor(
            policy_of(settings, self._workspace.root, more),
            pseudonyms_of(self._workspace),
            guarded(detectors, plugins.set_aside),
            RoleEscrow(self._workspace).found(),
        )

    def redact(self, text: str, *, destination: str = JOURNAL) -> str:
        return self.typed.redact(self._known.blotted_out(text), destination=destination)

    def redact_json(self, value: Any, *, destination: str = JOURNAL) -> Any:
        return self.typed.redact_json(self._known.blotted_out(value), destination=destination)

    def redact_dict(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", self.redact_json(dict(data)))
