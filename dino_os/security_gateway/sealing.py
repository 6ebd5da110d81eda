"""
The vault's cryptography: what is encrypted under which key, and what is bound to it.

    data key      32 random bytes, wrapped by the master key
    entry key     HKDF-Expand-SHA256(data key, "dino-vault/v1|NAME|VERSION")
    value         ChaCha20-Poly1305 under the entry key, with a random nonce; bound to it are vault,
                  name, version, state, times and metadata: none can be swapped or relabelled
    file          HMAC-SHA256 over all bytes before it, under a key of its own
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from dino_os.security_gateway.model import VaultBroken

KEY_SIZE, NONCE_SIZE = 32, 12
_DOMAIN = "dino-vault/v1"


class Unopened(Exception):
    """Not sealed with this key, or altered since."""


def canonical(value: Any) -> bytes:
    """The one way in which *value* (JSON) is written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def new_key() -> bytes:
    return os.urandom(KEY_SIZE)


def seal(key: bytes, content: bytes, bound: Any) -> dict[str, str]:
    """*content*, encrypted; opens only with *key* and beside the same *bound* (JSON)."""
    nonce = os.urandom(NONCE_SIZE)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, content, canonical(bound))
    return {"nonce": encoded(nonce), "sealed": encoded(sealed)}


def unseal(key: bytes, form: dict[str, str], bound: Any) -> bytes:
    """
    What `seal` was given.

    Raises:
        Unopened: Another key, other things bound to it, or altered.
    """
    try:
        nonce, sealed = decoded(form["nonce"]), decoded(form["sealed"])
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, canonical(bound))
    except (InvalidTag, ValueError, KeyError, TypeError):
        raise Unopened from None


def derived(key: bytes, *purpose: object) -> bytes:
    """A key for one purpose only."""
    info = "|".join([_DOMAIN, *map(str, purpose)]).encode()
    return HKDFExpand(algorithm=SHA256(), length=KEY_SIZE, info=info).derive(key)


def with_mac(body: dict[str, Any], key: bytes) -> bytes:
    """*body* as the bytes of a file that ends in a MAC over what stands before it."""
    text = canonical(body)
    return b'%b,"mac":"%b"}\n' % (text[:-1], _mac(text, key).encode())


_TAIL = len(b',"mac":"') + 2 * sha256().digest_size + len(b'"}\n')


def split_mac(data: bytes) -> tuple[bytes, str]:
    """
    What the MAC of a file is over, and that MAC.

    Raises:
        VaultBroken: It does not end in one.
    """
    text, tail = data[:-_TAIL] + b"}", data[-_TAIL:]
    mac = tail[8:-3].decode("ascii", "replace")
    if tail != b',"mac":"%b"}\n' % mac.encode() or len(data) <= _TAIL:
        raise VaultBroken("the vault's file is cut off or altered")
    return text, mac


def check_mac(data: bytes, key: bytes) -> None:
    """
    Make sure that every byte of a file is as it was written.

    Raises:
        VaultBroken: Not so.
    """
    text, mac = split_mac(data)
    if not hmac.compare_digest(mac.encode(), _mac(text, key).encode()):
        raise VaultBroken("the vault's file was altered: its MAC does not fit")


def _mac(text: bytes, key: bytes) -> str:
    return hmac.digest(derived(key, "mac"), text, "sha256").hex()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
