"""The hash of an edit is CouchDB's own, so that the same edit has the same name everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.latent_cache import DocumentStore
from engines.latent_cache.revision import new_hash, parse

SPAGHETTI = {
    "description": (
        "An Italian-American dish that usually consists of spaghetti, tomato sauce and meatballs."
    ),
    "ingredients": ["spaghetti", "tomato sauce", "meatballs"],
    "name": "Spaghetti with meatballs",
}


@pytest.mark.parametrize(
    ("body", "before", "deleted", "expected"),
    [
        ({}, (0, ""), False, "967a00dff5e02add41819138abb3284d"),
        ({}, (1, "967a00dff5e02add41819138abb3284d"), True, "eec205a9d413992850a6e32678485900"),
        ({"a": 1}, (0, ""), False, "23202479633c2b380f79507a776743d5"),
        ({"a": 2}, (0, ""), False, "3975759ccff3842adf690a5c10caee42"),
        (SPAGHETTI, (0, ""), False, "917fa2381192822767f010b95b45325b"),
    ],
)
def test_published_revisions_come_out(
    body: dict[str, Any], before: tuple[int, str], deleted: bool, expected: str
) -> None:
    """CouchDB's documentation shows these."""
    assert new_hash(body, before, deleted=deleted) == expected


@pytest.mark.parametrize(
    ("value", "term"),
    [
        (None, "64 0004 6e756c6c"),
        (True, "64 0004 74727565"),
        (0, "61 00"),
        (255, "61 ff"),
        (256, "62 00000100"),
        (-1, "62 ffffffff"),
        (2**31 - 1, "62 7fffffff"),
        (2**31, "6e 04 00 00000080"),
        (-(2**31) - 1, "6e 04 01 01000080"),
        (2**2040, "6f 00000100 00" + "00" * 255 + "01"),
        (1.5, "46 3ff8000000000000"),
        ("é", "6d 00000002 c3a9"),
        ([], "6a"),
        ([1, 255], "6b 0002 01ff"),
        ([1, 256], "6c 00000002 6101 6200000100 6a"),
        ([True], "6c 00000001 640004 74727565 6a"),
        ({}, "6801 6a"),
        ({"b": "x"}, "6801 6c00000001 6802 6d0000000162 6d0000000178 6a"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_each_kind_of_value_is_the_term_that_erlang_writes(value: Any, term: str) -> None:
    """`term_to_binary(…, [{minor_version, 1}])`; expected bytes by the format's description."""
    from engines.latent_cache.revision import _term

    out: list[bytes] = []
    _term(value, out)
    assert b"".join(out).hex() == term.replace(" ", "")


def test_attachments_count_by_name_type_and_md5() -> None:
    """In front of one another, as CouchDB's fold collects them."""
    from hashlib import md5

    pair = [("a", "text/plain", b"\1" * 16), ("b", "image/png", b"\2" * 16)]
    tuples = {
        name: b"h\x03" + b"".join(b"m" + len(p).to_bytes(4, "big") + p for p in parts)
        for name, parts in (
            ("a", (b"a", b"text/plain", b"\1" * 16)),
            ("b", (b"b", b"image/png", b"\2" * 16)),
        )
    }
    start = b"\x83l\0\0\0\x05d\0\x05falsea\0a\0h\x01j"
    term = start + b"l\0\0\0\x02" + tuples["b"] + tuples["a"] + b"jj"
    assert new_hash({}, attachments=pair) == md5(term).hexdigest()
    assert new_hash({}, attachments=pair[:1]) != new_hash({}) != new_hash({}, attachments=pair)


def test_the_order_of_members_counts_and_is_kept(stores: Any) -> None:
    store: DocumentStore = stores()
    assert new_hash({"a": 1, "b": 2}) != new_hash({"b": 2, "a": 1})
    store.put({"_id": "x", "b": 2, "a": 1, "c": {"z": 1, "y": 2}})
    found = store.get("x")
    assert [*found] == ["_id", "_rev", "b", "a", "c"]
    assert [*found["c"]] == ["z", "y"]


def test_a_store_names_its_edits_so(stores: Any) -> None:
    """A document, its deletion, and what is put there again: it goes on from the deletion."""
    store: DocumentStore = stores()
    first = store.put({"_id": "x"})
    second = store.remove("x", first)
    assert first == "1-967a00dff5e02add41819138abb3284d"
    assert second == "2-eec205a9d413992850a6e32678485900"
    assert store.put({"_id": "x"}) == f"3-{new_hash({}, parse(second))}"


def test_the_same_edit_made_on_two_sides_is_no_conflict(stores: Any) -> None:
    one, other = stores("one"), stores("other")
    for store in (one, other):
        rev = store.put({"_id": "x", "n": 1})
        store.put({"_id": "x", "_rev": rev, "n": 2})
    one.write_revisions(other.open_revs("x", None))
    assert one.leaves("x") == other.leaves("x")
    assert one.conflicts() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {1, 2}, "\ud800", b"x"])
def test_what_is_no_json_is_refused(stores: Any, value: Any) -> None:
    with pytest.raises(InvalidInput):
        stores().put({"_id": "x", "v": value})


@pytest.mark.parametrize("rev", ["", "1", "1-", "0-a", "-1-a", "01-a", "a-b", None, 1, "1-a\n"])
def test_what_is_no_revision_is_refused(rev: Any) -> None:
    with pytest.raises(InvalidInput, match="not a revision"):
        parse(rev)
