"""
International bank account numbers: a country's length and mod 97.

Source: ISO 13616; lengths by the SWIFT IBAN registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.redaction.checksums import mod97
from engines.redaction.context import word_set
from engines.redaction.model import SURE, Hit
from engines.redaction.views import Text

_LENGTHS = {
    code[:2]: int(code[2:])
    for code in word_set(
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 "
        "DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 "
        "HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 "
        "MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 "
        "RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
        "VA22 VG24 XK20 YE30"
    )
}
_start = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?=[ \-]?[A-Za-z0-9]{4})")
_rest = re.compile(r"(?:[ \-]?[A-Za-z0-9]){11,31}")


def find_ibans(scanned: Text) -> Iterator[Hit]:
    text = scanned.text
    for found in _start.finditer(text):
        size = _LENGTHS.get(found[0][:2].upper())
        rest = _rest.match(text, found.end()) if size else None
        if size and rest:
            code, end = _taken(text, found.start(), rest.end(), size)
            behind = text[end : end + 1]
            if len(code) == size and not behind.isalnum() and mod97(code[4:] + code[:4]) == 1:
                yield Hit("iban", found.start(), end, "iban", SURE, "length and mod 97", code)


def _taken(text: str, start: int, end: int, size: int) -> tuple[str, int]:
    """The first *size* letters and digits from *start* on, and where they end."""
    code = ""
    for at in range(start, end):
        if text[at].isalnum():
            code += text[at].upper()
            if len(code) == size:
                return code, at + 1
    return code, end
