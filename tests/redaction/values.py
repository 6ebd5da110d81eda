"""Values of every kind, made by chance after the rules of who gives them out."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

HEX, ALNUM = "0123456789abcdef", string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
WORDS = [
    "worker",
    "request",
    "cache",
    "pool",
    "flush",
    "handler",
    "payload",
    "index",
    "shard",
    "replica",
    "leader",
    "batch",
    "retry",
    "window",
    "schema",
    "render",
    "queue",
    "metric",
    "bucket",
    "region",
    "planner",
    "station",
    "report",
    "night",
    "shift",
    "crew",
]


class Maker:
    """Makes values, by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def of(self, alphabet: str, size: int) -> str:
        return "".join(self.rng.choices(alphabet, k=size))

    def digits(self, size: int) -> str:
        return self.of(string.digits, size)

    def one(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def until(self, make: Callable[[], str], right: Callable[[str], bool]) -> str:
        while not right(found := make()):
            pass
        return found


def luhn_digit(body: str) -> str:
    total = 0
    for at, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if at % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


# Kinds of personal data.


def email(m: Maker) -> str:
    name = m.one("ada", "jo.smith", "m_mueller", "x+news", "o'brien", "li.wei2", "dpo-team", "zoë")
    host = m.one("example.com", "mail.example.co.uk", "firma.de", "uni-x.edu", "straße.de", "a.io")
    return f"{name}{m.rng.randrange(999)}@{host}"


def phone(m: Maker) -> str:
    return m.one(
        f"+1 {m.one('212', '415', '312')} 555 {m.rng.randrange(2000, 9999)}",
        f"+49 30 {m.rng.randrange(200000, 999999)}",
        f"+44 20 7946 0{m.digits(3)}",
        f"+33 1 42 {m.rng.randrange(10, 99)} {m.digits(2)} {m.digits(2)}",
        f"({m.one('212', '415', '312')}) {m.rng.randrange(220, 989)}-{m.digits(4)}",
        f"{m.one('212', '415', '312')}-{m.rng.randrange(220, 989)}-{m.digits(4)}",
        f"+81-3-{m.rng.randrange(3200, 3999)}-{m.digits(4)}",
        f"+34 91{m.rng.randrange(1, 9)} {m.digits(3)} {m.digits(3)}",
    )


def card(m: Maker) -> str:
    prefix, size = m.rng.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15),
         ("6011", 16), ("65", 16), ("3528", 16), ("62", 16), ("4", 19), ("5018", 16)]
    )  # fmt: skip
    body = prefix + m.digits(size - 1 - len(prefix))
    number = body + luhn_digit(body)
    if size == 16:
        groups = [number[i : i + 4] for i in range(0, 16, 4)]
    elif size == 15:
        groups = [number[:4], number[4:10], number[10:]]
    else:
        return number
    return m.one("", " ", "-").join(groups)


def iban(m: Maker) -> str:
    country, size = m.rng.choice([("DE", 18), ("GB", 18), ("FR", 23), ("ES", 20), ("NL", 14), ("NO", 11), ("PL", 24), ("BE", 12)])  # fmt: skip
    body = m.digits(size)
    if country in {"GB", "NL"}:
        body = m.of(string.ascii_uppercase, 4) + body[4:]
    number = int("".join(str(int(c, 36)) for c in f"{body}{country}00"))
    whole = f"{country}{98 - number % 97:02}{body}"
    return (
        whole
        if m.rng.random() < 0.5
        else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))
    )


def us_ssn(m: Maker) -> str:
    area = m.until(lambda: f"{m.rng.randrange(1, 900):03}", lambda a: a != "666")
    return f"{area}-{m.rng.randrange(1, 100):02}-{m.rng.randrange(1, 10000):04}"


def uk_nino(m: Maker) -> str:
    prefix = m.one("AB", "CE", "JK", "PW", "SX", "AA")
    sep = m.one("", " ")
    d = m.digits(6)
    return sep.join([prefix, d[:2], d[2:4], d[4:], m.one(*"ABCD")])


def es_dni(m: Maker) -> str:
    number = m.rng.randrange(10**7, 10**8)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def es_nie(m: Maker) -> str:
    first, rest = m.rng.randrange(3), m.digits(7)
    return f"{'XYZ'[first]}{rest}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(f'{first}{rest}') % 23]}"


