"""
The gateway itself: keys, permissions and their record, for the user and for what runs in a sandbox.

Methods take and return JSON values, so that they can be called from inside a sandbox; *asker* says
who calls: the user, or for example "skill:forecast".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dino_os.errors import InvalidInput, SecurityError
from dino_os.redaction import Redactor
from dino_os.security_gateway import access
from dino_os.security_gateway.keys import Keys
from dino_os.security_gateway.model import USER
from dino_os.security_log import VaultHead
from engines.checks import did_you_mean

_LONGEST_ACTION = 8192
METHODS = frozenset(
    {
        *("set_key", "get_key", "delete_key", "list_keys", "describe_keys", "key_history"),
        *("stage_key", "promote_key", "abandon_key", "rollback_key"),
        *("can_execute", "grant_permission", "revoke_permission", "get_permissions"),
        *("has_permission", "get_audit_log", "log_action"),
    }
)
"""What may be asked from inside a sandbox."""


class Gateway(Keys):
    """Keys, permissions and their record, of one workspace; takes what `Keys` takes."""

    _redactor: tuple[VaultHead | None, Redactor] = None, Redactor()

    def answer(self, method: str, arguments: Mapping[str, Any], asker: str) -> Any:
        """
        What *method* answers one inside a sandbox.

        Raises:
            InvalidInput: There is no such method.
            DinoError: As the method raises it.
        """
        if method not in METHODS:
            raise InvalidInput(f"no method {method!r}{did_you_mean(method, METHODS)}")
        return getattr(self, method)(**{**arguments, "asker": access.checked_entity(asker)})

    # --- permissions -------------------------------------------------------------------------

    def can_execute(self, tool: str, entity: str, *, asker: str = USER) -> bool:
        del asker  # whether somebody may is no secret
        return access.may_run(entity, self._held(entity), tool)

    def grant_permission(self, entity: str, permission: str, *, asker: str = USER) -> bool:
        self._check_right("config_write", asker, permission=str(permission))
        name = access.checked_entity(entity)
        return self.log.grant(name, access.checked_permission(permission), entity=asker)

    def revoke_permission(self, entity: str, permission: str, *, asker: str = USER) -> bool:
        self._check_right("config_write", asker, permission=str(permission))
        name = access.checked_entity(entity)
        return self.log.revoke(name, access.checked_permission(permission), entity=asker)

    def get_permissions(self, entity: str, *, asker: str = USER) -> list[str]:
        if entity == USER:
            return list(access.SCOPES)
        del asker
        return list(self._held(entity))

    def has_permission(self, scope: str, name: str, *, asker: str = USER) -> bool:
        """Whether *scope* covers *name* and *asker* may do it."""
        return access.in_scope(scope, name) and access.may(asker, self._held(asker), name)

    # --- the record --------------------------------------------------------------------------

    def get_audit_log(self, limit: int = 100, *, asker: str = USER) -> list[dict[str, Any]]:
        """The latest entries, latest first."""
        self._check_right("key_management", asker)
        return [entry.as_dict() for entry in self.log.latest(limit)]

    def log_action(
        self,
        action: str,
        entity: str,
        details: Mapping[str, Any] | None = None,
        *,
        asker: str = USER,
    ) -> bool:
        """Record what an entity did; one inside a sandbox can speak for itself only."""
        facts: dict[str, Any] = dict(details or {})
        if asker != USER and len(repr([action, entity, facts])) > _LONGEST_ACTION:
            raise InvalidInput(f"what is logged is at most {_LONGEST_ACTION:,} characters")
        if asker not in {USER, entity}:
            facts, entity = {**facts, "on_behalf_of": entity}, asker
        try:
            redactor = self.redactor()
        except SecurityError:  # what cannot be checked for secrets is not written down
            self.log.note("action_logged", entity, action="unchecked", details={})
            return True
        action = redactor.redact(str(action))
        self.log.note("action_logged", entity, action=action, details=redactor.redact_json(facts))
        return True

    def redactor(self) -> Redactor:
        """
        What finds every value that the vault holds, those of a rotation under way among them.

        Raises:
            SecurityError: The vault does not open.
        """
        self.log.refresh()
        content = self.vault.read()
        if self._redactor[0] != self.log.vault:
            kept = content.keys.items() if content else ()
            values = [
                self.vault.value_of(name, version)
                for name, versions in kept
                for version in versions
                if version.sealed
            ]
            self._redactor = self.log.vault, Redactor(values)
        return self._redactor[1]

    def opens_unasked(self) -> bool:
        """Whether `redactor` asks nobody for a passphrase."""
        return self.vault.opens_unasked()

    # --- the vault as a whole: the user's own ---------------------------------------------------

    def status(self) -> dict[str, Any]:
        self.log.refresh()
        content = self.vault.read()
        return {
            "vault": str(self.vault.path) if content else None,
            "locked_by": content.lock.get("kind") if content else None,
            "generation": content.generation if content else 0,
            "keys": len(content.keys) if content else 0,
        }

    def relock(self, kind: str | None) -> str:
        """Lock the vault with another master key and a new data key; the kind it is locked by."""
        self._prepare()
        with self.log.deciding():
            return self.vault.relock(kind, USER)

    def accept(self) -> dict[str, Any]:
        """Go on with the vault's file as it is: put back, or lost, by the user's own will."""
        with self.log.deciding():
            self.vault.accept(USER)
        return self.status()
