"""
National numbers that are digits only: each with its check digits, its shapes and its words.

A number that stands bare counts beside words that name it, or where its check digits and the date
in it leave little to chance.  Sources: the issuing offices' published rules, as cited in each row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engines.redaction.checksums import luhn, mod11_10, verhoeff, weighted
from engines.redaction.context import stands_before, words
from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.numbers import Number

_MONTHS, _DAYS = 12, 31
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITIN = {*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)}
_NIR_MONTHS = {*range(1, 13), *range(20, 43), *range(50, 100)}


@dataclass(frozen=True, slots=True)
class National:
    """A number of a country."""

    kind: str
    valid: Callable[[str], bool]
    context: re.Pattern[str]
    bare: tuple[int, ...]
    """Its numbers of digits."""
    shapes: tuple[str, ...] = ()
    """As it is written in groups."""
    alone: float = 0.0
    """How sure it is in one of its shapes without any word beside it; 0 is not at all."""
    bare_alone: float = 0.0
    """As `alone`, without groups."""


def _ssn(d: str) -> bool:
    # Social Security Administration, RM 10201.035: numbers that are never given out.
    return d[:3] not in {"000", "666"} and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"


def _itin(d: str) -> bool:
    # IRS, Publication 1915: the fourth and fifth digits.
    middle = int(d[3:5])
    return d[0] == "9" and middle in _ITIN


def _sin(d: str) -> bool:
    return d[0] not in "08" and luhn(d)


def _tfn(d: str) -> bool:
    # Australian Taxation Office: weighted sum divisible by 11.
    return weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and d != "000000000"


def _bsn(d: str) -> bool:
    # Elfproef.
    return weighted(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and int(d) > 0


def _nhs(d: str) -> bool:
    return (11 - weighted(d, range(10, 1, -1)) % 11) % 11 == int(d[9]) and d[0] != "0"


def _steuer(d: str) -> bool:
    # Of the first ten digits one stands two or three times, the others at most once.
    most = max(map(d[:10].count, d[:10]))
    return d[0] != "0" and 2 <= most <= 3 and len(set(d[:10])) == 11 - most and mod11_10(d)  # noqa: PLR2004


def _pesel(d: str) -> bool:
    month = int(d[2:4]) % 20
    right = (10 - weighted(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == int(d[10])
    return right and is_day(month, int(d[4:6]))


def _swedish(d: str) -> bool:
    day = int(d[-6:-4])
    return is_day(int(d[-8:-6]), day - 60 if day > 60 else day) and luhn(d[-10:])  # noqa: PLR2004


def _danish(d: str) -> bool:
    return is_day(int(d[2:4]), int(d[:2]))


def _norwegian(d: str) -> bool:
    day = int(d[:2])
    first = (11 - weighted(d, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11) % 11
    second = (11 - weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    return (
        (first, second) == (int(d[9]), int(d[10]))
        and is_day(int(d[2:4]) % 40, day - 40 if day > 40 else day)  # noqa: PLR2004
    )  # fmt: skip


def _belgian(d: str) -> bool:
    # From 2000 on a 2 stands before the nine digits.
    right = int(d[9:])
    sums = 97 - int(d[:9]) % 97, 97 - int("2" + d[:9]) % 97
    return right in sums and int(d[2:4]) % 20 <= _MONTHS and int(d[4:6]) <= _DAYS


def _cpf(d: str) -> bool:
    return len(set(d)) > 1 and all(
        weighted(d, range(n + 1, 1, -1)) * 10 % 11 % 10 == int(d[n]) for n in (9, 10)
    )


def _cnpj(d: str) -> bool:
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    sums = (weighted(d, weights[1:]) % 11, weighted(d, weights) % 11)
    return (
        len(set(d)) > 1
        and all(
            (0 if rest < 2 else 11 - rest) == int(check)  # noqa: PLR2004
            for rest, check in zip(sums, d[12:], strict=True)
        )
    )


def _aadhaar(d: str) -> bool:
    return d[0] not in "01" and verhoeff(d)


def _nir(d: str) -> bool:
    # INSEE: 97 less the first thirteen digits mod 97; months past 12 are given to unknown ones.
    right = 97 - int(d[:13]) % 97 == int(d[13:])
    return right and d[0] in "12378" and int(d[3:5]) in _NIR_MONTHS


def is_day(month: int, day: int) -> bool:
    """Whether some year has it."""
    return 1 <= month <= _MONTHS and 1 <= day <= _LONGEST[month - 1]


_TABLE = (
    National("us_ssn", _ssn, words("ssn", "social.?sec", "soc sec", "tax ?id"),
             (9,), ("3-2-4", "3 2 4"), LIKELY),
    National("us_itin", _itin, words("itin", "taxpayer", "individual tax"),
             (9,), ("3-2-4", "3 2 4"), LIKELY),
    National("ca_sin", _sin, words("sin\\b", "social ins", "social_ins", "nas\\b", "assurance soc"),
             (9,), ("3-3-3", "3 3 3")),
    National("au_tfn", _tfn, words("tfn", "tax file", "tax_file"), (9,), ("3 3 3", "3-3-3")),
    National("nl_bsn", _bsn, words("bsn", "burgerservice", "sofi", "citizen service"),
             (9,), ("4.2.3", "3.3.3", "3 3 3", "4 2 3", "2.3.3.1")),
    National("uk_nhs", _nhs, words("nhs"), (10,), ("3 3 4", "3-3-4")),
    National("de_tax", _steuer, words("steuer", "id-?nr", "tin\\b", "tax.?id", "identifikationsn"),
             (11,), ("2 3 3 3", "3 3 3 2", "2-3-3-3")),
    National("pl_pesel", _pesel, words("pesel"), (11,)),
    National("se_personal", _swedish,
             words("personn", "pnr", "personal id", "person.?nummer", "samordn"),
             (10, 12), ("6-4", "8-4", "6+4"), LIKELY),
    National("dk_cpr", _danish, words("cpr", "personnummer", "danish"), (10,), ("6-4", "6 4")),
    National("no_fnr", _norwegian, words("f[øo]dselsn", "fnr", "personn", "norwegian"),
             (11,), ("6 5",), LIKELY, LIKELY),
    National("be_national", _belgian,
             words("rijksregister", "registre nat", "national", "insz", "niss", "rrn", "nrn"),
             (11,), ("2.2.2-3.2", "2.2.2-3-2", "6-3-2", "6 3 2"), SURE),
    National("br_cpf", _cpf, words("cpf", "cadastro"), (11,), ("3.3.3-2",), SURE),
    National("br_cnpj", _cnpj, words("cnpj", "cadastro"), (14,), ("2.3.3/4-2",), SURE),
    National("in_aadhaar", _aadhaar, words("aadhaar", "aadhar", "adhaar", "uidai", "uid\\b"),
             (12,), ("4 4 4", "4-4-4"), LIKELY),
    National("fr_nir", _nir, words("nir\\b", "s[ée]cu", "insee", "num[ée]ro de s", "assur"),
             (15,), ("1 2 2 2 3 3 2", "1 2 2 2 3 3-2", "13 2", "1-2-2-2-3-3-2"), SURE, SURE),
)  # fmt: skip
_by_shape: dict[str, list[National]] = {}
for _row in _TABLE:
    for _shape in (*map(str, _row.bare), *_row.shapes):
        _by_shape.setdefault(_shape, []).append(_row)

SHAPES = frozenset(_by_shape)
"""All that is looked for."""


def find_national(number: Number) -> Iterator[Hit]:
    for row in _by_shape.get(number.shape, ()):
        if row.valid(number.digits):
            bare = number.shape.isdigit()
            alone = row.bare_alone if bare else row.alone
            if stands_before(row.context, number.scanned, number.start):
                yield number.hit(row.kind, SURE, "check digits, and words that name it")
            elif alone:
                yield number.hit(row.kind, alone, "its form and its check digits")
