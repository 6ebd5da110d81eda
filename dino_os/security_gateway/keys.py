"""
The gateway's keys: set, handed out, rotated, deleted.

Methods take and return JSON values; *asker* says who calls.  A key is handed out in this order:
permission, rate limit, durable record, value.  Without the record there is no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dino_os.errors import InvalidInput, NotFound, SecurityError
from dino_os.redaction import Redactor
from dino_os.secret import mask
from dino_os.security_gateway import access
from dino_os.security_gateway.guard import Guard
from dino_os.security_gateway.limits import RateLimiter
from dino_os.security_gateway.model import USER
from dino_os.security_gateway.rotation import Versions, find
from dino_os.security_gateway.vault import ACTIVE, Content, Vault, Version
from dino_os.security_log import SecurityLog
from engines.checks import did_you_mean, time_text

LONGEST = 64 * 1024
_FRESH_BYTES = 32


class Keys(Guard):
    """
    The keys in a vault.

    Args:
        log: `security_log.jsonl`.
        vault: Where the values are.
        limits: How often one who asks gets the same key.
        require_keys: A key that is not there is an error; else it is None.
        record_access: Whether each key that is handed out is recorded; all else always is.
    """

    def __init__(
        self,
        log: SecurityLog,
        vault: Vault,
        limits: RateLimiter,
        *,
        require_keys: bool = False,
        record_access: bool = True,
    ) -> None:
        super().__init__(log, limits)
        self.vault = vault
        self._require_keys = require_keys
        self._record_access = record_access

    def set_key(
        self,
        service: str,
        key: str,
        metadata: Mapping[str, Any] | None = None,
        expires: float | None = None,
        *,
        asker: str = USER,
    ) -> bool:
        """
        Make *key* what is served for *service* from now on.

        Args:
            expires: Seconds since the epoch.
        """
        name = self._allowed(service, "key_management", asker)
        value, facts = _checked_value(name, key), _checked_metadata(name, metadata, key)
        self._prepare()
        with self.log.deciding():
            content, versions = self._versions(name)
            new = versions.stage(value, facts, self._checked_expiry(expires))
            versions.promote(new.version)
            self._write(content, name, versions, "key_set", asker, version=new.version)
        return True

    def get_key(self, service: str, *, masked: bool = False, asker: str = USER) -> str | None:
        """
        The value of *service*, or what may be shown of it; None where there is none.

        Raises:
            Denied: *asker* may not.
            RateLimited: Too often.
            SecurityError: It has expired, or the vault does not open.
        """
        name = self._allowed(service, "key", asker)
        self._limit(asker, name)
        return self._hand_out(name, asker, masked=masked)

    def own_key(self, service: str, part: str) -> str | None:
        """The value of *service* for a *part* of Dino itself: recorded, and not limited in rate."""
        self.log.refresh()
        return self._hand_out(service, part, masked=False)

    def _hand_out(self, name: str, asker: str, *, masked: bool) -> str | None:
        self.vault.unlock()
        with self.log.deciding():
            self._require_record()
            version = self._active(name)
            if version is None:
                return None
            self._check_expiry(name, version)
            if self._record_access:
                self.log.record(
                    "key_accessed",
                    entity=asker,
                    key=name,
                    version=version.version,
                    masked=masked,
                )
        value = self.vault.value_of(name, version)
        return mask(value) if masked else value

    def delete_key(self, service: str, *, asker: str = USER) -> bool:
        """Forget *service* and all its versions; False where it is not known."""
        name = self._allowed(service, "key_management", asker)
        self.vault.unlock()
        with self.log.deciding():
            content = self.vault.read()
            if content is None or name not in content.keys:
                return False
            keys = {n: versions for n, versions in content.keys.items() if n != name}
            content = msgspec.structs.replace(content, keys=keys)
            self.vault.write(content, "key_deleted", asker, key=name)
        return True

    def list_keys(self, *, asker: str = USER) -> list[str]:
        """The names that *asker* may use, in their order."""
        held = self._held(asker)
        return [name for name in self._names() if access.may_use_key(asker, held, name)]

    def describe_keys(self, *, asker: str = USER) -> list[dict[str, Any]]:
        """What is known of each key that *asker* may use: everything but values."""
        return [_described(name, self._names()[name]) for name in self.list_keys(asker=asker)]

    def key_history(self, service: str, *, asker: str = USER) -> list[dict[str, Any]]:
        """The versions of a key, oldest first."""
        name = self._allowed(service, "key", asker)
        return [_version_facts(version) for version in self._known(name)]

    # --- rotation: stage, try, promote or abandon ----------------------------------------------

    def stage_key(
        self, service: str, new_key: str | None = None, *, asker: str = USER
    ) -> dict[str, Any]:
        """
        Keep a new value beside the one that is served; the answer has it and its version.

        Args:
            new_key: A fresh random one where none is given.

        Raises:
            NotFound: No such key.
        """
        name = self._allowed(service, "key_management", asker)
        value = _checked_value(name, _fresh() if new_key is None else new_key)
        self.vault.unlock()
        with self.log.deciding():
            active = find(self._known(name), ACTIVE)
            content, versions = self._versions(name)
            # A new one lives as long as the one before it was given.
            life = active.expires - active.created if active and active.expires else None
            new = versions.stage(value, None, self.log.clock() + life if life else None)
            self._write(content, name, versions, "key_staged", asker, version=new.version)
        return {"version": new.version, "key": value}

    def promote_key(self, service: str, version: int, *, asker: str = USER) -> bool:
        """Serve the staged *version* from now on; the one before is kept for a day."""
        name = self._allowed(service, "key_management", asker)
        with self.log.deciding():
            content, versions = self._versions(name)
            versions.promote(version)
            self._write(content, name, versions, "key_rotated", asker, version=version)
        return True

    def abandon_key(
        self, service: str, version: int, reason: str = "", *, asker: str = USER
    ) -> bool:
        """Drop the staged *version*, for that reason."""
        name = self._allowed(service, "key_management", asker)
        with self.log.deciding():
            content, versions = self._versions(name)
            versions.abandon(version)
            details = {"version": version, "reason": reason[:100]}
            self._write(
                content, name, versions, "key_rolled_back", asker, result="failed", **details
            )
        return True

    def rollback_key(self, service: str, *, asker: str = USER) -> int:
        """Serve the version before the present one again; its number."""
        name = self._allowed(service, "key_management", asker)
        self.vault.unlock()
        with self.log.deciding():
            self._known(name)
            content, versions = self._versions(name)
            back = versions.roll_back().version
            self._write(content, name, versions, "key_rolled_back", asker, version=back)
        return back

    # --- below the face ----------------------------------------------------------------------

    def _prepare(self) -> None:
        """Ask what must be asked before a lock is held that others wait for."""
        self._require_record()
        self.log.refresh()
        self.vault.begin()
        self.vault.unlock()

    def _names(self) -> dict[str, list[Version]]:
        self.log.refresh()
        content = self.vault.read()
        return dict(sorted(content.keys.items())) if content else {}

    def _known(self, name: str) -> list[Version]:
        names = self._names()
        if name not in names:
            raise NotFound(
                f"no key named {name!r}{did_you_mean(name, names)}",
                hint=f"`dino keys set {name}` makes it",
            )
        return names[name]

    def _active(self, name: str) -> Version | None:
        if self._require_keys:
            return find(self._known(name), ACTIVE)
        return find(self._names().get(name, ()), ACTIVE)

    def _versions(self, name: str) -> tuple[Content, Versions]:
        content = self.vault.begin()
        found = content.keys.get(name, ())
        return content, Versions(self.vault, name, found, self.log.clock())

    def _write(
        self,
        content: Content,
        name: str,
        versions: Versions,
        event: str,
        asker: str,
        **details: Any,
    ) -> None:
        self._require_record()
        keys = {**content.keys, name: versions.tidied()}
        content = msgspec.structs.replace(content, keys=keys)
        self.vault.write(content, event, asker, key=name, **details)

    def _checked_expiry(self, expires: float | None) -> float | None:
        if expires is not None and expires <= self.log.clock():
            raise InvalidInput("the key would have expired already")
        return expires

    def _check_expiry(self, name: str, version: Version) -> None:
        if version.expires is not None and version.expires <= self.log.clock():
            raise SecurityError(
                f"key {name!r} expired {time_text(version.expires)}",
                hint=f"`dino keys rotate {name}` or `dino keys set {name}`",
            )


def _fresh() -> str:
    import secrets  # noqa: PLC0415  only where a key is made

    return secrets.token_urlsafe(_FRESH_BYTES)


def _checked_value(name: str, value: str) -> str:
    problem = None
    if not isinstance(value, str) or not value:
        problem = "is empty"
    elif len(value) > LONGEST:
        problem = f"is longer than {LONGEST:,} characters"
    elif any("\ud800" <= letter <= "\udfff" for letter in value):
        problem = "is not text"
    if problem:
        raise InvalidInput(f"the value of key {name!r} {problem}")
    return value


def _checked_metadata(
    name: str, metadata: Mapping[str, Any] | None, value: str
) -> dict[str, Any] | None:
    if metadata is None:
        return None
    try:
        facts: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(metadata)))
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput(f"the metadata of key {name!r} is not a JSON object") from None
    if Redactor([value]).redact_json(facts) != facts:
        raise InvalidInput(
            f"the metadata of key {name!r} holds its value", hint="metadata stands in clear"
        )
    return facts


def _described(name: str, versions: list[Version]) -> dict[str, Any]:
    active = find(versions, ACTIVE)
    facts = _version_facts(active) if active else {}
    return {"key": name, **facts}


def _version_facts(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "state": version.state,
        "created": time_text(version.created),
        "expires": time_text(version.expires),
        "metadata": version.metadata,
    }
