"""
Which entries have words of a query, and how much each word says.

A word's weight is what it says about an entry: ln(1 + N / df), of N entries df have it.  What fewer
than three have counts as what three have: in a small memory, rarity is chance.  The text score of
an entry is the share of the query's weight that it has, 0…1.  How often a word occurs and how long
an entry is do not count: measured on questions to docstrings and to conversations, BM25 with both
is worse (memories are short), and takes the occurrences of every word to be read.

An OR of frequent words is most of a memory.  So the entries with rare words are read first; then
which of those have the frequent ones; and entries that have frequent ones only, by the sets of them
from the heaviest down, until there are enough.  No entry that is left out has a better share than
one that is found.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import combinations

from dino_os.memory_layer.alike import words_like
from dino_os.memory_layer.where import Scope
from dino_os.memory_layer.words import Query, Term

_CHANCE = 3  # entries with a word, below which its rarity is chance
_READ_AT_ONCE = 3_000  # entries with rare words: about a millisecond
_MOST_FREQUENT = 5  # words whose sets are tried: 31
_ALL = -1  # every bit
_GUESSED = 0.8
_FEW = 200  # entries that are cheaper to be asked about one by one
_KNOWN_S, _MUCH = 60.0, 100
_ALIKE = 1_000  # of entries with the same words, the newest are looked at


@dataclass(frozen=True, slots=True)
class Order:
    """
    What more than words a score depends on.

    Attributes:
        by: The column that decides it alone; None where it takes both.
        factor: What a share is multiplied by, of when an entry was updated and its importance.
    """

    by: str | None
    factor: Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Weighed:
    """
    A term with what it says.

    Attributes:
        entries: How many have it.
        instead_of: What the user wrote, where nothing has that and this is a word like it.
    """

    term: Term
    entries: int
    weight: float
    instead_of: str | None = None

    @property
    def counts(self) -> float:
        """What an entry that has it gets: less where the word is a guess."""
        return self.weight * (_GUESSED if self.instead_of else 1.0)


class Counts:
    """
    How many entries have a frequent word, which takes reading all of them: known for a minute.

    It decides weights, by its logarithm, and never what is found.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._total = 0
        self._until = 0.0

    def of(self, db: sqlite3.Connection, term: Term) -> int:
        total, now = _entries(db), time.monotonic()
        if now > self._until or abs(total - self._total) * _MUCH > total:
            self._known.clear()
            self._total, self._until = total, now + _KNOWN_S
        found = self._known.get(term.match)
        if found is None:
            found = _entries_with(db, term)
            if found >= _READ_AT_ONCE:
                self._known[term.match] = found
        return found


def weighed(db: sqlite3.Connection, query: Query, counts: Counts) -> list[Weighed]:
    """
    What each term of *query* says.

    A word that no entry has is replaced by one like it, or that it is a part of, if there is one;
    one of a script that parts no words is looked for in longer ones too.
    """
    known = [Weighed(term, counts.of(db, term), 0.0) for term in query.terms]
    like = words_like(db, {item.term: item.entries for item in known})
    terms: list[Weighed] = []
    for item in known:
        instead_of = None if item.entries else item.term.text
        others = like.get(item.term, [])
        terms += [Weighed(other, counts.of(db, other), 0.0, instead_of) for other in others] or [
            item
        ]
    # Within a change, FTS5 has not counted what it added.
    total = max(_entries(db), *(item.entries for item in terms), 1)
    return [replace(item, weight=math.log1p(total / max(item.entries, _CHANCE))) for item in terms]


def _entries_with(db: sqlite3.Connection, term: Term) -> int:
    sql = "SELECT COUNT(*) FROM words WHERE words MATCH ?"
    return int(db.execute(sql, [term.match]).fetchone()[0])


def _entries(db: sqlite3.Connection) -> int:
    """How many entries the index has: FTS5's own count, where SQLite would read the whole table."""
    row = db.execute("SELECT block FROM words_data WHERE id = 1").fetchone()
    return (numbers(row[0]) or [0])[0] if row else 0


