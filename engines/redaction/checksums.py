"""
Check digits, by the published rules of each.

Luhn: ISO/IEC 7812-1 annex B.  mod 97: ISO 7064 MOD 97-10 as IBAN uses it (ISO 13616).  Verhoeff:
"Error Detecting Decimal Codes" (1969).  MOD 11,10: ISO 7064.  CRC-32: as zlib has it.
"""

from __future__ import annotations

from collections.abc import Sequence

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
# The multiplication of the dihedral group of order ten, row by row.
_D5 = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def luhn(digits: str) -> bool:
    """Whether the last of *digits* is the check digit of those before it."""
    own = sum(map(int, digits[::-2]))
    return (own + sum(_DOUBLED[int(d)] for d in digits[-2::-2])) % 10 == 0


def mod97(code: str) -> int:
    """The remainder of letters (A = 10) and digits, read as one number."""
    return int("".join(str(int(c, 36)) for c in code)) % 97


def verhoeff(digits: str) -> bool:
    """Whether the last of *digits* is the check digit of those before it."""
    check = 0
    for at, digit in enumerate(reversed(digits)):
        turned = int(digit)
        for _ in range(at % 8):
            turned = _TURN[turned]
        check = int(_D5[check][turned])
    return check == 0


def mod11_10(digits: str) -> bool:
    """Whether the last of *digits* is the check digit of those before it."""
    carried = 10
    for digit in digits[:-1]:
        carried = ((int(digit) + carried) % 10 or 10) * 2 % 11
    return (11 - carried) % 10 == int(digits[-1])


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of each digit times its weight, for as many as there are weights."""
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))
