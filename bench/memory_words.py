"""
Search by words in 100,000 documents, beside FTS5's own ranking of the same OR.

    python bench/memory_words.py [FOLDER]        FOLDER: where to write; default: a temporary one

The vocabulary has 50,000 words whose frequencies follow Zipf's law; a query is two to six words of
one document, once of all its words and once without the forty most frequent, which in a language
would be stopwords.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import search
from tests.memory_layer.quality.measuring import make_tables, put

DOCUMENTS, VOCABULARY, QUERIES = 100_000, 50_000, 400
FREQUENT = 40
_SYLLABLES = "ba ce di fo gu ka le mi no pu ra se ti vo zu lan mer tor vis quo"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        chance = random.Random(7)
        db = sqlite3.connect(Path(folder) / "memory.db", isolation_level=None)
        vocabulary = words(chance)
        documents = filled(db, vocabulary, chance)
        frequent = {*vocabulary[:FREQUENT]}
        for what, left_out in (("without stopwords", frequent), ("all words", set[str]())):
            asked = [query for _ in range(QUERIES) if (query := one(documents, left_out, chance))]
            report(f"search, {what}", asked, lambda q: search(db, Question(q), 0.0))
            report(f"FTS5's rank, {what}", asked[:50], lambda q: ranked(db, q))


def words(chance: random.Random) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < VOCABULARY:
        made["".join(chance.choices(_SYLLABLES.split(), k=chance.randint(2, 5)))] = None
    return [*made]


def filled(db: sqlite3.Connection, vocabulary: list[str], chance: random.Random) -> list[list[str]]:
    make_tables(db)
    shares = [*accumulate(1 / (rank + 2.7) for rank in range(VOCABULARY))]
    documents = []
    db.execute("BEGIN")
    for number in range(DOCUMENTS):
        document = chance.choices(vocabulary, cum_weights=shares, k=chance.randint(20, 60))
        put(db, f"doc {number}", " ".join(document))
        documents.append(document)
    db.execute("COMMIT")
    return documents


def one(documents: list[list[str]], left_out: set[str], chance: random.Random) -> str:
    there = [word for word in dict.fromkeys(chance.choice(documents)) if word not in left_out]
    return " ".join(chance.sample(there, min(chance.randint(2, 6), len(there))))


def ranked(db: sqlite3.Connection, query: str) -> object:
    match = " OR ".join(f'"{word}"' for word in query.split())
    sql = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT 5"
    return db.execute(sql, [match]).fetchall()


def report(what: str, asked: list[str], ask: Callable[[str], object]) -> None:
    """By the clock, and of the processor: what it takes where nothing else runs."""
    for name, clock in (("clock", time.perf_counter), ("processor", time.process_time)):
        seconds = []
        for query in asked:
            began = clock()
            ask(query)
            seconds.append(clock() - began)
        seconds.sort()
        p50, p95, p99 = (1000 * seconds[int(len(seconds) * share)] for share in (0.5, 0.95, 0.99))
        print(f"{what:32} {name:10} p50 {p50:6.2f} ms  p95 {p95:6.2f} ms  p99 {p99:6.2f} ms")


if __name__ == "__main__":
    main()
