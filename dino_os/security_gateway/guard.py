"""What stands before everything that is asked of the gateway: rights, rate limits, the record."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dino_os.errors import Denied, InvalidInput, SecurityError
from dino_os.security_gateway import access
from dino_os.security_gateway.limits import RateLimiter
from dino_os.security_gateway.model import RateLimited
from dino_os.security_log import SecurityLog

_key_name = re.compile(r"[\w@.:/+-]{1,128}").fullmatch


class Guard:
    """
    Lets through what may be, and records what it does not.

    Args:
        log: `security_log.jsonl`.
        limits: How often one who asks gets the same key.
    """

    def __init__(self, log: SecurityLog, limits: RateLimiter) -> None:
        self.log = log
        self._limits = limits
        self._lent: dict[str, tuple[str, ...]] = {}

    def lend(self, entity: str, permissions: Iterable[str]) -> None:
        """Let *entity* have *permissions* for as long as this process lives, or until the next."""
        self._lent[entity] = tuple(permissions)

    def gives_keys(self, entity: str) -> bool:
        """Whether *entity* may get the value of some key."""
        rights = self._held(entity)
        named = any(right.startswith("key:") for right in rights)
        return named or access.may(entity, rights, "key_management")

    def may(self, entity: str, permission: str) -> bool:
        """Whether *entity* may do what *permission* names."""
        return access.may(entity, self._held(entity), permission)

    def _allowed(self, service: str, right: str, asker: str) -> str:
        """The name of a key, if *asker* has that right to it."""
        if not isinstance(service, str) or not _key_name(service):
            raise InvalidInput(
                f"not a name of a key: {service!r:.80}", hint='letters, digits and "@ . : / + _ -"'
            )
        self.log.refresh()
        held = self._held(asker)
        fine = access.may_use_key(asker, held, service) if right == "key" else False
        if not fine and not access.may(asker, held, "key_management"):
            self._refuse(asker, "denied", key=service)
            raise Denied(
                f"{asker} may not {'use' if right == 'key' else 'change'} key {service!r}",
                hint=f"it needs the permission {f'key:{service}' if right == 'key' else right!r}",
            )
        return service

    def _check_right(self, right: str, asker: str, **details: str) -> None:
        self.log.refresh()
        if not access.may(asker, self._held(asker), right):
            self._refuse(asker, "denied", right=right, **details)
            raise Denied(f"{asker} may not: it needs the permission {right!r}")

    def _limit(self, asker: str, name: str) -> None:
        admission = self._limits.take(f"{asker}|key|{name}")
        if not admission.allowed:
            self._refuse(asker, "rate_limited", key=name)
            raise RateLimited(
                f"{asker} asked for key {name!r} too often",
                hint=f"again in {admission.retry_after_s:.1f} s (security.rate_limit)",
            )

    def _refuse(self, asker: str, result: str, **details: str) -> None:
        # A flood of refusals must not fill the disk; the first ones tell what is going on.
        if self._limits.take(f"{asker}|refused").allowed:
            self.log.note("key_denied", asker, result, **details)

    def _require_record(self) -> None:
        if not self.log.journal.durable:
            raise SecurityError("nothing here is recorded for good, so no key is handed out")

    def _held(self, entity: str) -> list[str]:
        self.log.refresh()
        return [*self.log.permissions.get(entity, ()), *self._lent.get(entity, ())]
