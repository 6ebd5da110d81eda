"""
National numbers with letters: the form, its check letter, and words where that is not enough.

Sources: Spain, orden INT/2058/2008 (letter by mod 23); Italy, DM 23/12/1976; United Kingdom, HMRC
NIM39110; Finland, Digital and Population Data Services Agency; China, GB 11643; India, Income Tax
Department; Corsica's NIR, INSEE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from engines.redaction.context import stands_before, word_set, words
from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.national import is_day
from engines.redaction.views import Text

_forms = re.compile(
    r"(?<![^\W_])(?:"
    r"(?P<it_fiscal>[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z])"
    r"|(?P<uk_nino>[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D])"
    r"|(?P<es_dni>\d{8}-?[A-HJ-NP-TV-Z])"
    r"|(?P<es_nie>[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z])"
    r"|(?P<fi_hetu>\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y])"
    r"|(?P<cn_resident>[1-8]\d{5}(?:19|20)\d{9}[0-9X])"
    r"|(?P<in_pan>[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z])"
    r"|(?P<fr_nir>[12] ?\d{2} ?\d{2} ?2[AB] ?\d{3} ?\d{3} ?\d{2})"
    r")(?![^\W_])",
    re.IGNORECASE,
)
_ODD = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)
_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def _italian(code: str) -> bool:
    places = [int(c) if c.isdigit() else ord(c) - ord("A") for c in code[:15]]
    total = sum(places[1::2]) + sum(_ODD[p] for p in places[::2])
    return chr(ord("A") + total % 26) == code[15]


def _british(code: str) -> bool:
    return code[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _spanish(code: str) -> bool:
    digits = code[:-1]
    first = "XYZ".find(digits[0])
    number = int(f"{first}{digits[1:]}" if first >= 0 else digits)
    return _LETTERS[number % 23] == code[-1]


def _finnish(code: str) -> bool:
    right = _FINNISH[int(code[:6] + code[-4:-1]) % 31] == code[-1]
    return right and is_day(int(code[2:4]), int(code[:2]))


def _chinese(code: str) -> bool:
    total = sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(code[:17]))
    right = "10X98765432"[total % 11] == code[17]
    return right and is_day(int(code[10:12]), int(code[12:14]))


def _corsican(code: str) -> bool:
    plain = code.replace("2A", "19", 1) if "2A" in code[5:7] else code.replace("2B", "18", 1)
    return 97 - int(plain[:13]) % 97 == int(plain[13:])


_checks: dict[str, tuple[Callable[[str], bool], re.Pattern[str], float]] = {
    "it_fiscal": (_italian, words("codice", "fiscal", "cf\\b"), SURE),
    "uk_nino": (_british, words("nino\\b", "national ins", "national_ins", "ni n"), LIKELY),
    "es_dni": (_spanish, words("dni\\b", "nif\\b", "documento"), LIKELY),
    "es_nie": (_spanish, words("nie\\b", "nif\\b", "extranjero"), LIKELY),
    "fi_hetu": (_finnish, words("hetu", "henkil"), SURE),
    "cn_resident": (_chinese, words("resident", "身份证", "shenfen"), SURE),
    "in_pan": (lambda _: True, words("pan\\b", "permanent acc", "income tax"), 0.0),
    "fr_nir": (_corsican, words("nir\\b"), SURE),
}


_shape = str.maketrans(
    "".join(map(chr, range(128))),
    "".join(
        "0" if c.isdigit() else "T" if c in "TZ" else "A" if c.isupper() else c
        for c in map(chr, range(128))
    ),
)
_rare = re.compile(r"0000000[T-]|-0000000-| 00 00 00 |000000[+-]000|0{18}")
_small_words = word_set(
    "codice fiscale dni nie nif nino insurance hetu henkilötunnus pan permanent tax nir "
    "resident iban"
)


def code_cue(scanned: Text) -> bool:
    """A capital beside a digit, but for the T and the Z of times; or a word."""
    shape = scanned.text.translate(_shape)
    return (
        "A0" in shape
        or "0A" in shape
        or shape.count("T0") > shape.count("0T0")
        or _rare.search(shape) is not None
        or scanned.says(_small_words, ("身份证",))
    )


def find_codes(scanned: Text) -> Iterator[Hit]:
    for found in _forms.finditer(scanned.text):
        kind = found.lastgroup or next(k for k in _checks if found[k])
        code = found[0].upper().replace(" ", "")
        if kind != "fi_hetu":
            code = code.replace("-", "")
        valid, context, alone = _checks[kind]
        if not valid(code):
            continue
        if stands_before(context, scanned, found.start()):
            yield Hit(kind, *found.span(), kind, SURE, "its form, and words that name it", code)
        elif alone and (found[0].isupper() or alone == SURE):
            yield Hit(kind, *found.span(), kind, alone, "its form and its check", code)