def it_fiscal(m: Maker) -> str:
    odd = dict(zip(UPPER[26:] + UPPER[:26], [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23], strict=True))  # fmt: skip
    letters = string.ascii_uppercase
    body = (
        f"{m.of(letters, 6)}{m.digits(2)}{m.one(*'ABCDEHLMPRST')}{m.rng.randrange(1, 29):02}"
        f"{m.one(*letters)}{m.digits(3)}"
    )
    total = sum(odd[c] for c in body[::2])
    total += sum(int(c) if c.isdigit() else letters.index(c) for c in body[1::2])
    return body + letters[total % 26]


def de_tax(m: Maker) -> str:
    chosen = m.rng.sample(string.digits, 9)
    ten = [*chosen, m.rng.choice(chosen)]
    m.rng.shuffle(ten)
    if ten[0] == "0":
        ten.reverse()
    body = "".join(ten)
    if body[0] == "0":
        return de_tax(m)
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return f"{body}{(11 - product) % 10}"


def fr_nir(m: Maker) -> str:
    body = f"{m.one('1', '2')}{m.digits(2)}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 96):02}{m.rng.randrange(1, 990):03}{m.rng.randrange(1, 999):03}"
    return f"{body}{97 - int(body) % 97:02}"


def nl_bsn(m: Maker) -> str:
    def right(d: str) -> bool:
        return (
            sum(w * int(c) for w, c in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), d, strict=True)) % 11 == 0
        )

    return m.until(lambda: str(m.rng.randrange(10**8, 10**9)), right)


def be_national(m: Maker) -> str:
    y, mo, d, n = (
        m.rng.randrange(40, 99),
        m.rng.randrange(1, 13),
        m.rng.randrange(1, 28),
        m.rng.randrange(1, 998),
    )
    check = 97 - int(f"{y:02}{mo:02}{d:02}{n:03}") % 97
    return f"{y:02}.{mo:02}.{d:02}-{n:03}.{check:02}"


def pl_pesel(m: Maker) -> str:
    body = f"{m.rng.randrange(40, 99):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 29):02}{m.digits(4)}"
    total = sum(w * int(c) for w, c in zip((1, 3, 7, 9, 1, 3, 7, 9, 1, 3), body, strict=True))
    return f"{body}{-total % 10}"


def se_personal(m: Maker) -> str:
    body = f"{m.rng.randrange(40, 99):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 29):02}{m.digits(3)}"
    whole = body + luhn_digit(body)
    return f"{whole[:6]}-{whole[6:]}"


def br_cpf(m: Maker) -> str:
    body = m.digits(9)
    for size in (9, 10):
        total = sum((size + 1 - i) * int(c) for i, c in enumerate(body))
        body += str(0 if total % 11 < 2 else 11 - total % 11)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def br_cnpj(m: Maker) -> str:
    body = m.digits(8) + "0001"
    for weights in ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)):
        total = sum(w * int(c) for w, c in zip(weights, body, strict=True))
        body += str(0 if total % 11 < 2 else 11 - total % 11)
    return f"{body[:2]}.{body[2:5]}.{body[5:8]}/{body[8:12]}-{body[12:]}"


_VERHOEFF_D = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
               "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527",
               "9453126870", "4286573901", "2793806415", "7046913258")  # fmt: skip


def in_aadhaar(m: Maker) -> str:
    body = m.one(*"23456789") + m.digits(10)
    for check in string.digits:
        c = 0
        for i, digit in enumerate(reversed(body + check)):
            c = int(_VERHOEFF_D[c][int(_VERHOEFF_P[i % 8][int(digit)])])
        if c == 0:
            whole = body + check
            return f"{whole[:4]} {whole[4:8]} {whole[8:]}"
    raise AssertionError


def ca_sin(m: Maker) -> str:
    body = m.one(*"1234567") + m.digits(7)
    whole = body + luhn_digit(body)
    return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def au_tfn(m: Maker) -> str:
    def right(d: str) -> bool:
        return (
            sum(w * int(c) for w, c in zip((1, 4, 3, 7, 5, 8, 6, 9, 10), d, strict=True)) % 11 == 0
        )

    whole = m.until(lambda: str(m.rng.randrange(10**8, 10**9)), right)
    return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def uk_nhs(m: Maker) -> str:
    while True:
        body = m.one(*"456789") + m.digits(8)
        check = 11 - sum((10 - i) * int(c) for i, c in enumerate(body)) % 11
        if check != 10:
            whole = body + str(check % 11)
            return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def fi_hetu(m: Maker) -> str:
    day, number = (
        f"{m.rng.randrange(1, 29):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(40, 99):02}",
        f"{m.rng.randrange(2, 900):03}",
    )
    return f"{day}-{number}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(day + number) % 31]}"


