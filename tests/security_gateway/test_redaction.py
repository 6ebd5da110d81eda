"""Values are found in every spelling, whole or cut into chunks."""

from __future__ import annotations

import base64
import itertools
import json
import shlex
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.redaction import MARK, SHORTEST, Redactor
from tests.security_gateway.conftest import CANARY

values = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST, max_size=30).filter(
    lambda text: text.strip() == text
)
around = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def b64(before: int, url: bool = False) -> Callable[[str], str]:
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    return lambda value: encode(b"\x07" * before + value.encode() + b"\x07" * 4).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
    "json": json.dumps,
    "json in json": lambda value: json.dumps(json.dumps(value)),
    "json unescaped": lambda value: json.dumps(value, ensure_ascii=False),
    "repr": repr,
    "url": lambda value: urllib.parse.quote(value, safe=""),
    "path": urllib.parse.quote,
    "form": lambda value: urllib.parse.urlencode({"key": value}),
    "shell": shlex.quote,
    **{f"base64 {n}": b64(n) for n in range(6)},
    **{f"base64url {n}": b64(n, url=True) for n in range(3)},
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_value_is_found_in_any_spelling(spell: Callable[[str], str]) -> None:
    for value in (CANARY, "plainword", "p@ss word", "x" * SHORTEST, "-----\nMII" + "Q" * 70):
        spelled = spell(value)
        redacted = Redactor([value]).redact(f"begin {spelled} end")
        assert MARK in redacted
        assert spelled not in redacted
        # In base64 a few bits at its edges are left, and what was put around it.
        assert len(redacted) <= len(f"begin {MARK} end") + 24
        assert (
            Redactor([value]).redact_bytes(spelled.encode())
            == Redactor([value]).redact(spelled).encode()
        )


@given(value=values, before=around, after=around, name=st.sampled_from(sorted(SPELLINGS)))
def test_no_text_around_a_value_hides_it(value: str, before: str, after: str, name: str) -> None:
    spelled = SPELLINGS[name](value)
    assert MARK in Redactor([value]).redact(before + spelled + after)


@given(
    st.lists(st.text("abA=%", min_size=SHORTEST, max_size=12), min_size=1, max_size=4),
    st.text("abA=%", max_size=80),
    st.lists(st.integers(0, 80)),
)
def test_chunks_are_redacted_as_the_whole_is(found: list[str], text: str, cuts: list[int]) -> None:
    """Wherever it is cut, also where one value is the beginning of another."""
    redactor, data = Redactor(found), text.encode()
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    stream = redactor.stream()
    out = b"".join(stream.feed(data[a:b]) for a, b in itertools.pairwise(edges))
    assert out + stream.close() == redactor.redact_bytes(data)


def test_nothing_is_held_back_that_no_value_begins_with() -> None:
    """A prompt without a line's end is seen at once."""
    stream = Redactor(["secret-value"]).stream()
    assert stream.feed(b"password? ") == b"password? "
    assert stream.feed(b"sec") == b""
    assert stream.feed(b"ond") == b"second"
    assert stream.feed(b"secret-value!") == MARK.encode() + b"!"
    assert stream.close() == b""


def test_the_longest_value_wins() -> None:
    redactor = Redactor(["secret", "secret-longer", "secret-longest"])
    assert redactor.redact("secret-longest secret-longer secret") == f"{MARK} {MARK} {MARK}"


def test_json_is_redacted_in_keys_texts_and_numbers() -> None:
    redactor = Redactor(["hunter2!", "123456"])
    found = {"hunter2!": ["a hunter2! b", {"n": 123456, "ok": 12345, "x": None}], "t": True}
    assert redactor.redact_json(found) == {
        MARK: [f"a {MARK} b", {"n": MARK, "ok": 12345, "x": None}],
        "t": True,
    }


def test_without_values_everything_is_handed_back() -> None:
    redactor = Redactor(["short", ""])
    assert not redactor
    found = {"a": [1]}
    text = "text"
    assert redactor.redact(text) is text
    assert redactor.redact_json(found) is found
    assert redactor.redact_bytes(b"data") == b"data"
    assert redactor.stream().feed(b"data") == b"data"


def test_each_line_of_a_long_value_is_one() -> None:
    """But not the armour, which is the same in every key."""
    pem = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQ" * 8 + "\n" + "kdj2Qx" * 8 + "\n-----END"
    redactor = Redactor([pem])
    assert redactor.redact("kdj2Qx" * 8) == MARK
    assert redactor.redact("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_many_values_are_one_pattern() -> None:
    """A thousand values in a megabyte: each is found, in one pass."""
    found = [f"value-{n:04}-{n * 7919:08x}" for n in range(1000)]
    text = "nothing to see here " * 20_000 + " ".join(found) + " nothing" * 10_000
    redacted = Redactor(found).redact(text)
    assert redacted.count(MARK) == 1000
    assert "value-" not in redacted
