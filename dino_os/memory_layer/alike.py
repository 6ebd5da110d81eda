"""
Words of the memory for a word of a query that no entry has: misspelt, or part of a longer one.

There is no second index for it, such as one of trigrams, which would double what each change
writes.  The list of words that full text keeps anyway is asked, a bounded part of it: by a word's
beginning for those that differ in a letter or two; from the first sign on for Chinese and Japanese,
which part words by nothing: a sentence there is one word of the index.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import lru_cache
from itertools import chain, islice

from dino_os.memory_layer.words import TOKENIZER, Term, quoted
from engines.database import failures

_SHORTEST = 4  # in shorter words every letter counts
_LONG = 6  # from here on two may differ
_MOST_GUESSED = 3  # words of a query
_MOST_LOOKED = 2_000  # words with one beginning: a few milliseconds
_MOST_PARTS = 8
_MOST_PIECES = 32  # of a query
_MOST_FOUND = 512  # words that contain one, of all pieces
_MOST_UNPARTED = 20_000  # words, or sentences, in which pieces are looked for
_FIRST = "\u3040"  # sign of such a script
_PIECES = re.compile(r"[\u30a0-\u30ff]+|[\u4e00-\u9fff\u3400-\u4dbf]+|[\u3040-\u309f]+")
_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_BETWEEN = (
    "SELECT term, doc FROM (SELECT term, doc FROM temp.word_list "
    "WHERE term >= ? AND term < ? LIMIT ?) WHERE length(term) BETWEEN ? AND ?"
)
_BEGINNING = "SELECT term FROM temp.word_list WHERE term >= ? AND term < ? LIMIT ?"
_UNPARTED = "SELECT term FROM temp.word_list WHERE term >= ? LIMIT ?"
_LIST = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.word_list USING fts5vocab(main, words, row)"


def words_like(db: sqlite3.Connection, known: Mapping[Term, int]) -> dict[Term, list[Term]]:
    """
    What to look for instead of terms, only where something is close.

    Args:
        known: How many entries have each.  What some have is not guessed at, but it is looked for
            in longer words where a script parts none.
    """
    pieces = {term: _whole(term.text) if n else _pieces(term.text) for term, n in known.items()}
    absent = [
        term for term, entries in known.items() if not (entries or pieces[term] or term.exact)
    ]
    stems = {term: _stem(term.text) for term in absent}
    guessed = [(term, stem) for term, stem in stems.items() if _can_be_misspelt(stem)]
    if not guessed and not any(pieces.values()):
        return {}
    try:
        db.execute(_LIST)
    except failures("OperationalError"):  # under PRAGMA query_only; then nothing is guessed
        return {}
    matches = _containing(db, dict.fromkeys(chain.from_iterable(pieces.values())))
    result = {
        term: [Term(part, matches[part]) for part in parts if part in matches]
        for term, parts in pieces.items()
    }
    for term, stem in guessed[:_MOST_GUESSED]:
        best = _closest(db, stem)
        result[term] = [Term(best, quoted(best))] if best else []
    return result


def _can_be_misspelt(stem: str) -> bool:
    return stem.isalpha() and len(stem) >= _SHORTEST


def _closest(db: sqlite3.Connection, stem: str) -> str | None:
    """The word of the list that differs least from *stem*; of several, the most frequent."""
    most = 1 if len(stem) < _LONG else 2
    rows: set[tuple[str, int]] = set()
    # As it begins; with its second letter swapped or too much; with its first two swapped.
    for start in {stem[:3], stem[:2], stem[0] + stem[2], stem[1] + stem[0]}:
        end = start[:-1] + chr(ord(start[-1]) + 1)
        shortest, longest = len(stem) - most, len(stem) + most
        rows.update(db.execute(_BETWEEN, [start, end, _MOST_LOOKED, shortest, longest]))
    letters = set(stem)
    close = [(term, doc) for term, doc in rows if len(letters ^ set(term)) <= 2 * most]
    ranked = [(distance(stem, term, most), -doc, term) for term, doc in close]
    differs, _, term = min(ranked, default=(most + 1, 0, ""))
    return term if differs <= most else None


def _containing(db: sqlite3.Connection, pieces: Iterable[str]) -> dict[str, str]:
    """For each piece, what matches words that begin with it, or contain it."""
    some = [*islice(pieces, _MOST_PIECES)]
    if not some:
        return {}
    rows = db.execute(_UNPARTED, [_FIRST, _MOST_UNPARTED])
    words = [word for (word,) in rows]
    result = {}
    for piece in some:
        end = piece[:-1] + chr(ord(piece[-1]) + 1)
        most = _MOST_FOUND // len(some)
        found = dict.fromkeys(word for (word,) in db.execute(_BEGINNING, [piece, end, most]))
        within = (word for word in words if piece in word)
        found |= dict.fromkeys(islice(within, most))
        if found:
            result[piece] = " OR ".join(map(quoted, islice(found, most)))
    return result


def _whole(text: str) -> list[str]:
    """*text*, where its script parts no words."""
    return [text] if _RUN.fullmatch(text) else []


def _pieces(text: str) -> list[str]:
    """Where a script parts no words: its runs of one kind of sign, long ones by pairs."""
    pieces: list[str] = []
    for run in _PIECES.findall(text):
        if "\u3040" <= run[0] <= "\u309f" and pieces:  # what joins words in Japanese
            continue
        long = run[0] >= "\u3400" and len(run) > 3  # noqa: PLR2004  words have one to three signs
        pieces += [run[i : i + 2] for i in range(len(run) - 1)] if long else [run]
    return pieces[:_MOST_PARTS]


def distance(one: str, other: str, most: int | None = None) -> int:
    """
    How many letters to change, add, drop or swap with a neighbour make *one* of *other*.

    Args:
        most: Above it, how many more does not matter.
    """
    before: list[int] = []
    last: list[int] = [*range(len(other) + 1)]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        if most is not None and min(*last, *row) > most:
            return most + 1
        before, last = last, row
    return last[-1]


@lru_cache(maxsize=1024)
def _stem(word: str) -> str:
    """*word* as the index has it, folded and stemmed by FTS5; empty where that is several words."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE VIRTUAL TABLE one USING fts5(word, tokenize='{TOKENIZER}')")
        db.execute("CREATE VIRTUAL TABLE list USING fts5vocab(one, row)")
        db.execute("INSERT INTO one VALUES (?)", [word])
        rows = db.execute("SELECT term FROM list LIMIT 2").fetchall()
    return str(rows[0][0]) if len(rows) == 1 else ""
