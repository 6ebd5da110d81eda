"""
A key from a passphrase, by functions that make each guess cost memory and time.

    {"argon2id": [memory in KiB, passes, lanes], "salt": …}     RFC 9106; where the library has it
    {"scrypt": [n, r, p], "salt": …}                            RFC 7914

What a file says of its costs is held to what an honest one would say: a forged one must not take
the machine's memory.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from engines.errors import InvalidInput

KEY_SIZE = 32
_SALT_SIZE = 16
_ARGON2ID = (64 * 1024, 3, 1)  # 64 MiB; above the second choice of RFC 9106
# 32 MiB and about 0.1 s: what RFC 7914 and OWASP name for interactive use.
SCRYPT = (1 << 15, 8, 3)
_SCRYPT_N = frozenset(1 << bits for bits in range(1, 21))


def new_kdf() -> dict[str, Any]:
    """The best function there is, and a salt; made for one key."""
    salt = os.urandom(_SALT_SIZE)
    form = {"salt": base64.b64encode(salt).decode()}
    try:
        argon2id(b"", salt, (8, 1, 1))
    except (ImportError, UnsupportedAlgorithm):
        return {"scrypt": list(SCRYPT), **form}
    return {"argon2id": list(_ARGON2ID), **form}


def derive(passphrase: str, kdf: Mapping[str, Any]) -> bytes:
    """
    The key that *passphrase* gives by *kdf* (what `new_kdf` made).

    Raises:
        InvalidInput: Its costs are absurd.
        ValueError: It is none that is known.
    """
    salt = base64.b64decode(kdf["salt"], validate=True)
    if "argon2id" in kdf:
        return argon2id(passphrase.encode(), salt, kdf["argon2id"])
    return scrypt(passphrase.encode(), salt, kdf["scrypt"])


def argon2id(passphrase: bytes, salt: bytes, cost: Sequence[int]) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415  not before 44

    memory, passes, lanes = cost
    if not (8 <= memory <= 1 << 18 and 1 <= passes <= 16 and 1 <= lanes <= 8):  # noqa: PLR2004
        raise InvalidInput(f"the costs of argon2id are absurd: {cost!r}"[:100])
    kdf = Argon2id(salt=salt, length=KEY_SIZE, iterations=passes, lanes=lanes, memory_cost=memory)
    return kdf.derive(passphrase)


def scrypt(passphrase: bytes, salt: bytes, cost: Sequence[int]) -> bytes:
    n, r, p = cost
    if not (n in _SCRYPT_N and 1 <= r <= SCRYPT[1] and 1 <= p <= SCRYPT[2]):
        raise InvalidInput(f"the costs of scrypt are absurd: {cost!r}"[:100])
    return Scrypt(salt=salt, length=KEY_SIZE, n=n, r=r, p=p).derive(passphrase)
