"""
A memory that is encrypted at rest: the file, its log and its backups, by a key of the vault.

The key is `memory/key`, 32 bytes in hexadecimal, made with the first encrypted file and never for
one that is there.  Nothing else of such a memory is on the disk: SQLite sorts and rebuilds in
memory, and so are the indexes of vectors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from dino_os.errors import DinoError, MemoryLayerError, NotFound
from engines.database import also_fails, connect, failures

if TYPE_CHECKING:
    from dino_os.security_gateway.gateway import Gateway

FindKey: TypeAlias = Callable[[bool], bytes | None]
"""The key; where there is none a new one if that is wished, else None."""

KEY = "memory/key"
_KEY_BYTES = 32
_PART = "part:memory"
NOT_A_DATABASE = "file is not a database"
"""What SQLite says of any file that it cannot read, one of another key among them."""
HOW_TO_CHANGE = (
    "`dino memory backup FILE` with the other setting, remove the file, `dino memory restore FILE`"
)


class Encrypted:
    """
    Opens the encrypted memory at *path*, and its backups.

    Args:
        find_key: Asked once, when a file is first opened.
    """

    def __init__(self, path: Path, find_key: FindKey) -> None:
        self._path = path
        self._find_key = find_key
        self._key: bytes | None = None

    def connect(self, target: str, **how: Any) -> sqlite3.Connection:
        """As `sqlite3.connect`, with the key."""
        return self._connect(target, f"PRAGMA key = \"x'{self._found_key().hex()}'\"", **how)

    def connect_plain(self, target: str, **how: Any) -> sqlite3.Connection:
        """As `connect`, of what is not encrypted; by the same library, which keeps our locks."""
        return self._connect(target, "", **how)

    def why_not(self) -> MemoryLayerError:
        """What is wrong with the file, which does not open."""
        if self._is_plain():
            return MemoryLayerError(
                f"{self._path}: not encrypted, and memory.encrypted is true", hint=HOW_TO_CHANGE
            )
        return MemoryLayerError(
            f"{self._path}: the vault's {KEY} does not open it: it is damaged, or of another key",
            hint=f"`dino keys rollback {KEY}` where that was changed; else restore a backup",
        )

    def _connect(self, target: str, unlock: str, **how: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = _library().connect(target, **how)
        try:
            db.execute("PRAGMA cipher_log_level = NONE")  # it would write to standard error
            if unlock:
                db.execute(unlock)  # before anything that looks into the file
            db.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            db.close()
            raise
        return db

    def _found_key(self) -> bytes:
        if self._key is None:
            self._key = self._ask()
        return self._key

    def _ask(self) -> bytes:
        _library()  # no key is made for what could not be used
        try:
            key = self._find_key(not self._path.exists())
        except MemoryLayerError:
            raise
        except DinoError as error:
            raise MemoryLayerError(
                f"{self._path}: encrypted, and its key cannot be had: {error.message}",
                hint=error.hint,
            ) from None
        if key is None and self._is_plain():
            raise self.why_not()
        if key is None:
            raise MemoryLayerError(
                f"{self._path}: encrypted, and its key {KEY} is not in the vault",
                hint="bring back the vault that it was made with: memory/vault, and what opens it",
            )
        return key

    def _is_plain(self) -> bool:
        try:
            with closing(connect(self._path, "ro", connector=self.connect_plain)) as db:
                db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except failures():
            return False
        return True


class VaultKey:
    """
    The key of a workspace's memories, in its vault.

    Args:
        gateway: Whose vault; asked for when the key is.
    """

    def __init__(self, gateway: Callable[[], Gateway]) -> None:
        self._gateway = gateway

    def __call__(self, make: bool) -> bytes | None:  # noqa: FBT001
        """
        The key; where there is none and it is to be made, a new one.

        Raises:
            SecurityError: The vault does not open.
            MemoryLayerError: What is there is no such key.
        """
        return self._known() or (self._made() if make else None)

    def _known(self) -> bytes | None:
        try:
            text = self._gateway().own_key(KEY, _PART)
        except NotFound:  # by `security.require_keys`
            return None
        if text is None:
            return None
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise MemoryLayerError(
                f"the vault's key {KEY!r} is none of a memory's: not {_KEY_BYTES} bytes in hex",
                hint=f"`dino keys rollback {KEY}` brings back the one before",
            )
        return key

    def _made(self) -> bytes:
        from secrets import token_bytes  # noqa: PLC0415  once in a workspace's life

        gateway = self._gateway()
        gateway.vault.begin()
        gateway.vault.unlock()
        with gateway.log.deciding():  # of two who find none one makes it
            key = self._known()
            if key is None:
                key = token_bytes(_KEY_BYTES)
                gateway.lend(_PART, ("key_management",))
                gateway.set_key(KEY, key.hex(), asker=_PART)
        return key


@contextmanager
def explained(encrypted: Encrypted | None, path: Path) -> Iterator[None]:
    """Say what it means where the memory at *path* is not a database."""
    try:
        yield
    except failures("DatabaseError") as error:
        if NOT_A_DATABASE not in str(error):
            raise
        if encrypted:
            raise encrypted.why_not() from None
        raise MemoryLayerError(
            f"{path}: {NOT_A_DATABASE}, or an encrypted one",
            hint="set memory.encrypted to true if it is; else move it away, and restore a backup",
        ) from None


def _library() -> ModuleType:
    try:
        dbapi2 = import_module("sqlcipher3.dbapi2")  # an extra
    except ImportError:
        raise MemoryLayerError(
            "an encrypted memory needs SQLCipher, which is not installed",
            hint="pip install 'dino-os[encrypted]'",
        ) from None
    also_fails(dbapi2)
    return dbapi2
