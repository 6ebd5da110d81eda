"""The passage of an entry's text that has most of a query's words, with marks around them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dino_os.memory_layer.lexical import Weighed

_WORDS = 24  # a passage's
_LETTERS = 160  # where it is not cut by words
_LONGEST = 200_000  # FTS5 would read the whole of a longer text


def snippet(
    db: sqlite3.Connection, entry: int, terms: Sequence[Weighed], marks: tuple[str, str]
) -> str:
    """
    A passage of the text of *entry*, around what *terms* match; where none does, its beginning.

    Args:
        marks: What to put before and behind each word that matches.
    """
    row = db.execute("SELECT length(body) FROM words WHERE rowid = ?", [entry]).fetchone()
    if row is None:
        return ""
    match = " OR ".join(f"({term.term.match})" for term in terms if term.entries)
    if match and row[0] <= _LONGEST:
        sql = "SELECT snippet(words, 1, ?, ?, '…', ?) FROM words WHERE words MATCH ? AND rowid = ?"
        found = db.execute(sql, [*marks, _WORDS, match, entry]).fetchone()
        if found:
            return " ".join(found[0].split())
    sql = "SELECT substr(body, 1, ?) FROM words WHERE rowid = ?"
    begins = db.execute(sql, [_LETTERS, entry]).fetchone()[0]
    return " ".join(begins.split()) + ("…" if row[0] > _LETTERS else "")
