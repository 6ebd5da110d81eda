"""The detectors: each with the signs without which it need not look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

from engines.redaction import (
    api_keys,
    headers,
    network,
    pairs,
    people,
    phones,
    places,
)
from engines.redaction.cards import find_card, find_stuck_cards
from engines.redaction.codes import code_cue, find_codes
from engines.redaction.emails import find_emails
from engines.redaction.entropy import find_random
from engines.redaction.iban import find_ibans
from engines.redaction.jwt import find_jwts
from engines.redaction.model import Hit
from engines.redaction.national import SHAPES, find_national
from engines.redaction.numbers import find_numbers
from engines.redaction.urls import find_url_credentials
from engines.redaction.views import Text


@dataclass(frozen=True, slots=True)
class Rule:
    """A detector of ours."""

    name: str
    cue: Callable[[Text], object]
    """Falsy where `find` has nothing to find; a few quick looks."""
    find: Callable[[Text], Iterator[Hit]]


def _holds(sign: str) -> Callable[[Text], object]:
    return lambda scanned: sign in scanned.text


def _long(scanned: Text) -> object:
    return scanned.long


def _numbers(scanned: Text) -> object:
    return scanned.numbers


def _codes(scanned: Text) -> Iterator[Hit]:
    yield from find_ibans(scanned)
    yield from find_codes(scanned)


@cache
def rules(phone_regions: tuple[str, ...]) -> tuple[Rule, ...]:
    """All that look into one line at a time."""
    numbers = partial(find_numbers, judges=(find_card, find_national), shapes=SHAPES)
    return (
        Rule("email", _holds("@"), find_emails),
        Rule("numbers", _numbers, numbers),
        Rule("stuck_card", _long, find_stuck_cards),
        Rule("phone", phones.cue, phones.phone_finder(phone_regions)),
        Rule("codes", code_cue, _codes),
        Rule("ipv4", network.ipv4_cue, network.find_ipv4),
        Rule("ipv6", network.ipv6_cue, network.find_ipv6),
        Rule("mac", network.mac_cue, network.find_macs),
        Rule("bare_mac", network.bare_mac_cue, network.find_bare_macs),
        Rule("geo", places.pair_cue, places.find_pairs),
        Rule("geo_single", places.single_cue, places.find_singles),
        Rule("geo_minutes", _holds("°"), places.find_minutes),
        Rule("birth_date", people.birth_cue, people.find_births),
        Rule("name", people.name_cue, people.find_titled),
        Rule("url_credentials", _holds("://"), find_url_credentials),
        Rule("jwt", _holds("eyJ"), find_jwts),
        Rule("api_keys", _long, api_keys.find_prefixed),
        Rule("marked_keys", _long, api_keys.find_marked),
        Rule("named_keys", api_keys.service_cue, api_keys.find_named),
        Rule("headers", headers.cue, headers.find_headers),
        Rule("named_value", pairs.cue, pairs.find_pairs),
        Rule("entropy", api_keys.named_cue, find_random),
    )
