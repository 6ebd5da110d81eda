"""
Search: from a question to the entries that answer it, best first.

    words of the query → candidates by text ┐
    vector of the query → candidates by meaning ┴→ union, each with both scores → best, explained

Works on one connection, in one transaction; knows of vectors only what `Meaning` gives.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer.fusion import Blend, Hit, alpha_of, explained
from dino_os.memory_layer.lexical import Counts, Found, Words, weighed
from dino_os.memory_layer.question import Question
from dino_os.memory_layer.snippets import snippet
from dino_os.memory_layer.where import Scope, scope_of
from dino_os.memory_layer.words import read
from engines import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEPTH = 200  # candidates of each side
_ONE_DEPTH = 20  # where there is one side, and nothing reorders it
_ALIKE = 100  # of those with the same words, from which the shorter comes first
_MOST = 2**31


class Embeds(Protocol):
    """What search needs of an embedder."""

    @property
    def name(self) -> str: ...
    @property
    def floor(self) -> float: ...
    def query(self, text: str) -> NDArray[Any]: ...


class Finds(Protocol):
    """What search needs of an index of vectors."""

    def search(
        self, source: Any, query: NDArray[Any], k: int, *, allowed: NDArray[Any] | None = None
    ) -> list[tuple[int, float]]: ...


@dataclass(frozen=True, slots=True)
class Meaning:
    """The vectors of a memory: what makes them, what finds them, and where they are read from."""

    embedder: Embeds
    index: Finds
    source: Any


def search(
    db: sqlite3.Connection,
    question: Question,
    now: float,
    meaning: Callable[[], Meaning | None] = lambda: None,
    counts: Counts | None = None,
) -> list[dict[str, Any]]:
    """
    The entries that answer *question* best, as they are at *now*.

    Args:
        meaning: The vectors; asked for only where the question needs them.  None: there are none.
        counts: What is known of frequent words from the searches before.

    Raises:
        InvalidInput: `where` is no condition.
        MemoryLayerError: Search by meaning, where there are no vectors.
    """
    scope = scope_of(now, namespace=question.namespace, tags=question.tags, where=question.where)
    with _one_state(db):
        one = _Search(db, question, now, meaning, counts or Counts())
        if not question.top_k or not (one.words.terms or question.vector is not None):
            return []
        hits, lost = one.hits(scope)
        if lost and len(hits) < question.top_k and not scope.narrow:  # expired ones took places
            hits, _ = one.hits(replace(scope, narrow=True))
        return [one.result(hit) for hit in hits]


@contextlib.contextmanager
def _one_state(db: sqlite3.Connection) -> Iterator[None]:
    """The memory as it is now, whatever others write meanwhile."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


