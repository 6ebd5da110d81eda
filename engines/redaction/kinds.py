"""The kinds of what is found, in three groups; a kind that is not listed is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

PERSONAL, NETWORK, SECRET = GROUPS = ("personal", "network", "secret")

_personal = frozenset(
    {
        "birth_date",
        "card",
        "email",
        "geo",
        "iban",
        "name",
        "phone",
        # National numbers: `national.py`.
        "au_tfn",
        "be_national",
        "br_cnpj",
        "br_cpf",
        "ca_sin",
        "cn_resident",
        "de_tax",
        "dk_cpr",
        "es_dni",
        "es_nie",
        "fi_hetu",
        "fr_nir",
        "in_aadhaar",
        "in_pan",
        "it_fiscal",
        "nl_bsn",
        "no_fnr",
        "pl_pesel",
        "se_personal",
        "uk_nhs",
        "uk_nino",
        "us_itin",
        "us_ssn",
    }
)
_network = frozenset({"ipv4", "ipv6", "mac"})
_secret = frozenset(
    {"card_code", "field", "jwt", "password", "private_key", "secret", "url_credentials"}
)


@cache
def all_kinds() -> Mapping[str, str]:
    """Each kind that our detectors find, with its group."""
    from engines.redaction.api_keys import kinds  # noqa: PLC0415  reads its table

    own = {*_personal, *_network, *_secret, *kinds()}
    return {kind: group_of(kind) for kind in sorted(own)}


def group_of(kind: str) -> str:
    """`personal`, `network` or `secret`."""
    if kind in _personal:
        return PERSONAL
    return NETWORK if kind in _network else SECRET