def numbers(blob: bytes) -> list[int]:
    """SQLite's numbers of variable length: seven bits a byte, the high bit where more follow."""
    result: list[int] = []
    number = 0
    for byte in blob:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            result.append(number)
            number = 0
    return result


@dataclass(frozen=True, slots=True)
class Found:
    """
    Entries and which terms each has.

    Attributes:
        bits: Of term *i* it is 1 << i.
        complete: The terms whose bits are known of every entry, found or not.
    """

    bits: dict[int, int]
    complete: int


class Words:
    """The full text of a memory, asked for a query's terms."""

    def __init__(self, db: sqlite3.Connection, query: Query, terms: list[Weighed]) -> None:
        self._db = db
        self.terms = terms
        self.total = math.fsum(term.weight for term in terms)
        excluded = " OR ".join(term.match for term in query.without)
        self._without = f" NOT ({excluded})" if excluded else ""
        self._shares: dict[int, float] = {}

    def share(self, bits: int) -> float:
        """The share of the query's weight that an entry with the terms *bits* has."""
        if bits not in self._shares:
            there = (term.counts for i, term in enumerate(self.terms) if bits >> i & 1)
            self._shares[bits] = math.fsum(there) / self.total if self.total else 0.0
        return self._shares[bits]

    def candidates(self, scope: Scope, most: int, order: Order | None = None) -> Found:
        """
        The *most* entries with the greatest share, and others that were met on the way.

        Of a *scope* that is narrow; the time of expiry alone makes none so.  Of alike ones those
        that are first in *order*, and the first in it that have any of the words.
        """
        few = self._few(scope)
        if few is not None:
            left = {*few} - self.excluded(few)
            of_few = self.bits_of(left, Found({}, 0)).items()
            return Found({entry: there for entry, there in of_few if there}, _ALL)
        rare, frequent = self._parted()
        bits: dict[int, int] = {}
        for i in rare:
            for entry in self._with(self._match(i), scope):
                bits[entry] = bits.get(entry, 0) | 1 << i
        if bits:
            either = " OR ".join(f"({self._match(i)})" for i in rare)
            for i in frequent:
                for entry in self._with(f"({either}) AND ({self._match(i)})", scope):
                    bits[entry] |= 1 << i
        self._add_frequent(bits, frequent, scope, most, order)
        if order and frequent:
            either = " OR ".join(f"({self._match(i)})" for i in frequent)
            first = self._with(either, scope, most, order)
            bits |= self.bits_of(first, Found({}, 0))
        return Found(bits, sum(1 << i for i in rare))

    def best(self, found: Found, most: int, order: Order | None = None) -> dict[int, int]:
        """The *most* best of *found*, with how many words each has: of alike ones the newest."""
        if order:
            share, bits_of, factor = self.share, found.bits, order.factor
            rows = self._db.execute(_FACTORS, [json.dumps([*bits_of])])
            scores = ((share(bits_of[e]) * factor(at, worth), e) for e, at, worth in rows)
            return self._lengths([entry for _, entry in nlargest(most, scores)])
        alike: dict[int, list[int]] = {}
        for entry, bits in found.bits.items():
            alike.setdefault(bits, []).append(entry)
        entries: list[int] = []
        for bits in sorted(alike, key=self.share, reverse=True):
            entries += nlargest(most - len(entries), alike[bits])
            if len(entries) >= most:
                break
        return self._lengths(entries)

    def bits_of(self, entries: Iterable[int], known: Found) -> dict[int, int]:
        """Which terms each of *entries* has; of what *known* has not, asked one by one."""
        result = {entry: known.bits.get(entry, 0) for entry in entries}
        new = json.dumps([entry for entry in result if entry not in known.bits])
        for i, term in enumerate(self.terms):
            if term.entries and not known.complete >> i & 1:
                for (entry,) in self._db.execute(_AMONG, [term.term.match, new]):
                    result[entry] |= 1 << i
        return result

    def excluded(self, entries: Iterable[int] | None = None) -> set[int]:
        """Which of *entries* have what the query must not find; None: which of all."""
        if not self._without:
            return set()
        match = self._without.removeprefix(" NOT ")
        if entries is None:
            return {entry for (entry,) in self._db.execute(_MATCHING, [match])}
        return {entry for (entry,) in self._db.execute(_AMONG, [match, json.dumps([*entries])])}

    # --- below -------------------------------------------------------------------------------

    def _lengths(self, entries: list[int]) -> dict[int, int]:
        rows = self._db.execute(_SIZES, [json.dumps(entries)])
        return {entry: sum(numbers(sizes)) for entry, sizes in rows}

    def _match(self, i: int) -> str:
        return self.terms[i].term.match

    def _parted(self) -> tuple[list[int], list[int]]:
        """Terms to be read whole, the rare ones; and the frequent ones, a few."""
        order = [i for i, term in enumerate(self.terms) if term.entries]
        order.sort(key=lambda i: self.terms[i].entries)
        cut = total = 0
        for i in order:
            total += self.terms[i].entries
            cut += total <= _READ_AT_ONCE
        cut = max(cut, len(order) - _MOST_FREQUENT)
        return order[:cut], order[cut:]

    def _few(self, scope: Scope) -> list[int] | None:
        """The entries in *scope*, where those are few and an index tells."""
        if not scope.indexed:
            return None
        sql = f"SELECT e.id FROM entries AS e WHERE {scope.condition} LIMIT ?"  # noqa: S608
        rows = self._db.execute(sql, [*scope.values, _FEW + 1]).fetchall()
        return [entry for (entry,) in rows] if len(rows) <= _FEW else None

    def _with(
        self, match: str, scope: Scope, most: int | None = None, order: Order | None = None
    ) -> list[int]:
        """
        The entries that match; where *scope* is narrow, of those only.

        Of them the *most* that are first in *order*; without one, the newest.
        """
        sql = _MATCHING
        values: list[str | float] = [f"({match}){self._without}"]
        if scope.narrow or order:
            sql, values = f"{_MATCHING_OF} {scope.check}", [*values, *scope.values]
        if order and most is not None and order.by is None:
            rows = self._db.execute(sql.replace(" FROM", _WITH_FACTORS, 1), values)
            factors = ((order.factor(at, worth), entry) for entry, at, worth in rows)
            return [entry for _, entry in nlargest(most, factors)]
        if most is not None:
            first = f"e.{order.by} DESC, " if order else ""
            sql, values = f"{sql} ORDER BY {first}words.rowid DESC LIMIT ?", [*values, most]
        return [entry for (entry,) in self._db.execute(sql, values)]

    def _add_frequent(
        self,
        bits: dict[int, int],
        frequent: list[int],
        scope: Scope,
        most: int,
        order: Order | None,
    ) -> None:
        """Add entries that have frequent terms only, while they could be among the *most* best."""
        shares = [(self.share(there), many) for there, many in Counter(bits.values()).items()]
        sets = [set_ for n in range(len(frequent)) for set_ in combinations(frequent, n + 1)]
        weights = [(self.share(sum(1 << i for i in set_)), set_) for set_ in sets]
        added = 0
        for share, set_ in sorted(weights, reverse=True):
            if added + sum(many for other, many in shares if other >= share) >= most:
                return
            match = " AND ".join(f"({self._match(i)})" for i in set_)
            for entry in self._with(match, scope, max(_ALIKE, most), order):
                if entry not in bits:
                    bits[entry] = sum(1 << i for i in set_)
                    added += 1


_MATCHING = "SELECT words.rowid FROM words WHERE words MATCH ?"
_MATCHING_OF = (  # CROSS: in this order
    "SELECT words.rowid FROM words CROSS JOIN entries AS e ON e.id = words.rowid "
    "WHERE words MATCH ? AND"
)
_WITH_FACTORS = ", e.updated, e.importance FROM"
_FACTORS = (
    "SELECT e.id, e.updated, e.importance FROM json_each(?) AS j "
    "CROSS JOIN entries AS e ON e.id = j.value"
)
_AMONG = (
    "SELECT words.rowid FROM json_each(?2) CROSS JOIN words ON words.rowid = json_each.value "
    "WHERE words MATCH ?1"
)
_SIZES = "SELECT id, sz FROM words_docsize WHERE id IN (SELECT value FROM json_each(?))"
