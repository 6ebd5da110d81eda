"""
The vault's file, `memory/vault/vault.json`: read, checked, opened and replaced.

Its law: what is read is what was last written.  Each write carries the next generation and is
recorded with the file's digest; a file that is not the recorded one is refused, save the one that
a writer left which died between the two: it has the next generation and the right MAC.

The lock of `security_log.jsonl` is the vault's lock.
"""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from dino_os.security_gateway import sealing
from dino_os.security_gateway.master_key import Lock, MasterKey, read_private
from dino_os.security_gateway.model import USER, VaultBroken, VaultLocked
from dino_os.security_log import SecurityLog, VaultHead
from engines.durable import make_folder, replace_file

ACTIVE, STAGED, PREVIOUS = "active", "staged", "previous"
_FORMAT = 1
_PUT_BACK = "if you put it there yourself (a restored backup): `dino keys accept`"


class Version(Struct, frozen=True, forbid_unknown_fields=True):
    """
    One value of a key.

    Attributes:
        state: staged, active or previous; or retired or abandoned, and then without its value.
        changed: When it came into that state, seconds since the epoch, as the other times.
        sealed: The encrypted value.
    """

    version: int
    state: str
    created: float
    changed: float
    expires: float | None
    metadata: dict[str, Any]
    sealed: dict[str, str] | None


class Content(Struct, frozen=True, forbid_unknown_fields=True):
    """The vault as its file has it."""

    v: int
    vault_id: str
    generation: int
    lock: dict[str, Any]
    keys: dict[str, list[Version]]


class _File(Content, frozen=True, forbid_unknown_fields=True):
    mac: str


class Vault:
    """
    The vault at *path*; it is made by the first write.

    Args:
        log: Where each write is recorded, and what the file is held against.
        master: What opens it.
    """

    def __init__(self, path: Path, log: SecurityLog, master: MasterKey) -> None:
        self.path = path
        self._log = log
        self._master = master
        self._data = b""
        self._content: Content | None = None
        self._head: VaultHead | None = None
        self._key: tuple[str, bytes] | None = None  # for the lock with that nonce

    # --- reading -----------------------------------------------------------------------------

    def read(self) -> Content | None:
        """
        What is in it, or None where there is no vault.

        Raises:
            VaultBroken: The file is not the one that was last written.
        """
        if self._content is None or self._head != self._log.vault:
            self._load()
        return self._content

    def unlock(self) -> None:
        """
        Make sure that values can be read, if there is a vault.

        Raises:
            VaultLocked: What opens it is missing or wrong.
            VaultBroken: As in `read`.
        """
        if content := self.read():
            self._data_key(content)

    def opens_unasked(self) -> bool:
        """
        Whether values can be read, for all that the file says, and nobody be asked for anything.

        Raises:
            VaultBroken: The file is none.
        """
        data = _read(self.path)
        lock = _parsed(data).lock if data is not None else {}
        known = self._key is not None and self._key[0] == lock.get("nonce")
        return known or not self._master.asks(lock)

    def value_of(self, name: str, version: Version) -> str:
        """
        The value itself.

        Raises:
            VaultBroken: The entry is not what was sealed.
        """
        content = self._present()
        key = sealing.derived(self._data_key(content), name, version.version)
        try:
            bound = _bound(content.vault_id, name, version)
            return sealing.unseal(key, version.sealed or {}, bound).decode()
        except sealing.Unopened:
            raise VaultBroken(
                f"{self.path}: key {name!r} was altered: it does not open", hint=_PUT_BACK
            ) from None

    def sealed(self, name: str, version: Version, value: str) -> Version:
        """*version* with *value* in it, encrypted and bound to all the rest of it."""
        content = self._present()
        key = sealing.derived(self._data_key(content), name, version.version)
        form = sealing.seal(key, value.encode(), _bound(content.vault_id, name, version))
        return msgspec.structs.replace(version, sealed=form)

    # --- writing: only within the log's `deciding()` ------------------------------------------

    def begin(self) -> Content:
        """What is in it, to be changed; a new vault where there is none."""
        found = self.read()
        if found is None:
            vault_id = uuid4().hex
            key = sealing.new_key()
            lock = _wrapped(self._master.make(vault_id), key, vault_id)
            self._key = lock["nonce"], key
            found = self._content = Content(_FORMAT, vault_id, 0, lock, {})
        return found

    def write(self, content: Content, event_type: str, entity: str, **details: Any) -> None:
        """
        Replace the file by *content*, one generation on, and record that.

        Raises:
            OSError: The disk did not take it.
        """
        content = msgspec.structs.replace(content, generation=content.generation + 1)
        data = sealing.with_mac(msgspec.to_builtins(content), self._data_key(content))
        make_folder(self.path.parent, 0o700)
        self.path.parent.chmod(0o700)
        self._content = None  # whatever happens from here on, what is known is read anew
        replace_file(self.path, data, mode=0o600)
        self.path.chmod(0o600)
        # COMMIT POINT with the journal's line; a writer that dies before it left a file that the
        # next one takes for what it is.
        head = _head_of(data, content)
        self._log.record(event_type, entity=entity, vault=asdict(head), **details)
        self._data, self._content, self._head = data, content, head

    def relock(self, kind: str | None, entity: str) -> str:
        """Lock it with another master key, and encrypt everything under a new data key."""
        content = self._present()
        values = [
            (name, version, self.value_of(name, version))
            for name, versions in content.keys.items()
            for version in versions
            if version.sealed
        ]
        key = sealing.new_key()
        lock = _wrapped(self._master.make(content.vault_id, kind), key, content.vault_id)
        keys = {name: list(versions) for name, versions in content.keys.items()}
        self._key = lock["nonce"], key
        self._content = content = msgspec.structs.replace(content, lock=lock, keys=keys)
        for name, version, value in values:
            keys[name][keys[name].index(version)] = self.sealed(name, version, value)
        self.write(content, "vault_relocked", entity, kind=lock["kind"])
        return str(lock["kind"])

    def accept(self, entity: str) -> Content | None:
        """Take the file as it is, or that it is gone, for what was last written."""
        data = _read(self.path)
        if data is None:
            self._log.record("vault_accepted", entity=entity, vault=None, generation=0)
            self._content = self._head = None
            return None
        content = _parsed(data)
        sealing.check_mac(data, self._data_key(content))
        head = _head_of(data, content)
        self._log.record(
            "vault_accepted", entity=entity, vault=asdict(head), generation=content.generation
        )
        self._data, self._content, self._head = data, content, head
        return content

    # --- below the face ----------------------------------------------------------------------

    def _present(self) -> Content:
        content = self._content
        if content is None:
            raise VaultBroken(f"{self.path}: there is no vault")
        return content

    def _load(self) -> None:
        self._log.refresh()
        data = _read(self.path)
        if not self._is_recorded(data):
            if data is not None:
                self._data_key(_parsed(data))  # what may ask for a passphrase holds no lock
            with self._log.deciding():  # a writer between file and record is done by then
                data = _read(self.path)
                if not self._is_recorded(data):
                    self._recover(data)
        head = self._log.vault
        self._content = _parsed(data) if data is not None else None
        self._data, self._head = data or b"", head
        if self._content and self._key and self._key[0] == self._content.lock.get("nonce"):
            sealing.check_mac(self._data, self._key[1])

    def _is_recorded(self, data: bytes | None) -> bool:
        head = self._log.vault
        if data is None or head is None:
            return data is None and head is None
        return sha256(data).hexdigest() == head.sha256

    def _recover(self, data: bytes | None) -> None:
        """Record the write of one who died before recording it; refuse whatever else it is."""
        head = self._log.vault
        if data is None:
            raise VaultBroken(f"{self.path}: the vault's file is gone", hint=_PUT_BACK)
        content = _parsed(data)
        sealing.check_mac(data, self._data_key(content))
        known, generation = (head.vault_id, head.generation) if head else (content.vault_id, 0)
        if (content.vault_id, content.generation) != (known, generation + 1):
            raise VaultBroken(
                f"{self.path}: not the file that was last written: it has generation "
                f"{content.generation}, the record says {generation}",
                hint=_PUT_BACK,
            )
        self._log.record(
            "vault_recovered",
            entity="vault",
            vault=asdict(_head_of(data, content)),
            generation=content.generation,
        )

    def _data_key(self, content: Content) -> bytes:
        lock = content.lock
        if self._key is None or self._key[0] != lock.get("nonce"):
            try:
                master = self._master.find(content.vault_id, lock)
                key = sealing.unseal(_wrap_key(master, content.vault_id), lock, _bound_lock(lock))
            except (VaultLocked, sealing.Unopened) as error:
                kind = str(lock.get("kind"))[:20]
                self._log.note("unlock_failed", USER, "failed", kind=kind)
                if isinstance(error, VaultLocked):
                    raise
                raise VaultLocked(_WRONG.get(kind, "the vault does not open")) from None
            self._key = lock["nonce"], key
            if content is self._content:
                sealing.check_mac(self._data, key)
        return self._key[1]


