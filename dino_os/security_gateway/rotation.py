"""
The life of a key's versions.  At every moment exactly one of them is active.

    staged ──promote──▶ active ──next one promoted──▶ previous ──grace is over──▶ retired
       └────abandon───▶ abandoned                        └──roll back──▶ active

Each step is one replacement of the vault's file, so a crash leaves the state before it or after it.
Of what is retired or abandoned the value is gone; a line of its history stays for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from dino_os.errors import SecurityError
from dino_os.security_gateway.vault import ACTIVE, PREVIOUS, STAGED, Vault, Version

GRACE_S = 24 * 3600.0
_REMEMBERED = 10
RETIRED, ABANDONED = "retired", "abandoned"


class Versions:
    """The versions of the key *name*, being changed at the time *now*."""

    def __init__(self, vault: Vault, name: str, found: Iterable[Version], now: float) -> None:
        self._vault = vault
        self._name = name
        self._now = now
        self._all = list(found)

    def stage(self, value: str, metadata: dict[str, Any] | None, expires: float | None) -> Version:
        """Add *value* as a version that nobody is served yet; takes over from one that waits."""
        if waiting := find(self._all, STAGED):
            self._move(waiting, ABANDONED)
        active = find(self._all, ACTIVE)
        if active and metadata is None:
            metadata = active.metadata
        number = max((v.version for v in self._all), default=0) + 1
        bare = Version(number, STAGED, self._now, self._now, expires, metadata or {}, None)
        self._all.append(self._vault.sealed(self._name, bare, value))
        return self._all[-1]

    def promote(self, number: int) -> None:
        """
        Make the staged version *number* the active one.

        Raises:
            SecurityError: It is no longer staged: another rotation took over.
        """
        self._keep_one_previous()
        if active := find(self._all, ACTIVE):
            self._move(active, PREVIOUS)
        self._move(self._staged(number), ACTIVE)

    def abandon(self, number: int) -> None:
        """Give up the staged version *number*; the active one stays."""
        self._move(self._staged(number), ABANDONED)

    def roll_back(self) -> Version:
        """
        Make the previous version active again, within its grace.

        Raises:
            SecurityError: There is none.
        """
        before = find(self._all, PREVIOUS)
        if before is None or self._now - before.changed > GRACE_S:
            raise SecurityError(
                f"key {self._name!r} has no version to go back to",
                hint=f"the one before is kept for {GRACE_S / 3600:g} h after a change",
            )
        if active := find(self._all, ACTIVE):
            self._move(active, RETIRED)
        return self._move(before, ACTIVE)

    def tidied(self) -> list[Version]:
        """All of them, without the values whose grace is over and the oldest history."""
        for version in list(self._all):
            old = self._now - version.changed > GRACE_S
            if old and version.state in {PREVIOUS, STAGED}:
                self._move(version, RETIRED if version.state == PREVIOUS else ABANDONED)
        live = [v for v in self._all if v.sealed]
        gone = [v for v in self._all if not v.sealed]
        return sorted(live + gone[-_REMEMBERED:], key=lambda v: v.version)

    def _keep_one_previous(self) -> None:
        for version in list(self._all):
            if version.state == PREVIOUS:
                self._move(version, RETIRED)

    def _staged(self, number: int) -> Version:
        waiting = find(self._all, STAGED)
        if waiting is None or waiting.version != number:
            raise SecurityError(
                f"version {number} of key {self._name!r} is no longer staged: another rotation "
                "took over"
            )
        return waiting

    def _move(self, version: Version, state: str) -> Version:
        """*version* in another state: sealed anew, for the state is bound to the value."""
        moved = msgspec.structs.replace(version, state=state, changed=self._now, sealed=None)
        if state not in {RETIRED, ABANDONED}:
            value = self._vault.value_of(self._name, version)
            moved = self._vault.sealed(self._name, moved, value)
        self._all[self._all.index(version)] = moved
        return moved


def find(versions: Iterable[Version], state: str) -> Version | None:
    """The version in that state, of which there is at most one."""
    return next((version for version in versions if version.state == state), None)
