"""
The record of everything about keys and permissions: `memory/security_log.jsonl`, and its fold.

Whatever is recorded with an `entity` is an entry of the audit log; its `result` is "ok" where none
is given, and what else it carries are its details.  So a new kind of event needs a method here only
where it changes more than that.  Values of keys are never in it.

It also holds who may do what, and the vault's head: generation and digest of the file as it was
last written.  A vault file that is not the one the head names was put there by somebody else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dino_os import run_context
from dino_os.security_gateway.model import AuditEntry
from engines.checks import from_epoch
from engines.engine import Engine
from engines.journal import RESERVED, Event, Journal

_REMEMBERED = 1000
_ENVELOPE = RESERVED | {"by", "entity", "result"}


@dataclass(frozen=True, slots=True)
class VaultHead:
    """The vault's file as it was last written."""

    vault_id: str
    generation: int
    mac: str
    sha256: str


class SecurityLog(Engine):
    """
    Permissions, the vault's head, and the latest audit entries.

    Args:
        journal: `security_log.jsonl`; without one no secret is handed out.
    """

    def __init__(
        self, journal: Journal | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self.permissions: dict[str, list[str]] = {}
        self.skills: dict[str, dict[str, Any]] = {}
        self.overrides: dict[str, str] = {}
        self.vault: VaultHead | None = None
        self.entries: deque[AuditEntry] = deque(maxlen=_REMEMBERED)

    # --- commands ----------------------------------------------------------------------------

    def note(self, event_type: str, entity: str, result: str = "ok", **details: Any) -> None:
        """Record that *entity* asked for something, and how it ended; durable on return."""
        with self.deciding():
            self.record(event_type, entity=entity, result=result, **details)

    def record(self, event_type: str, **payload: Any) -> Event:
        """As an engine does; what is asked for within a run is asked for by that run."""
        run = run_context.current()
        return super().record(event_type, **payload, **({"run": run.run_id} if run else {}))

    def grant(self, to: str, permission: str, *, entity: str) -> bool:
        """Give *to* a permission; False where it has it."""
        with self.deciding():
            if permission in self.permissions.get(to, ()):
                return False
            self.record("permission_granted", entity=entity, to=to, permission=permission)
            return True

    def revoke(self, to: str, permission: str, *, entity: str) -> bool:
        """Take a permission from *to*; False where it did not have it."""
        with self.deciding():
            if permission not in self.permissions.get(to, ()):
                return False
            self.record("permission_revoked", entity=entity, to=to, permission=permission)
            return True

    def grant_skill(
        self, skill: str, permissions: dict[str, Any], sha256: str | None, *, by: str
    ) -> None:
        """Let a skill do what *permissions* name, in the source with that hash, or in any."""
        with self.deciding():
            facts = {"permissions": permissions, "source_sha256": sha256}
            self.record("skill_granted", entity=by, skill=skill, **facts)

    def revoke_skill(self, skill: str, *, by: str) -> bool:
        """Take back what a skill was granted; False where that is nothing."""
        with self.deciding():
            if skill not in self.skills and skill not in self.overrides:
                return False
            self.record("skill_revoked", entity=by, skill=skill)
            return True

    def override_sandbox(self, skill: str, sha256: str, why: str, *, by: str) -> None:
        """Let that version of a skill run where no sandbox can be made."""
        with self.deciding():
            facts = {"source_sha256": sha256, "because": why}
            self.record("sandbox_overridden", entity=by, skill=skill, **facts)

    # --- queries -----------------------------------------------------------------------------

    def latest(self, limit: int) -> list[AuditEntry]:
        """The last entries, latest first."""
        self.refresh()
        return list(self.entries)[-limit:][::-1] if limit > 0 else []

    # --- the fold ----------------------------------------------------------------------------

    def _apply(self, event: Event) -> None:
        super()._apply(event)
        if "entity" in event:
            self.entries.append(_entry(event))
        if "vault" in event:
            self.vault = VaultHead(**event["vault"]) if event["vault"] else None

    def apply_permission_granted(self, event: Event) -> None:
        held = self.permissions.setdefault(event["to"], [])
        held.append(event["permission"])
        held.sort()

    def apply_permission_revoked(self, event: Event) -> None:
        self.permissions[event["to"]].remove(event["permission"])
        if not self.permissions[event["to"]]:
            del self.permissions[event["to"]]

    def apply_skill_granted(self, event: Event) -> None:
        self.skills[event["skill"]] = {
            "permissions": event["permissions"],
            "sha256": event["source_sha256"],
        }

    def apply_skill_revoked(self, event: Event) -> None:
        self.skills.pop(event["skill"], None)
        self.overrides.pop(event["skill"], None)

    def apply_sandbox_overridden(self, event: Event) -> None:
        self.overrides[event["skill"]] = event["source_sha256"]


def _entry(event: Event) -> AuditEntry:
    """*event* as its readers see it."""
    details = {k: v for k, v in event.items() if k not in _ENVELOPE and k != "vault"}
    action = event["event_type"]
    if action == "action_logged":  # whoever logged it says what it was
        action, details = details["action"], details["details"]
    when = from_epoch(event["timestamp"])
    return AuditEntry(when, action, event["entity"], details, event.get("result", "ok"))