def no_fnr(m: Maker) -> str:
    while True:
        d = f"{m.rng.randrange(1, 29):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(40, 99):02}{m.digits(3)}"
        one = 11 - sum(w * int(c) for w, c in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), d, strict=True)) % 11
        one = 0 if one == 11 else one
        two = (
            11
            - sum(
                w * int(c)
                for w, c in zip((5, 4, 3, 2, 7, 6, 5, 4, 3, 2), f"{d}{one}"[:10], strict=False)
            )
            % 11
        )
        two = 0 if two == 11 else two
        if one != 10 and two != 10:
            return f"{d}{one}{two}"


def cn_resident(m: Maker) -> str:
    body = f"110105{m.rng.randrange(1950, 2005)}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 29):02}{m.digits(3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(w * int(c) for w, c in zip(weights, body, strict=True)) % 11]


def ipv4(m: Maker) -> str:
    return ".".join(str(m.rng.randrange(1, 254)) for _ in range(4)).replace("127.", "128.", 1)


def ipv6(m: Maker) -> str:
    groups = [f"{m.rng.randrange(1, 65536):x}" for _ in range(8)]
    return m.one(
        ":".join(groups),
        f"2001:db8:{groups[0]}::{groups[1]}",
        f"fe80::{groups[2]}:{groups[3][:2]}ff:fe01:1",
    )


def mac(m: Maker) -> str:
    pairs = [m.of(HEX, 2) for _ in range(6)]
    return m.one(":".join(pairs), "-".join(pairs).upper())


def geo(m: Maker) -> str:
    return f"{m.rng.uniform(-85, 85):.6f}, {m.rng.uniform(-175, 175):.6f}"


def birth_date(m: Maker) -> str:
    y, mo, d = m.rng.randrange(1930, 2010), m.rng.randrange(1, 13), m.rng.randrange(1, 29)
    month = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ][mo - 1]
    return m.one(
        f"{y}-{mo:02}-{d:02}",
        f"{d:02}/{mo:02}/{y}",
        f"{d}.{mo}.{y}",
        f"{d} {month} {y}",
        f"{month} {d}, {y}",
    )


def name(m: Maker) -> str:
    first = m.one("Ada", "Grace", "José", "Anna", "Wei", "Björn", "Fatima", "Ivan")
    last = m.one(
        "Lovelace",
        "Hopper",
        "García",
        "Müller-Lüdenscheid",
        "van Dyke",
        "O'Brien",
        "Østergård",
        "Petrov",
    )
    return f"{first} {last}"


# Words that must stand before a value whose form alone says too little.
CONTEXT = {
    "ca_sin": "SIN", "au_tfn": "tax file number", "nl_bsn": "BSN", "pl_pesel": "PESEL", "de_tax": "Steuer-ID",
    "uk_nhs": "NHS number", "geo": "location", "birth_date": "date of birth",
}  # fmt: skip
PERSONAL: dict[str, Callable[[Maker], str]] = {
    "email": email, "phone": phone, "card": card, "iban": iban, "us_ssn": us_ssn, "uk_nino": uk_nino,
    "es_dni": es_dni, "es_nie": es_nie, "it_fiscal": it_fiscal, "de_tax": de_tax, "fr_nir": fr_nir,
    "nl_bsn": nl_bsn, "be_national": be_national, "pl_pesel": pl_pesel, "se_personal": se_personal,
    "br_cpf": br_cpf, "br_cnpj": br_cnpj, "in_aadhaar": in_aadhaar, "ca_sin": ca_sin, "au_tfn": au_tfn,
    "uk_nhs": uk_nhs, "fi_hetu": fi_hetu, "no_fnr": no_fnr, "cn_resident": cn_resident, "ipv4": ipv4,
    "ipv6": ipv6, "mac": mac, "geo": geo, "birth_date": birth_date,
}  # fmt: skip
