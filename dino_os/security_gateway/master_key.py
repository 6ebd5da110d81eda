"""
What opens the vault: when it is made, the first there is of the system's keyring, a passphrase and
a key file.

A vault says what it was locked with, so later only that is asked for.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput, SecurityError
from dino_os.security_gateway.model import VaultLocked
from dino_os.security_gateway.sealing import KEY_SIZE, decoded, encoded, new_key
from engines.durable import create_file, make_folder
from engines.passphrase import derive, new_kdf

PASSPHRASE_VARIABLE = "DINO_VAULT_PASSPHRASE"  # noqa: S105  a variable's name
NEW_PASSPHRASE_VARIABLE = "DINO_VAULT_PASSPHRASE_NEW"  # noqa: S105  where it is changed
KINDS = ("keyring", "passphrase", "file")
_SERVICE = "dino-vault"
_UNREAL = ("null", "fail", "plaintext")

AskPassphrase = Callable[[str], str | None]
"""Asks for the passphrase with that prompt; None where nobody is there."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What a vault says of how it is locked, and the master key (never shown)."""

    form: Mapping[str, Any]
    key: bytes

    def __repr__(self) -> str:
        return f"Lock({self.form['kind']!r})"


class MasterKey:
    """
    The master key of the vault *vault_id*.

    Args:
        file: Says where its key file lies, or would.
        ask: Asks on a terminal; the variable comes before it.
    """

    def __init__(self, file: Callable[[], Path], ask: AskPassphrase | None = None) -> None:
        self._file = file
        self._ask = ask or (lambda _: None)

    def make(self, vault_id: str, kind: str | None = None) -> Lock:
        """
        Lock a vault: with *kind*, else with the first of KINDS that there is.

        Raises:
            SecurityError: There is nothing of that kind.
        """
        makers = {
            "keyring": self._into_keyring,
            "passphrase": self._by_passphrase,
            "file": self._into_file,
        }
        for name in (kind,) if kind else KINDS:
            if lock := makers[name](vault_id):
                return lock
        raise SecurityError(_MISSING[kind or "file"][0], hint=_MISSING[kind or "file"][1])

    def find(self, vault_id: str, form: Mapping[str, Any]) -> bytes:
        """
        The master key of a vault that is locked as *form* says.

        Raises:
            VaultLocked: It is not to be had here.
        """
        finders = {
            "keyring": self._from_keyring,
            "passphrase": self._from_passphrase,
            "file": self._from_file,
        }
        try:
            return finders[form["kind"]](vault_id, form)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, SecurityError):
                raise
            raise VaultLocked("the vault does not say how it is locked") from None

    def asks(self, form: Mapping[str, Any]) -> bool:
        """Whether somebody would have to be asked to open a vault that is locked as *form* says."""
        return form.get("kind") == "passphrase" and not os.environ.get(PASSPHRASE_VARIABLE)

    # --- the system's keyring ----------------------------------------------------------------

    def _into_keyring(self, vault_id: str) -> Lock | None:
        backend = real_keyring()
        if backend is None:
            return None
        key = new_key()
        try:
            if kept := backend.get_password(_SERVICE, vault_id):
                key = decoded(kept)
            else:
                backend.set_password(_SERVICE, vault_id, encoded(key))
        except Exception:  # noqa: BLE001  whatever a backend raises, there is none then
            return None
        return Lock({"kind": "keyring"}, key)

    def _from_keyring(self, vault_id: str, _: Mapping[str, Any]) -> bytes:
        backend = real_keyring()
        try:
            kept = backend.get_password(_SERVICE, vault_id) if backend else None
        except Exception as error:  # noqa: BLE001  as above
            raise VaultLocked(f"the system's keyring: {type(error).__name__}") from None
        if not kept:
            raise VaultLocked(
                "the vault is locked by the system's keyring, which does not have its key here",
                hint="unlock the keyring, or use the session of the user who made the vault",
            )
        return decoded(kept)

    # --- a passphrase ------------------------------------------------------------------------

    def _by_passphrase(self, _: str) -> Lock | None:
        passphrase = os.environ.get(NEW_PASSPHRASE_VARIABLE) or self._given(
            "new passphrase for the vault (empty for none)"
        )
        if not passphrase:
            return None
        kdf = new_kdf()
        return Lock({"kind": "passphrase", "kdf": kdf}, derive(passphrase, kdf))

    def _from_passphrase(self, _: str, form: Mapping[str, Any]) -> bytes:
        passphrase = self._given("passphrase of the vault")
        if not passphrase:
            raise VaultLocked(
                "the vault is locked by a passphrase", hint=f"give it in ${PASSPHRASE_VARIABLE}"
            )
        try:
            return derive(passphrase, form["kdf"])
        except InvalidInput as error:
            raise VaultLocked(error.message) from None

    def _given(self, prompt: str) -> str | None:
        return os.environ.get(PASSPHRASE_VARIABLE) or self._ask(prompt)

    # --- a key file --------------------------------------------------------------------------

    def _into_file(self, _: str) -> Lock:
        file = self._file()
        make_folder(file.parent, 0o700)
        with contextlib.suppress(FileExistsError):
            create_file(file, encoded(new_key()).encode() + b"\n", mode=0o600)
        return Lock({"kind": "file"}, self._read_file())

    def _from_file(self, _vault_id: str, _form: Mapping[str, Any]) -> bytes:
        return self._read_file()

    def _read_file(self) -> bytes:
        file = self._file()
        try:
            key = decoded(read_private(file).decode("ascii").strip())
        except FileNotFoundError:
            raise VaultLocked(
                f"no key at {file}, which opens the vault",
                hint="it lies outside the workspace, so copy it too where you copy that",
            ) from None
        except ValueError:
            key = b""
        if len(key) != KEY_SIZE:
            raise VaultLocked(f"{file}: not the key of a vault")
        return key


_MISSING = {
    "keyring": (
        "there is no keyring of the system here",
        "it needs the package `keyring` and a backend such as the Secret Service",
    ),
    "passphrase": (
        "no passphrase for the vault",
        f"give it in ${PASSPHRASE_VARIABLE}, or run this on a terminal",
    ),
    "file": ("no key file for the vault", None),
}


def read_private(file: Path) -> bytes:
    """
    The content of a file that only its owner may read.

    Raises:
        FileNotFoundError: It is not there.
        SecurityError: A link, or a file that others can read or that is another user's.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SecurityError(f"{file}: cannot be read: {error.strerror}") from None
    with os.fdopen(fd, "rb") as opened:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise SecurityError(f"{file}: not a file")
        if found.st_mode & 0o077 or found.st_uid not in {os.geteuid(), 0}:
            raise SecurityError(
                f"{file}: others can read it (mode {found.st_mode & 0o777:o})",
                hint=f"chmod 600 {file}",
            )
        return opened.read()


def real_keyring() -> Any:
    """The keyring's backend, where there is one that really keeps things; else None."""
    try:
        import keyring  # noqa: PLC0415  an extra, and slow to import
    except ImportError:
        return None
    try:
        backend: Any = keyring.get_keyring()
        # A chain asks several; only the first would keep a key for certain.
        backends = getattr(backend, "backends", None)
        backend = next(iter(backends), None) if backends is not None else backend
        name = f"{type(backend).__module__}.{type(backend).__qualname__}".lower()
        weak = any(word in name for word in _UNREAL) or float(backend.priority) < 1
    except Exception:  # noqa: BLE001  a backend that cannot say what it is is none
        return None
    return None if weak else backend
