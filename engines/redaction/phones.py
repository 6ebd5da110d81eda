"""
Phone numbers, as the library `phonenumbers` (Google's libphonenumber) judges them.

It is asked only of what looks like one: a leading +, a national way of writing, or words beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from engines.redaction.context import stands_before, word_set, words
from engines.redaction.model import LIKELY, POSSIBLE, SURE, Hit
from engines.redaction.views import Text

_FEWEST, _MOST = 7, 15
_REACH = 24
_run = re.compile(r"(?<![\w.+])(?:\(?\+|\()?\d(?:[ ().\-/]{0,2}\d){6,16}(?![\d_])(?!\.\d)")
_american = re.compile(
    r"(?:1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d([.-]))[2-9]\d\d(?(1)\1|[ .-])\d{4}"
)
_no_number = re.compile(
    r"(?:19|20)\d\d([-/.])(?:0\d|1[0-2])\1[0-3]\d"  # a day
    r"|[0-3]?\d([-/.])[01]?\d\2(?:19|20)\d\d"
    r"|\d+\.\d+$|[\d.]+\.[\d.]+\.[\d.]+$"  # a fraction, a version
)
_context = words(
    "tel\\b", "tel\\.", "tel:", "telephone", "telefon", "teléfono", "telefono", "téléphone",
    "telefoon",
    "telefone", "phone", "phone_?number", "mobile", "mobil\\b", "mobiel", "móvil", "movil",
    "celular",
    "cell", "cellulare", "portable", "handy", "fax", "call", "sms", "whatsapp", "ring", "dial",
    "rückruf", "numéro", "puhelin", "電話", "电话", "☎", "📞",
)  # fmt: skip
_camel = re.compile(r"(?:phone|mobile|tel|fax|cell)(?:[_ ]?(?:no|nr|number|num))?[\"']?\s?[:=]")


_words = word_set(
    "tel telephone telefon telefono telefoon telefone phone phonenumber phones mobile mobil "
    "mobiel movil celular cell cellulare portable handy fax call called sms whatsapp ring "
    "dial dialed puhelin téléphone teléfono móvil rückruf numéro mobilephone cellphone "
    "homephone workphone telephonenumber faxnumber mobilenumber phoneno telno"
)
_foreign_words = ("電話", "电话", "☎", "📞")


def cue(scanned: Text) -> object:
    if not scanned.numbers:
        return False
    text = scanned.text
    return "+" in text or _american.search(text) or scanned.says(_words, _foreign_words)


@lru_cache(maxsize=8)
def phone_finder(regions: tuple[str, ...]) -> Callable[[Text], Iterator[Hit]]:
    """A detector that also understands the national writing of *regions*."""

    def find_phones(scanned: Text) -> Iterator[Hit]:
        for start, end in scanned.numbers:
            for found in _run.finditer(scanned.text, max(0, start - 2), end):
                if hit := _judged(scanned, found, regions):
                    yield hit

    return find_phones


def _judged(scanned: Text, found: re.Match[str], regions: tuple[str, ...]) -> Hit | None:
    run, start = found[0], found.start()
    if run[0] == "(" and ")" not in run:
        run, start = run[1:], start + 1
    if not _FEWEST <= sum(map(str.isdigit, run)) <= _MOST or run.count(")") != run.count("("):
        return None
    international = "+" in run[:2]
    american = not international and _american.fullmatch(run)
    named = _is_named(scanned, start)
    if not (international or american or named) or (not international and _no_number.match(run)):
        return None
    valid = _valid(run if not run.startswith("00") else f"+{run[2:]}", regions)
    if valid:
        score, why = (SURE if international or named else LIKELY), "a valid number of its country"
    elif named and (international or run.startswith("0") or not run.isdigit()):
        score, why = POSSIBLE, "words that name it"
    else:
        return None
    return Hit("phone", start, found.end(), "phone", score, why, valid or _digits(run))


def _is_named(scanned: Text, start: int) -> bool:
    if stands_before(_context, scanned, start, _REACH):
        return True
    return _camel.search(scanned.low, max(0, start - _REACH), start) is not None


@lru_cache(maxsize=4096)
def _valid(run: str, regions: tuple[str, ...]) -> str:
    """In E.164, where it is valid in its country or in one of *regions*; else nothing."""
    import phonenumbers  # noqa: PLC0415  tables of every country, for the few texts that need them

    for region in [None] if run.lstrip("(").startswith("+") else regions:
        try:
            number = phonenumbers.parse(run, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return ""


def _digits(run: str) -> str:
    return "".join(filter(str.isdigit, run))
