"""
Amounts of money: whole minor units (cents) of an ISO 4217 currency, read and written exactly.

Owns the table of currencies and the text form.  No amount is ever a float.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engines.checks import did_you_mean
from engines.errors import InvalidInput

LARGEST = 2**53 - 1
"""The largest amount in minor units: what every reader of JSON still reads exactly."""

# Active codes by the digits behind the point (ISO 4217, list one; funds and metals left out).
_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
        CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
        GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL
        MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN
        PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
        SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS = {code: digits for digits, codes in _BY_EXPONENT.items() for code in codes.split()}
"""Currency → how many digits stand behind the point."""

_amount = re.compile(r"([+-]?)([0-9]{1,16})(?:\.([0-9]{1,4}))?").fullmatch


class Money(NamedTuple):
    """So many minor units of a currency."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return f"{decimal(self.minor, self.currency)} {self.currency}"


def currency_code(text: str) -> str:
    """
    *text* as a currency's code, in capitals.

    Raises:
        InvalidInput: No currency has it.
    """
    code = text.strip().upper() if isinstance(text, str) else ""
    if code not in EXPONENTS:
        raise InvalidInput(
            f"no currency {text!r}{did_you_mean(code, EXPONENTS)}",
            hint="its three letters after ISO 4217, for example EUR",
        )
    return code


def minor_units(text: str, currency: str) -> int:
    """
    Read an amount such as "12.50" in *currency* exactly: 1250 minor units.

    Raises:
        InvalidInput: It is no decimal number, has more digits than the currency, or is too large.
    """
    code = currency_code(currency)
    match = _amount(text.strip())
    if not match:
        raise InvalidInput(
            f"not an amount: {text!r}", hint="digits with at most one point, for example 12.50"
        )
    sign, whole, fraction = match[1], match[2], match[3] or ""
    digits = EXPONENTS[code]
    if len(fraction) > digits:
        kept = f"{digits} digits" if digits else "no digits"
        raise InvalidInput(f"{text} {code}: {code} has {kept} behind the point")
    minor = int(whole + fraction.ljust(digits, "0"))
    if minor > LARGEST:
        raise InvalidInput(f"{text} {code} is too large: at most {Money(LARGEST, code)}")
    return -minor if sign == "-" else minor


def parse_money(text: str) -> Money:
    """
    Read "12.50 EUR".

    Raises:
        InvalidInput: It is not an amount and a currency.
    """
    parts = text.split()
    if len(parts) != 2:  # noqa: PLR2004  the two
        raise InvalidInput(f"not an amount and a currency: {text!r}", hint='write "12.50 EUR"')
    code = currency_code(parts[1])
    return Money(minor_units(parts[0], code), code)


def decimal(minor: int, currency: str) -> str:
    """*minor* as people write it: "12.50"; what `minor_units` reads back."""
    digits = EXPONENTS[currency]
    text = str(abs(minor)).rjust(digits + 1, "0")
    whole, fraction = text[: len(text) - digits], text[len(text) - digits :]
    return f"{'-' if minor < 0 else ''}{whole}{'.' if digits else ''}{fraction}"
