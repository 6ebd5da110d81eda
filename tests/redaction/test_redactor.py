"""Redacting as a whole: once is enough, nested values, pieces, bytes, pseudonyms, policies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.redaction import Action, Policy, Pseudonyms, Redactor, Rules
from tests.redaction import corpus
from tests.redaction.corpus import ENCODINGS

KEY = b"k" * 32
VALUES = [sample.text for sample in corpus.positives(7, 1)]
ODD = ["\u200b", "\u0301", "\u202e", "１", "Ａ", "’", "\ud800", "\x00", "é", "名前：", "\r", "\n", "\t", "\\", "%4", "\\u00", "<", ">", "&#6", '"', "'", "=", ": ", "@", "-", "://"]  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(ODD),
    st.tuples(st.sampled_from(sorted(ENCODINGS)), st.sampled_from(VALUES[::7])).map(
        lambda pair: ENCODINGS[pair[0]](pair[1])
    ),
    st.sampled_from(
        ["password", "token=", "key: ", " is ", "Mr. ", "born ", "tel ", "--password ", "Bearer "]
    ),
    st.text(max_size=8),
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
NAMES = st.sampled_from(
    [
        "password",
        "email",
        "note",
        "first_name",
        "part1",
        "part2",
        "lat",
        "phone",
        "kty",
        "d",
        "a.b",
        "",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def redactor(**given: Any) -> Redactor:
    return Redactor(pseudonyms=Pseudonyms(KEY), **given)


@settings(max_examples=15)
@given(TEXTS)
def test_twice_is_once(text: str) -> None:
    one = redactor()
    clean = one.redact(text)
    assert one.redact(clean) == clean


@given(JSON)
def test_twice_is_once_in_json(value: Any) -> None:
    """And what comes out is as JSON as what went in."""
    one = redactor()
    clean = one.redact_json(value)
    assert one.redact_json(clean) == clean
    json.dumps(clean)


@pytest.mark.parametrize("action", list(Action))
def test_twice_is_once_by_every_action(action: Action) -> None:
    one = Redactor(Policy(Rules(action)))
    for text in VALUES:
        clean = one.redact(text)
        assert one.redact(clean) == clean
        assert action is not Action.KEEP or clean == text


def test_the_same_value_has_the_same_pseudonym_however_it_is_written() -> None:
    """In clear, encoded, in other digits, with other signs between; in a text and in a field."""
    one = redactor()
    token = one.redact("4111-1111-1111-1111")
    assert token.startswith("<card:")
    for text in (
        "4111111111111111",
        "４１１１ １１１１ １１１１ １１１１",
        ENCODINGS["url-encoded"]("4111 1111 1111 1111"),
    ):
        assert one.redact(text) == token
    assert one.redact_json({"n": 4111111111111111}) == {"n": token}
    assert Redactor(pseudonyms=Pseudonyms(b"o" * 32)).redact("4111111111111111") != token
    assert Pseudonyms(KEY).key_id != Pseudonyms(b"o" * 32).key_id


def test_nothing_is_smuggled_through_as_a_pseudonym() -> None:
    """A token proves that this key made it."""
    assert "4242424242424242" not in redactor().redact("card <card:4242424242424242>")
    with pytest.raises(InvalidInput):
        Pseudonyms(b"short")


def test_without_a_key_kinds_stand_in_place_of_values() -> None:
    one = Redactor()
    assert one.redact("from a@b.com") == "from <email>"
    assert one.counts == {"email": 1}


NESTED = {
    "user": {"full_name": "Ada Lovelace", "name": "calc", "phones": ["+49 30 901820"]},
    "password": "a b c",
    "tokens": 12,
    "token": None,
    "note": '{"mail": ["x@y.com", {"deep": "[\\"z@y.com\\"]"}]}',
    "x@y.com": True,
    "auth": {"credentials": {"key": "abcdefgh-12345678"}},
    "ssn": 123456789,
    "raw": b"mail x@y.com",
    "geo": [13.404954, 52.520008],
    "lat": 52.52,
    "key": {"kty": "OKP", "crv": "Ed25519", "x": "public", "d": "nWGxne_9WmC6hEr0"},
}


def test_every_corner_of_a_nested_value_is_looked_into() -> None:
    clean = redactor().redact_dict(NESTED)
    text = str(clean)
    for secret in (
        "Ada",
        "901820",
        "a b c",
        "x@y",
        "z@y",
        "abcdefgh",
        "123456789",
        "13.40",
        "52.52",
        "nWGx",
    ):
        assert secret not in text
    assert (clean["tokens"], clean["token"], clean["user"]["name"]) == (12, None, "calc")
    assert clean["key"]["x"] == "public"


def test_depth_is_bounded_and_what_lies_below_goes() -> None:
    value: Any = "deep@example.com"
    for _ in range(3000):
        value = [value]
    assert "deep@" not in str(redactor().redact_json(value))


@pytest.mark.parametrize(
    "value",
    [
        ["4111", "1111", "1111", "1111"],
        {"card_1": "41111111", "card_2": "11111111"},
        [7, "AKIAQWER", "TYUIOPASDFGH", None, "and more"],
        {"part1": "ghp_zQWBuTSOoRi4A9sp", "other": 1, "part2": "HcVY5ncnsDkxkJ0mLq17"},
    ],
)  # fmt: skip
def test_a_value_in_pieces_is_put_together(value: Any) -> None:
    one = redactor()
    clean = one.redact_json(value)
    pieces = value if isinstance(value, list) else [v for v in value.values() if isinstance(v, str)]
    left = clean if isinstance(clean, list) else list(clean.values())
    assert not {piece for piece in pieces if isinstance(piece, str) and piece != "and more"} & set(
        left
    )
    assert one.redact_json(clean) == clean


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_bytes_keep_their_encoding(encoding: str) -> None:
    raw = "grüße an jo@example.com, bitte".encode(encoding)
    clean = redactor().redact_bytes(raw)
    assert "jo@" not in clean.decode(encoding)
    assert "grüße an <email:" in clean.decode(encoding)
    assert redactor().redact_bytes(b"\xff\xfe\x00\x80 \xc3") == b"\xff\xfe\x00\x80 \xc3"


POLICY = Policy(
    Rules(
        Action.MASK,
        kinds={"ipv4": Action.KEEP, "secret": Action.DROP, "email": Action.HASH},
        fields={"trace": Action.KEEP, "customer.*": Action.HASH, "items[].note": Action.DROP},
    ),
    destinations={"log": Rules(kinds={"email": Action.DROP}), "peer": Rules(Action.KEEP)},
)


def test_the_nearest_rule_decides() -> None:
    """A field's before a kind's, a kind's before its group's, a destination's before the general."""
    one = redactor(policy=POLICY)
    assert one.redact("10.1.2.3 4111111111111111") == "10.1.2.3 <card>"
    assert one.redact("key AKIAQWERTYUIOPASDFGH.") == "key ."
    assert one.redact("a@b.com").startswith("<email:")
    assert one.redact("to a@b.com", destination="log") == "to "
    assert one.redact("6011000990139424", destination="peer") == "6011000990139424"
    clean = one.redact_json(
        {
            "trace": "a@b.com",
            "customer": {"id": 7},
            "items": [{"note": "x", "n": 1}],
            "ip": "10.1.2.3",
        }
    )
    assert clean["trace"] == "a@b.com"
    assert clean["customer"]["id"].startswith("<field:")
    assert clean["items"] == [{"n": 1}]
    assert clean["ip"] == "10.1.2.3"


def test_a_kind_that_is_kept_does_not_shield_what_is_more() -> None:
    one = redactor(policy=Policy(Rules(Action.MASK, kinds={"email": Action.KEEP})))
    assert one.redact("mail a@b.com") == "mail a@b.com"
    assert one.redact("password=a@b.com!x1") == "password=<password>"


def test_hits_below_the_lowest_score_are_let_be() -> None:
    assert (
        redactor(policy=Policy(lowest_score=0.9))
        .redact("Mr. John Smith a@b.com")
        .startswith("Mr. John Smith <email:")
    )