class _Search:
    """One search on its way."""

    def __init__(
        self,
        db: sqlite3.Connection,
        question: Question,
        now: float,
        meaning: Callable[[], Meaning | None],
        counts: Counts,
    ) -> None:
        self._db = db
        self._question = question
        self._top_k = min(question.top_k, _MOST)
        query = read(question.query)
        self.words = Words(db, query, weighed(db, query, counts))
        self._vectors = meaning() if question.mode != "text" else None
        if self._vectors is None and question.mode == "meaning":
            raise MemoryLayerError("no entry has a vector", hint="run `dino memory reindex` first")
        self._vector = self._vector_of(query.text)
        self._blend = Blend(
            alpha=self._alpha(query.exactness),
            floor=self._vectors.embedder.floor if self._vectors else 0.0,
            half_life_s=question.half_life_s,
            importance=question.importance,
            now=now,
        )

    def _vector_of(self, text: str) -> NDArray[Any] | None:
        if self._vectors is None:
            return None
        if self._question.vector is None:
            return self._vectors.embedder.query(text)
        import numpy as np  # noqa: PLC0415  heavy, and most searches have no vector of their own

        try:
            vector = np.asarray(self._question.vector, dtype=np.float32)
        except (TypeError, ValueError):
            vector = np.empty(0, dtype=np.float32)
        if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
            raise InvalidInput("a vector must be a list of finite numbers")
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector

    def _alpha(self, exactness: float) -> float:
        if self._vectors is None:
            return 1.0
        if self._question.mode == "meaning" or not self.words.terms:
            return 0.0
        return alpha_of(self._vectors.embedder.name, exactness)

    # --- candidates --------------------------------------------------------------------------

    def hits(self, scope: Scope) -> tuple[list[Hit], int]:
        """The best of both sides' candidates, and how many of those were not in *scope*."""
        depth = max(self._top_k, _DEPTH if self._reorders() else _ONE_DEPTH)
        found, shortlist = self._by_text(scope, depth)
        cosines = self._by_meaning(scope, depth, shortlist)
        entries = shortlist.keys() | cosines.keys()
        hits = self._rows(entries, scope)
        for hit in hits:
            hit.bits = found.bits.get(hit.entry, 0)
            hit.text = self.words.share(hit.bits)
            hit.cosine = cosines.get(hit.entry)
            hit.words = shortlist.get(hit.entry, 0)
        self._complete(hits, found)
        score = self._blend.score
        least = max(self._question.min_score, 1e-9)
        good = [hit for hit in hits if score(hit) >= least]
        best = heapq.nsmallest(
            self._top_k, good, key=lambda hit: (-round(score(hit), 9), hit.words, hit.key)
        )
        if not self._blend.alpha:  # found by meaning alone: their words are for the reader
            self._read_words({hit.entry: hit for hit in best}, found)
        return best, len(entries) - len(hits)

    def _reorders(self) -> bool:
        both = self._vectors is not None and self._blend.alpha > 0
        return both or self._blend.order is not None

    def _by_text(self, scope: Scope, depth: int) -> tuple[Found, dict[int, int]]:
        """What has the query's words, and the best of it with the number of words of each."""
        if not self._blend.alpha:
            return Found({}, 0), {}
        order = self._blend.order
        found = self.words.candidates(scope, depth, order)
        return found, self.words.best(found, max(depth, _ALIKE), order)

    def _by_meaning(self, scope: Scope, depth: int, others: Iterable[int]) -> dict[int, float]:
        """The nearest entries, and how near those are that the text side found."""
        if self._vectors is None or self._vector is None:
            return {}
        import numpy as np  # noqa: PLC0415  heavy, and text alone needs none of it

        index, source = self._vectors.index, self._vectors.source
        allowed = np.array(self._ids(scope), dtype=np.int64) if scope.narrow else None
        near = dict(index.search(source, self._vector, depth, allowed=allowed))
        excluded = self.words.excluded(near)
        if excluded and len(near) == depth:  # they took places: again, among the others
            ids = self._ids(scope) if allowed is None else allowed
            left = np.setdiff1d(ids, [*self.words.excluded()]).astype(np.int64)
            near = dict(index.search(source, self._vector, depth, allowed=left))
        elif excluded:
            near = {entry: cosine for entry, cosine in near.items() if entry not in excluded}
        left = np.array([entry for entry in others if entry not in near], dtype=np.int64)
        if left.size:
            near.update(index.search(source, self._vector, left.size, allowed=left))
        return near

    def _ids(self, scope: Scope) -> list[int]:
        sql = f"SELECT e.id FROM entries AS e WHERE {scope.condition}"  # noqa: S608  constants only
        return [entry for (entry,) in self._db.execute(sql, scope.values)]

    def _rows(self, entries: Iterable[int], scope: Scope) -> list[Hit]:
        """Those of *entries* that are in *scope*, without what each side says of them."""
        sql = (
            "SELECT e.id, e.updated, e.importance, e.key FROM json_each(?) AS j "  # noqa: S608
            f"CROSS JOIN entries AS e ON e.id = j.value WHERE {scope.check}"
        )
        rows = self._db.execute(sql, [json.dumps([*entries]), *scope.values])
        return [
            Hit(entry, 0, 0.0, None, updated, importance, key)
            for entry, updated, importance, key in rows
        ]

    def _complete(self, hits: list[Hit], found: Found) -> None:
        """Look up the words of the hits by meaning, of those that could still be among the best."""
        unknown = ~found.complete & ((1 << len(self.words.terms)) - 1)
        missing = self._blend.alpha * self.words.share(unknown)
        if not missing:
            return
        score = self._blend.score
        best = heapq.nlargest(self._top_k, map(score, hits))
        least = best[-1] if len(best) == self._top_k else 0.0
        could_be = {
            hit.entry: hit
            for hit in hits
            if hit.entry not in found.bits and score(hit) + missing >= least
        }
        self._read_words(could_be, found)

    def _read_words(self, hits: dict[int, Hit], found: Found) -> None:
        for entry, bits in self.words.bits_of(hits, found).items():
            hits[entry].bits = bits
            hits[entry].text = self.words.share(bits)

    # --- results -----------------------------------------------------------------------------

    def result(self, hit: Hit) -> dict[str, Any]:
        sql = "SELECT ns, key, value, metadata, created, updated FROM entries WHERE id = ?"
        row = self._db.execute(sql, [hit.entry]).fetchone()
        namespace, key, value, metadata, created, updated = row
        tags = self._db.execute("SELECT tag FROM tags WHERE id = ? ORDER BY tag", [hit.entry])
        return {
            "key": key,
            "namespace": namespace,
            "value": json.loads(value),
            "metadata": json.loads(metadata) if metadata else {},
            "tags": [tag for (tag,) in tags],
            "created": checks.time_text(created),
            "updated": checks.time_text(updated),
            "score": self._blend.score(hit),
            "text": hit.text,
            "meaning": None if hit.cosine is None else self._blend.meaning(hit),
            "snippet": snippet(self._db, hit.entry, self.words.terms, self._question.marks),
            "why": self._why(hit),
        }

    def _why(self, hit: Hit) -> dict[str, Any] | None:
        return explained(hit, self._blend, self.words.terms) if self._question.explain else None
