"""
Dates of birth and names, by the words before them.

A name that nothing announces is not found: that takes a model of the language, and is wrong often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.redaction.context import word_set
from engines.redaction.model import LIKELY, POSSIBLE, Hit
from engines.redaction.views import Text

BIRTH = (
    r"dob|d\.o\.b\.?|(?:date|day) of birth|birth[ _]?da(?:te|y)|born(?: on)?|geboren(?: am)?"
    r"|geburts(?:datum|tag)|née? le|date de naissance|fecha de nacimiento|nacid[oa](?: el)?"
    r"|data di nascita|nat[oa] il|data de nascimento|nascid[oa] em|geboortedatum|geboren op"
    r"|födelsedatum|född|fødselsdato|født|syntymäaika|data urodzenia|urodzon[ya]|datum narození"
    r"|дата рождения|生年月日|出生日期|생년월일"
)
_month = (
    r"(?:jan|feb|mar|mär|apr|avr|may|mai|maj|jun|juin|jul|juil|aug|aoû|ago|sep|set|oct|okt|ott|out"
    r"|nov|dec|dez|déc|dic|ene|abr|gen|mag|giu|lug)[^\W\d_]{0,7}\.?"
)
_year = r"(?:19|20)\d\d"
_day = (
    rf"(?:{_year}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/. ]\d{{1,2}}[-/. ](?:{_year}|\d\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|º)?\.?[- ](?:de )?{_month}[-, ]{{1,2}}(?:de )?{_year}"
    rf"|{_month}[- ]\d{{1,2}}(?:st|nd|rd|th)?,?[ -]{_year}|{_year}[01]\d[0-3]\d"
    rf"|{_year}年\d{{1,2}}月\d{{1,2}}日)"
)
_born = re.compile(
    rf"(?<![^\W_])(?:{BIRTH})[\"')]{{0,2}}\s{{0,2}}(?:is|was|:|=|,|-|\|)?\s{{0,2}}[\"']?({_day})(?!\d)"
)
HONORIFIC = (
    r"Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Herr|Herrn|Frau|Monsieur|Madame|Mme|Mlle|Señora?|Sra?|Srta"
    r"|Signora?|Sig|Dott|Dott\.ssa|Dhr|Mevr|Mevrouw|Meneer|Sir|Lady|Rev|Hon|Capt|Sgt|Lt|Dipl\.-Ing"
)
_part = r"(?:[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]|['’-](?=[^\W\d_])){1,24}|[^\W\d_a-zß-öø-ÿ]\.)"
_between = r"(?:(?:van|von|de|der|den|del|della|di|da|dos|du|la|le|bin|ibn|al|el|ter|zu|y|e) ){0,3}"
_titled = re.compile(
    rf"(?<![\w.@/-])(?:{HONORIFIC})\.?[ \u00a0](?:(?:Dr|Prof|med)\.? ){{0,2}}"
    rf"({_between}(?!(?:{HONORIFIC}|med)\b){_part}(?:[ -]{_between}{_part}){{0,3}})(?![\w@])"
)
_honorific = re.compile(rf"(?<![^\W_])(?:{HONORIFIC})\.?[ \u00a0]")
# Capitals behind an abbreviation that are no name.
_no_name = re.compile(r"[A-Z0-9_]{3,}$|(?:Access|Office|Word|Excel|Windows|Teams|Store|Drive)\b")


_birth_words = word_set(
    "birth birthdate birthday born dob geboren geburtsdatum geburtstag naissance nacimiento "
    "nacido nacida nascita nascimento nascido nascida nato nata geboortedatum syntymäaika "
    "urodzenia urodzony urodzona narození née né född födelsedatum fødselsdato født"
)
_foreign_birth_words = ("рожд", "生年", "出生", "생년")
_titles = word_set(
    "mr mrs miss mx dr prof professor herr herrn frau monsieur madame mme mlle señor señora "
    "sr sra srta signor signora sig dott dhr mevr mevrouw meneer sir lady rev hon capt sgt lt "
    "dipl"
)


def birth_cue(scanned: Text) -> bool:
    return scanned.says(_birth_words, _foreign_birth_words) or "d.o.b" in scanned.low


def name_cue(scanned: Text) -> bool:
    return "Ms" in scanned.text or scanned.says(_titles)


def find_births(scanned: Text) -> Iterator[Hit]:
    for found in _born.finditer(scanned.low):
        start, end = found.span(1)
        why = "a date behind words for a birth"
        yield Hit("birth_date", start, end, "birth_date", LIKELY, why, scanned.text[start:end])


def find_titled(scanned: Text) -> Iterator[Hit]:
    for found in _titled.finditer(scanned.text):
        if not _no_name.match(found[1]):
            why = "capitalised words behind a form of address"
            yield Hit("name", *found.span(1), "name", POSSIBLE, why, found[1])
