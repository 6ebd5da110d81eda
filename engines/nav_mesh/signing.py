"""
The keys that sign tokens: made, found again, and changed.

A key that is rotated signs no more; what it signed stays good for as long as the last of it can.
The private key is saved before the record names its public half: who dies in between leaves a key
that nobody knows, and the next one makes another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from engines.nav_mesh import tokens
from engines.nav_mesh.deciding import Deciding, Domain
from engines.nav_mesh.decisions import is_forgotten
from engines.nav_mesh.keys import KEY_SIZE
from engines.nav_mesh.rules import LEEWAY_S
from engines.nav_mesh.state import GateKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signing(Deciding):
    """The part of the gates that has the keys."""

    _issuer_name: Callable[[], str]

    def _prepare_signing(self, issuer: Callable[[], str]) -> None:
        self._issuer_name = issuer
        self._signers: dict[str, tuple[str, Ed25519PrivateKey]] = {}

    def rotate(self, domain: Domain, *, now: bool = False) -> str:
        """
        Sign with a new key from here on; its id.

        Args:
            now: The old one is in wrong hands: nothing that it signed is good any more.
        """
        name, _ = self._gate(domain)
        self._keys.unlock()
        with self.deciding():
            return self._new_key(name, at_once=now)

    def _unlock(self, domain: str | None = None) -> None:
        """Before a lock is held: open what holds the keys, unless we have what we need of it."""
        if not self._signers if domain is None else domain not in self._signers:
            self._keys.unlock()

    def _signer(self, domain: str) -> tuple[str, Ed25519PrivateKey]:
        """
        The key in use; a new one where there is none, or its private half is not there.

        Or where the clock was set back so far that what the old one signs now would be refused.
        """
        live = self._live_key(domain)
        if live and is_forgotten(self.clock(), live, self.forgotten):
            live = None
        held = self._signers.get(domain)
        if live and held and held[0] == live.key_id:
            return held
        raw = self._keys.load(domain) if live else None
        if live is None or raw is None or _public_of(raw).hex() != live.public:
            self._new_key(domain)
            return self._signers[domain]
        self._signers[domain] = live.key_id, tokens.private_key(raw)
        return self._signers[domain]

    def _new_key(self, domain: str, *, at_once: bool = False) -> str:
        raw = os.urandom(KEY_SIZE)
        self._keys.save(domain, raw)
        at = self.clock()
        for key in [k for k in self.keys.values() if k.domain == domain]:
            if at_once or key.until is None:
                # At once is before every clock's time, and takes back all that was issued so far.
                until = 0.0 if at_once else at + self._longest_life() + LEEWAY_S
                facts = {"at": at, "until": until, "number": self.number + at_once}
                self.record("gate_key_retired", domain=domain, key=key.key_id, **facts)
        if self.issuer is None:
            self.record("gate_opened", issuer=self._issuer_name())
        public = _public_of(raw)
        key_id = tokens.key_id_of(public)
        self.record("gate_key_added", domain=domain, key=key_id, public=public.hex())
        self._signers[domain] = key_id, tokens.private_key(raw)
        return key_id

    def _live_key(self, domain: str) -> GateKey | None:
        every = (k for k in self.keys.values() if k.domain == domain and k.until is None)
        return next(every, None)

    def _longest_life(self) -> float:
        return max(rule.token_s for rule in self.rules.by_name().values())


def _public_of(raw: bytes) -> bytes:
    return tokens.private_key(raw).public_key().public_bytes_raw()
