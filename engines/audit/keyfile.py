"""
A signing key as a file: mode 0600, and sealed with a passphrase where one is given.

    {"name": …, "public": …, "kdf": {"scrypt": [n, r, p], "salt": …}, "nonce": …, "private": …}

Sealed means ChaCha20-Poly1305 under a key that Scrypt (RFC 7914) makes from the passphrase; name
and public key are bound to it.  Without a passphrase there is no "kdf", and the key stands open.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from engines.audit.note import SignerKey, VerifierKey, decoded, encoded
from engines.durable import create_file, make_folder
from engines.errors import DinoError, InvalidInput, NotFound
from engines.passphrase import SCRYPT, scrypt

_SCRYPT = SCRYPT
_SALT_SIZE, _NONCE_SIZE = 16, 12


class WrongPassphrase(DinoError):
    """The passphrase does not open the key, or there is none."""


def save_key(path: Path, signer: SignerKey, passphrase: str | None = None) -> None:
    """
    Write a new key, durably.

    Raises:
        InvalidInput: There is a file already; a key is never overwritten.
        OSError: It cannot be written.
    """
    private, public = signer.private_bytes(), encoded(signer.verifier.public)
    form: dict[str, object] = {"name": signer.name, "public": public}
    if passphrase is None:
        form["private"] = encoded(private)
    else:
        salt, nonce = os.urandom(_SALT_SIZE), os.urandom(_NONCE_SIZE)
        cipher = ChaCha20Poly1305(scrypt(passphrase.encode(), salt, _SCRYPT))
        form["kdf"] = {"scrypt": _SCRYPT, "salt": encoded(salt)}
        form["nonce"] = encoded(nonce)
        form["private"] = encoded(cipher.encrypt(nonce, private, _bound(signer.name, public)))
    make_folder(path.parent, 0o700)
    try:
        create_file(path, json.dumps(form, indent=1).encode() + b"\n", mode=0o600)
    except FileExistsError:
        raise InvalidInput(
            f"{path}: there is a key already", hint="replace it with `audit key rotate`"
        ) from None


def load_key(path: Path, passphrase: str | None = None) -> SignerKey:
    """
    Read a key.

    Raises:
        NotFound: There is none.
        WrongPassphrase: It is sealed, and not with that passphrase.
        InvalidInput: The file is not a key.
    """
    form = _read(path)
    try:
        name, public, private = form["name"], form["public"], decoded(form["private"])
        if kdf := form.get("kdf"):
            private = _unseal(path, form, kdf, private, passphrase)
        signer = SignerKey(name, Ed25519PrivateKey.from_private_bytes(private))
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DinoError):
            raise
        raise InvalidInput(f"{path}: not a signing key") from None
    if encoded(signer.verifier.public) != public:
        raise InvalidInput(f"{path}: its public and private keys do not belong together")
    return signer


def read_verifier(path: Path) -> VerifierKey:
    """
    The public half of the key at *path*, which needs no passphrase.

    Raises:
        NotFound: There is none.
        InvalidInput: The file is not a key.
    """
    form = _read(path)
    try:
        return VerifierKey(form["name"], decoded(form["public"]))
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(f"{path}: not a signing key") from None


def is_sealed(path: Path) -> bool:
    """Whether the key at *path* needs a passphrase."""
    try:
        return "kdf" in _read(path)
    except (DinoError, OSError):
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        form = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"no signing key at {path}", hint="make one: `audit key new`") from None
    except (ValueError, RecursionError):
        form = None
    if not isinstance(form, dict):
        raise InvalidInput(f"{path}: not a signing key")
    return form


def _unseal(
    path: Path, form: dict[str, str], kdf: dict[str, Any], sealed: bytes, passphrase: str | None
) -> bytes:
    if passphrase is None:
        raise WrongPassphrase(
            f"{path}: the key is sealed", hint="give its passphrase in $DINO_KEY_PASSPHRASE"
        )
    cipher = ChaCha20Poly1305(scrypt(passphrase.encode(), decoded(kdf["salt"]), kdf["scrypt"]))
    try:
        bound = _bound(form["name"], form["public"])
        return cipher.decrypt(decoded(form["nonce"]), sealed, bound)
    except InvalidTag:
        raise WrongPassphrase(f"{path}: the passphrase does not open the key") from None


def _bound(name: str, public: str) -> bytes:
    return f"{name}\n{public}".encode()
