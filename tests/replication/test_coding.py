"""What travels is what was written."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.replication.address import doc_path, parse, query
from engines.replication.coding import decode, encode

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=values)
def test_any_value_comes_back(value: object) -> None:
    """Integers of any size, halves of surrogate pairs, minus zero."""
    assert repr(decode(encode(value))) == repr(value)
    assert repr(decode(json.dumps(value).encode())) == repr(value)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b"[1,]", b"-Infinity", b"1" * 30 + b"x", b"\xff"]
)
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"x", [10**30, math.nan]])
def test_what_cannot_be_written(value: object) -> None:
    if isinstance(value, float):  # the store says so first
        assert encode(value) == b"null"
    else:
        with pytest.raises((TypeError, ValueError)):
            encode(value)


def test_paths_and_parameters() -> None:
    assert doc_path("a/b c?é") == "/a%2Fb%20c%3F%C3%A9"
    assert doc_path("_design/a/b") == "/_design/a%2Fb"
    assert query(since="12-x&", limit=5, latest=True, nothing=None, revs=["1-a"]) == (
        "?since=12-x%26&limit=5&latest=true&revs=%5B%221-a%22%5D"
    )
    assert str(parse("http://[::1]:5984/x//y/")[0]) == "http://[::1]:5984/x/y"
    assert parse("https://h/a%2Fb")[0].server == ""
    assert parse("https://h/couch/db")[0].server == "/couch"
    with pytest.raises(InvalidInput, match="port"):
        parse("https://me:secret@h:70000/db")
