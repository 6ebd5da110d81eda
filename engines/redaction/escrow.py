"""
Escrow: the values behind pseudonyms, sealed for whoever holds a role's private key.

What redacts seals, and cannot open what it sealed.  A value that is forgotten stays so: what was
sealed of it is overwritten, and it is not sealed again.

Source: a sealed box as in age (age-encryption.org/v1): X25519 with a key of its own for each value,
HKDF-SHA-256, ChaCha20-Poly1305, bound to the token.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engines.database import Database, Schema
from engines.errors import DinoError, NotFound

_INFO = b"dino redaction escrow 1"
_KEY = 32
_NONCE = bytes(12)  # each key seals once
_REMEMBERED = 65_536
_TIMEOUT_S = 30.0
# Forgotten for one role is forgotten for all.
_KNOWN = "SELECT 1 FROM escrow WHERE token = ?1 AND (role = ?2 OR sealed IS NULL)"
_SEAL = f"INSERT INTO escrow SELECT ?1, ?2, ?3 WHERE NOT EXISTS ({_KNOWN})"


class EscrowBroken(DinoError):
    """The file of the escrow is something else's, or the key is another's."""


def _make(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE role (name TEXT PRIMARY KEY, public BLOB NOT NULL) WITHOUT ROWID")
    # Without what was sealed a token is one that was forgotten.
    db.execute(
        "CREATE TABLE escrow (token TEXT NOT NULL, role TEXT NOT NULL, sealed BLOB,"
        " PRIMARY KEY (token, role)) WITHOUT ROWID"
    )


_SCHEMA = Schema("escrow of pseudonyms", 0x44524445, (_make,), EscrowBroken)


class Escrow:
    """
    The escrow in the SQLite file at *path*, for *role*.

    Raises:
        NotFound: The role has no key yet; see `new_key`.
    """

    def __init__(self, path: Path, role: str) -> None:
        self.role = role
        self._database = Database(path, _SCHEMA, _TIMEOUT_S)
        self._done: set[str] = set()

    def new_key(self, put: Callable[[bytes], object] = bytes) -> bytes:
        """
        Give the role a key; the private half of 32 bytes, which is kept nowhere here.

        Args:
            put: Brings the private half to where it stays.  The role has the key behind that:
                nothing is sealed for one that was lost on the way.

        Raises:
            EscrowBroken: It has one: what is sealed for that one would be lost.
        """
        from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415
            X25519PrivateKey,
        )

        private = os.urandom(_KEY)
        public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
        with self._database.guard, self._database.writing() as db:
            row = (self.role, public)
            if db.execute("INSERT OR IGNORE INTO role VALUES (?, ?)", row).rowcount != 1:
                raise EscrowBroken(f"the role {self.role!r} has a key for the escrow already")
            put(private)
        return private

    def keep(self, token: str, value: str) -> None:
        """Seal *value* behind *token*, unless it is already or was forgotten; durable on return."""
        if token in self._done:
            return
        with self._database.guard:
            asked = self._database.reading().execute(_KNOWN, (token, self.role))
            if asked.fetchone() is None:
                row = (token, self.role, _sealed(self._public(), token, value))
                with self._database.writing() as db:
                    # Another may have sealed it by now, or have had it forgotten.
                    db.execute(_SEAL, row)
        if len(self._done) >= _REMEMBERED:
            self._done.clear()
        self._done.add(token)

    def reveal(self, token: str, private: bytes) -> str:
        """
        The value behind *token*.

        Raises:
            NotFound: None is kept, or it was forgotten.
            EscrowBroken: It was sealed for another key.
        """
        with self._database.guard:
            row = (
                self._database.reading()
                .execute(
                    "SELECT sealed FROM escrow WHERE token = ? AND role = ?", (token, self.role)
                )
                .fetchone()
            )
        if row is None or row[0] is None:
            what = "was forgotten" if row else "is not in escrow"
            raise NotFound(f"what {token} stands for {what}")
        return _opened(private, token, row[0])

    def forget(self, tokens: Iterable[str]) -> int:
        """
        Make sure that nobody learns any more what *tokens* stand for; how many were kept.

        Whatever role comes later, and whether or not they were sealed before.

        Raises:
            EscrowBroken: They are forgotten, but somebody else reads the file: what was sealed is
                not overwritten yet.
        """
        with self._database.guard:
            db = self._database.reading()
            db.execute("PRAGMA secure_delete=ON")
            forgotten = 0
            with self._database.writing():
                for token in tokens:
                    kept = db.execute(
                        "UPDATE escrow SET sealed = NULL WHERE token = ? AND sealed IS NOT NULL",
                        (token,),
                    )
                    forgotten += kept.rowcount > 0
                    mark = (token, self.role, None)
                    db.execute("INSERT OR IGNORE INTO escrow VALUES (?, ?, ?)", mark)
            # What lies in the log beside the file is overwritten with it.
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise EscrowBroken(
                f"{self._database.path}: somebody reads it: what was sealed is not overwritten yet",
                hint="forget them again",
            )
        return forgotten

    def close(self) -> None:
        self._database.close()

    def _public(self) -> bytes:
        row = (
            self._database.reading()
            .execute("SELECT public FROM role WHERE name = ?", (self.role,))
            .fetchone()
        )
        if row is None:
            raise NotFound(
                f"the role {self.role!r} has no key for the escrow",
                hint="`dino provenance escrow` makes it",
            )
        return bytes(row[0])


def _sealed(public: bytes, token: str, value: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415
        X25519PrivateKey,
        X25519PublicKey,
    )

    own = X25519PrivateKey.from_private_bytes(os.urandom(_KEY))
    shared = own.exchange(X25519PublicKey.from_public_bytes(public))
    mine = own.public_key().public_bytes_raw()
    raw = value.encode("utf-8", "surrogatepass")
    return mine + bytes(_cipher(shared, mine + public).encrypt(_NONCE, raw, token.encode()))


def _opened(private: bytes, token: str, sealed: bytes) -> str:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415
        X25519PrivateKey,
        X25519PublicKey,
    )

    own = X25519PrivateKey.from_private_bytes(private)
    theirs = sealed[:_KEY]
    shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
    cipher = _cipher(shared, theirs + own.public_key().public_bytes_raw())
    try:
        raw = cipher.decrypt(_NONCE, sealed[_KEY:], token.encode())
    except InvalidTag:
        raise EscrowBroken(f"what {token} stands for was sealed for another key") from None
    return str(raw.decode("utf-8", "surrogatepass"))


def _cipher(shared: bytes, salt: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return ChaCha20Poly1305(HKDF(SHA256(), _KEY, salt, _INFO).derive(shared))
