"""Geo coordinates: pairs of degrees that a word or a sign names, and single ones with a name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.redaction.context import stands_before, word_set, words
from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.views import Text

_degrees = r"[-+]?\d{1,3}\.\d{2,15}"
_pair = re.compile(
    rf"(?<![\w.]){_degrees}°? ?[NSns]?[,;/ ]{{1,3}}{_degrees}(?![\d.])°? ?[EWew]?(?!\w)"
)
_single = re.compile(
    rf"(?<![^\W_])(?:lat|latitude|lon|lng|long|longitude|breitengrad|längengrad|latitud|longitud)"
    rf"[\"']?\s?[:=]\s?[\"']?({_degrees})(?![\w.])",
    re.IGNORECASE,
)
_minutes = re.compile(
    r"(?<!\w)\d{1,2}°\s?\d{1,2}[′']\s?(?:\d{1,2}(?:\.\d{1,6})?[″\"]\s?)?[NS][,;/ ]{0,3}"
    r"\d{1,3}°\s?\d{1,2}[′']\s?(?:\d{1,2}(?:\.\d{1,6})?[″\"]\s?)?[EWO](?!\w)"
)
_grade = re.compile(r"[-+]?\d{1,3}\.\d+")
_context = words(
    "lat", "lon\\b", "lng", "lon/", "long", "coord", "koord", "geo", "gps", "position", "locat",
    "standort", "ubicac", "point", "maps?\\b", "near", "ll=", "q=", "center",
)  # fmt: skip
_signed = re.compile(r"[°NSEWnsew]")
_LAT, _LON = 90, 180
_REACH = 40
_FINE = 4  # decimals: some ten metres


_two = re.compile(r"\.\d{2,15}°? ?[NSns]?[,;/ ]{1,3}[-+]?\d{1,3}\.\d{2}")
_degree_words = word_set(
    "lat latitude latitud latitudine lon lng long longitude longitud breitengrad längengrad"
)


def pair_cue(scanned: Text) -> object:
    return _two.search(scanned.text)


def single_cue(scanned: Text) -> bool:
    return scanned.says(_degree_words)


def find_pairs(scanned: Text) -> Iterator[Hit]:
    for found in _pair.finditer(scanned.text):
        grades = _grade.findall(found[0])
        if len(grades) != 2 or not _on_earth(grades):  # noqa: PLR2004
            continue
        signed = _signed.search(found[0])
        fine = all(len(g.partition(".")[2]) >= _FINE for g in grades)
        if signed or (fine and stands_before(_context, scanned, found.start(), _REACH)):
            why = "degrees of latitude and longitude"
            yield Hit(
                "geo", *found.span(), "geo", SURE if signed else LIKELY, why, ",".join(grades)
            )


def find_singles(scanned: Text) -> Iterator[Hit]:
    for found in _single.finditer(scanned.text):
        if abs(float(found[1])) <= _LON:
            yield Hit("geo", *found.span(1), "geo", LIKELY, "named as a degree", found[1])


def find_minutes(scanned: Text) -> Iterator[Hit]:
    for found in _minutes.finditer(scanned.text):
        yield Hit("geo", *found.span(), "geo", SURE, "degrees, minutes and a quarter")


def _on_earth(grades: list[str]) -> bool:
    one, two = (abs(float(g)) for g in grades)
    return min(one, two) <= _LAT and max(one, two) <= _LON
