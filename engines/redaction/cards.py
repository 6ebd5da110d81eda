"""
Payment cards: an issuer's first digits, a length that it gives out, and Luhn's check digit.

Source: the issuers' ranges as published in ISO/IEC 7812 listings of each network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.redaction.checksums import luhn
from engines.redaction.context import stands_before, words
from engines.redaction.model import LIKELY, POSSIBLE, SURE, Hit
from engines.redaction.numbers import CARD, Number
from engines.redaction.views import Text

_SHAPES = frozenset(
    f"{a}{s}{b}{s}{c}{rest}"
    for s in " -."
    for a, b, c, rests in (
        (4, 4, 4, ("1", "2", "3", "4", f"4{s}1", f"4{s}2", f"4{s}3")),
        (4, 6, 5, ("",)),
        (4, 6, 4, ("",)),
    )
    for rest in (f"{s}{r}" if r else "" for r in rests)
)
_ISSUERS = (
    ("Visa", (16, 19, 13), re.compile(r"4")),
    ("Mastercard", (16,), re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720")),
    ("American Express", (15,), re.compile(r"3[47]")),
    ("Discover", (16, 19), re.compile(r"6011|64[4-9]|65")),
    ("JCB", (16, 19), re.compile(r"35(?:2[89]|[3-8])")),
    ("UnionPay", (16, 17, 18, 19), re.compile(r"62|81")),
    ("Diners Club", (14,), re.compile(r"30[0-5]|3095|3[689]")),
    ("Maestro", (16, 18, 19, 13), re.compile(r"501[89]|5020|5038|5893|6304|6759|676[1-3]")),
    ("Mir", (16, 19), re.compile(r"220[0-4]")),
    ("Troy", (16,), re.compile(r"9792")),
    ("RuPay", (16,), re.compile(r"508[5-9]|6069[89]|607|608|82")),
)
_within = re.compile(r"(?<!\d)(?<!\d[.-])(?:\d{4}(-?)\d{4}\1\d{4}\1\d{4}|3\d{14})(?!-?\d)")
_hex = re.compile(r"[0-9a-fA-F-]{20,}")
_broken = re.compile(
    r"(?<![\w.,-])(?<!\d[ ])\d{4}(?:([ -])\d{4}(?:\1\d{4})?)?[ \t]{0,8}\r?\n[ \t]{0,8}"
    r"\d{4}(?:([ -])\d{4}(?:\2\d{4})?)?(?![\w.,-]|[ ]\d)"
)
# Bare numbers of this length are more often the code of a product.
_AMBIGUOUS = frozenset({13})
_context = words(
    "card", "carte", "karte", "kredit", "tarjeta", "carta", "cart[aã]o", "kaart", "kort", "pan\\b",
    "visa", "master", "amex", "diners", "maestro", "credit", "debit", "cc\\b", "ccn",
)  # fmt: skip


def find_card(number: Number) -> Iterator[Hit]:
    size = len(number.digits)
    if size < CARD or len(set(number.digits)) == 1:
        return
    bare = number.shape.isdigit()
    if not (bare or number.shape in _SHAPES or set(number.shape) <= {"1", " ", "-"}):
        return
    if not (issuer := _issuer(number.digits)):
        return
    named = stands_before(_context, number.scanned, number.start)
    if bare and size in _AMBIGUOUS and not named:
        return
    yield number.hit("card", SURE if named or not bare else LIKELY, f"{issuer}, check digit")


def find_stuck_cards(scanned: Text) -> Iterator[Hit]:
    """Cards with letters right before or behind them; not in digests."""
    for start, end in scanned.long:
        if not _within.search(scanned.text, start, end) or _hex.search(scanned.text, start, end):
            continue
        for found in _within.finditer(scanned.text, start, end):
            first, last = found.span()
            sides = scanned.text[max(first - 1, 0) : first] + scanned.text[last : last + 1]
            if any(side.isalpha() or side == "_" for side in sides):
                yield from _judged(found)


def find_broken_cards(text: str) -> Iterator[Hit]:
    """Cards whose groups stand in two lines, with nothing else of their like in these."""
    for found in _broken.finditer(text):
        yield from _judged(found)


def _judged(found: re.Match[str]) -> Iterator[Hit]:
    digits = "".join(filter(str.isdigit, found[0]))
    if len(digits) in {15, 16} and len(set(digits)) > 1 and (name := _issuer(digits)):
        yield Hit("card", *found.span(), "card", POSSIBLE, f"{name}, check digit", digits)


def _issuer(digits: str) -> str:
    """Whose card it is; empty where it is none."""
    fits = (n for n, sizes, p in _ISSUERS if len(digits) in sizes and p.match(digits))
    issuer = next(fits, "")
    return issuer if issuer and luhn(digits) else ""
