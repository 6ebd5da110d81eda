"""
`SecurityGateway`: keys, permissions and their record, the same inside a sandbox and outside.

Outside it works on the workspace's own vault; inside every call goes to the broker, which knows
which skill is asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dino_os import inside
from dino_os.errors import NotFound
from dino_os.security_gateway.model import AuditEntry

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

Expiry = datetime | timedelta | float | None
"""A time (seconds since the epoch are one), how long from now, or never."""


class SecurityGateway:
    """
    The security gateway.

    Args:
        workspace: Whose; else the one that `Workspace.find` finds.
    """

    def __init__(self, *, workspace: Workspace | None = None) -> None:
        self._workspace = workspace

    # --- keys --------------------------------------------------------------------------------

    def set_key(
        self,
        service: str,
        key: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        expires: Expiry = None,
    ) -> bool:
        """Keep *key* for *service*; the one before is kept for a day, see `rollback_key`."""
        facts = None if metadata is None else dict(metadata)
        when = _seconds(expires)
        return bool(self._ask("set_key", service=service, key=key, metadata=facts, expires=when))

    def get_key(self, service: str, *, masked: bool = False) -> str | None:
        """
        The key for *service*, or None where there is none.

        Args:
            masked: Only what may be shown of it.

        Raises:
            Denied: Not permitted.
            SecurityError: Too often, expired, or the vault does not open.
        """
        found: str | None = self._ask("get_key", service=service, masked=masked)
        return found

    def delete_key(self, service: str) -> bool:
        """Forget the key for *service*, for good; False where there is none."""
        return bool(self._ask("delete_key", service=service))

    def list_keys(self) -> list[str]:
        return list(self._ask("list_keys"))

    def rotate_key(
        self,
        service: str,
        new_key: str | None = None,
        *,
        test: Callable[[str], object] | None = None,
    ) -> bool:
        """
        Replace the key for *service*; the old one is served until the new one is.

        Args:
            new_key: A fresh random one where none is given.
            test: Told the new key; where it answers with nothing true or raises, the old key stays.

        Returns:
            Whether the new key is served now; False also where there is none to be replaced.
        """
        try:
            staged = self._ask("stage_key", service=service, new_key=new_key)
        except NotFound:
            return False
        step = {"service": service, "version": staged["version"]}
        try:
            reason = "" if test is None or test(staged["key"]) else "the test refused it"
        except Exception as error:  # noqa: BLE001  any failure of the test is the test's answer
            # Its kind only: what it says may well hold the key.
            reason = f"the test raised {type(error).__name__}"
        except BaseException:
            self._ask("abandon_key", **step, reason="interrupted")
            raise
        if reason:
            self._ask("abandon_key", **step, reason=reason)
        else:
            self._ask("promote_key", **step)
        return not reason

    def rollback_key(self, service: str) -> int:
        """Go back to the key before the present one, within a day; its version."""
        return int(self._ask("rollback_key", service=service))

    # --- permissions -------------------------------------------------------------------------

    def can_execute(self, tool: str, entity: str) -> bool:
        return bool(self._ask("can_execute", tool=tool, entity=entity))

    def grant_permission(self, entity: str, permission: str) -> bool:
        """Give *entity* a scope, a name in one, `tool:NAME` or `key:NAME`; False if it has it."""
        return bool(self._ask("grant_permission", entity=entity, permission=permission))

    def revoke_permission(self, entity: str, permission: str) -> bool:
        return bool(self._ask("revoke_permission", entity=entity, permission=permission))

    def get_permissions(self, entity: str) -> list[str]:
        return list(self._ask("get_permissions", entity=entity))

    def has_permission(self, scope: str, name: str) -> bool:
        """Whether *scope* covers *name*, and whoever asks may do that."""
        return bool(self._ask("has_permission", scope=scope, name=name))

    # --- the record --------------------------------------------------------------------------

    def get_audit_log(self, limit: int = 100) -> list[AuditEntry]:
        """What was asked of the gateway, latest first."""
        return [AuditEntry.from_dict(form) for form in self._ask("get_audit_log", limit=limit)]

    def log_action(
        self, action: str, entity: str, details: Mapping[str, Any] | None = None
    ) -> None:
        facts = None if details is None else dict(details)
        self._ask("log_action", action=action, entity=entity, details=facts)

    def _ask(self, method: str, **arguments: Any) -> Any:
        if broker := inside.connection():
            return broker.call("security", method, **arguments)
        if self._workspace is None:
            from dino_os.workspace import Workspace  # noqa: PLC0415  not inside a sandbox

            self._workspace = Workspace.find()
        return getattr(self._workspace.security, method)(**arguments)


def _seconds(expires: Expiry) -> float | None:
    if isinstance(expires, timedelta):
        expires = datetime.now().astimezone() + expires
    return expires.timestamp() if isinstance(expires, datetime) else expires
