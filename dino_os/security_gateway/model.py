"""What the gateway's face hands out; imports nothing that takes time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dino_os.errors import SecurityError

USER = "user"
"""Whoever sits at the terminal: holds the vault, and may do everything with it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    Something that was asked of the gateway.

    Attributes:
        action: What: key_set, key_accessed, key_denied, permission_granted, …
        entity: Who asked.
        result: How it ended: ok, denied, rate_limited, failed, …
    """

    timestamp: datetime
    action: str
    entity: str
    details: Mapping[str, Any] = field(default_factory=dict)
    result: str = "ok"

    def as_dict(self) -> dict[str, Any]:
        stamp = self.timestamp.isoformat().replace("+00:00", "Z")
        return {
            "timestamp": stamp,
            "action": self.action,
            "entity": self.entity,
            "details": dict(self.details),
            "result": self.result,
        }

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> AuditEntry:
        stamp = datetime.fromisoformat(form["timestamp"]).astimezone(UTC)
        return cls(stamp, form["action"], form["entity"], form["details"], form["result"])


class VaultBroken(SecurityError):
    """The vault's file is not what was last written; nothing is taken from it."""


class VaultLocked(SecurityError):
    """What opens the vault is missing or wrong."""


class RateLimited(SecurityError):
    """Asked too often; the message says when to ask again."""

    exit_code = 4
