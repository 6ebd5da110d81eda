"""Amounts: read and written exactly, in every currency, and never through a float."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.orders import EXPONENTS, Money, currency_code, decimal, minor_units, parse_money
from engines.orders.money import LARGEST

currencies = st.sampled_from(sorted(EXPONENTS))


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("12.50 EUR", 1250),
        ("12.5 EUR", 1250),
        ("12 EUR", 1200),
        ("0.01 USD", 1),
        ("100 JPY", 100),
        ("1.234 KWD", 1234),
        ("1.2345 CLF", 12345),
        ("-3.10 EUR", -310),
        ("0.29 EUR", 29),
        ("1.1 eur", 110),
        ("4503599627370496.03 EUR", 450359962737049603),
    ],
)
def test_amounts_are_read_exactly(text: str, minor: int) -> None:
    """Also those that a float would get wrong; the last is beyond what is taken."""
    if minor > LARGEST:
        with pytest.raises(InvalidInput, match="too large"):
            parse_money(text)
    else:
        assert parse_money(text).minor == minor


@given(st.integers(-LARGEST, LARGEST), currencies)
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    assert minor_units(decimal(minor, currency), currency) == minor
    assert parse_money(str(Money(minor, currency))) == (minor, currency)


@pytest.mark.parametrize(
    "text",
    ["", "1,50", "1e2", "0x10", "1_000", "\uff11\uff12", ".5", "5.", "1.2.3", "--1", "nan", "inf", "1 2", "9" * 17],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"not an amount|too large"):
        minor_units(text, "EUR")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.505 EUR", "EUR has 2 digits"),
        ("1.5 JPY", "JPY has no digits"),
        ("1.2345 KWD", "KWD has 3 digits"),
        ("5 EURO", "no currency 'EURO' .did you mean 'EUR'"),
        ("5 XYZ", "no currency 'XYZ'"),
        ("5", "not an amount and a currency"),
        ("EUR 5 5", "not an amount and a currency"),
    ],
)
def test_what_does_not_fit_a_currency_is_refused(text: str, told: str) -> None:
    """No digit is ever rounded away."""
    with pytest.raises(InvalidInput, match=told):
        parse_money(text)


def test_currencies_have_the_digits_of_the_standard() -> None:
    """Three letters each; a sample of each number of digits."""
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)
    assert len(EXPONENTS) > 150
    sample = {"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "KWD": 3, "TND": 3, "CLF": 4, "ISK": 0}
    assert {code: EXPONENTS[code] for code in sample} == sample
    assert currency_code(" eur ") == "EUR"