_WRONG = {
    "passphrase": "the passphrase does not open the vault",
    "keyring": "the key in the system's keyring does not open the vault",
    "file": "the key file does not open the vault",
}


def _wrapped(lock: Lock, key: bytes, vault_id: str) -> dict[str, Any]:
    wrapped = sealing.seal(_wrap_key(lock.key, vault_id), key, _bound_lock(lock.form))
    return {**lock.form, **wrapped}


def _wrap_key(master: bytes, vault_id: str) -> bytes:
    return sealing.derived(master, "wrap", vault_id)


def _bound_lock(lock: Any) -> dict[str, Any]:
    return {name: lock[name] for name in lock if name not in {"nonce", "sealed"}}


def _bound(vault_id: str, name: str, version: Version) -> list[Any]:
    return [
        vault_id,
        name,
        version.version,
        version.state,
        version.created,
        version.expires,
        version.metadata,
    ]


def _head_of(data: bytes, content: Content) -> VaultHead:
    _, mac = sealing.split_mac(data)
    return VaultHead(content.vault_id, content.generation, mac, sha256(data).hexdigest())


def _read(path: Path) -> bytes | None:
    try:
        return read_private(path)
    except FileNotFoundError:
        return None


def _parsed(data: bytes) -> Content:
    sealing.split_mac(data)
    try:
        found = msgspec.json.decode(data, type=_File)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        raise VaultBroken("the vault's file is damaged: not what Dino writes") from None
    if found.v != _FORMAT:
        raise VaultBroken(f"the vault's file has format {found.v}; this Dino reads {_FORMAT}")
    fields = {name: getattr(found, name) for name in Content.__struct_fields__}
    return Content(**fields)
