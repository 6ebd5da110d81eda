"""Which keys and earlier versions it is that are to be forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from dino_os.errors import InvalidInput
from dino_os.memory_layer.stored import loaded
from dino_os.memory_layer.where import scope_of
from dino_os.memory_layer.words import text_of

_MOST_WORDS = 32
_OLD_WORDS = (
    "CREATE VIRTUAL TABLE temp.old_words USING "
    "fts5(key, body, tokenize='porter unicode61 remove_diacritics 2')"
)


class Asked(Protocol):
    """What is to be forgotten: what all that is given holds for."""

    @property
    def key(self) -> str | None: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def tag(self) -> str | None: ...
    @property
    def query(self) -> str | None: ...
    @property
    def older_than_s(self) -> float | None: ...
    @property
    def where(self) -> Mapping[str, Any] | None: ...


class Chosen(NamedTuple):
    """
    What was found.

    Attributes:
        entries: Namespace and key of those that go with all that they were.
        versions: By their numbers, those of other keys.
        keys: Of both.
    """

    entries: set[tuple[str, str]]
    versions: list[int]
    keys: set[tuple[str, str]]


def chosen(db: sqlite3.Connection, now: float, asked: Asked) -> Chosen:
    """
    What *asked* holds for; in a transaction that is open.

    Raises:
        InvalidInput: The query has no words, or a condition is none.
    """
    wanted = None if asked.query is None else _all_of(asked.query)
    tests, values = _tests(now, asked, "updated", "id IN (SELECT id FROM tags WHERE tag = ?)")
    if wanted is not None:
        tests, values = (
            [*tests, "id IN (SELECT rowid FROM words WHERE words MATCH ?)"],
            [*values, wanted],
        )
    found = db.execute(f"SELECT ns, key FROM entries AS e WHERE {' AND '.join(tests)}", values)  # noqa: S608
    entries = {(namespace, key) for namespace, key in found}

    has_tag = "EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)"
    tests, values = _tests(now, asked, "begun", has_tag)
    query = f"SELECT n, ns, key FROM versions AS e WHERE {' AND '.join(tests)}"  # noqa: S608
    rows = db.execute(query, values).fetchall()
    if wanted is not None:
        rows = _with_words(db, rows, wanted)
    versions = [number for number, *name in rows if tuple(name) not in entries]
    return Chosen(entries, versions, entries | {(namespace, key) for _, namespace, key in rows})


def _tests(now: float, asked: Asked, written: str, has_tag: str) -> tuple[list[str], list[Any]]:
    tests, values = ["TRUE"], list[Any]()
    for test, value in (
        ("key = ?", asked.key),
        ("ns = ?", asked.namespace),
        (has_tag, asked.tag),
        (f"{written} <= ?", None if asked.older_than_s is None else now - asked.older_than_s),
    ):
        if value is not None:
            tests.append(test)
            values.append(value)
    if asked.where is not None:
        scope = scope_of(now, where=asked.where)
        tests.append(scope.condition)
        values += scope.values
    return tests, values


def _all_of(query: str) -> str:
    """All words of *query*, none of which is syntax: each is a phrase."""
    if '"' in query or "*" in query or any(word[0] == "-" for word in query.split()):
        raise InvalidInput(
            "what is to be forgotten is named by plain words, which it must all have",
            hint='"…", pump* and -word are for searches',
        )
    text = query.replace("\0", " ").encode(errors="replace").decode()
    words = [word.replace('"', '""') for word in text.split() if any(map(str.isalnum, word))]
    if not words or len(words) > _MOST_WORDS:
        raise InvalidInput(f"a query has 1 to {_MOST_WORDS} words, found {len(words)}")
    return " AND ".join(f'"{word}"' for word in words)


def _with_words(
    db: sqlite3.Connection, rows: list[tuple[int, str, str]], wanted: str
) -> list[tuple[int, str, str]]:
    """Those of the versions that have all words, found as those of entries are."""
    if not rows:
        return rows
    db.execute(_OLD_WORDS)  # in memory: see `forget`
    try:
        for number, _, key in rows:
            (text,) = db.execute("SELECT value FROM versions WHERE n = ?", [number]).fetchone()
            values = (number, key, text_of(loaded(text)))
            db.execute("INSERT INTO old_words (rowid, key, body) VALUES (?, ?, ?)", values)
        found = db.execute("SELECT rowid FROM old_words WHERE old_words MATCH ?", [wanted])
        there = {number for (number,) in found}
    finally:
        db.execute("DROP TABLE temp.old_words")
    return [row for row in rows if row[0] in there]
