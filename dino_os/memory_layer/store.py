"""
The memory store: entries in SQLite, with every change in the journal `memory_log`.

Takes and gives JSON values only.  Made of parts, each on what the one before it is: the file and
its record (`stored`), entries, their vectors (`embedded`), what does not stay (`retention`), files
of it (`exchange`, `backups`), and its check.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, TypeAlias

from dino_os.errors import Denied, InvalidInput, MemoryLayerError, NotFound
from dino_os.memory_layer import searching, vector_rows
from dino_os.memory_layer.checking import Checking
from dino_os.memory_layer.lexical import Counts
from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import Meaning
from dino_os.memory_layer.stored import KEY_LIMIT, VALUE_LIMIT
from dino_os.memory_layer.vector_rows import Model, VectorRows
from dino_os.memory_layer.words import read
from dino_os.process_lock import Busy

__all__ = ["KEY_LIMIT", "VALUE_LIMIT", "MemoryStore"]
_BUDGET_S = 0.2  # for what waits to be embedded, before each search
_INDEX_WAIT_S = 30.0  # for another process that is writing its files
_Found: TypeAlias = list[dict[str, Any]]


class MemoryStore(Checking):
    """The part behind `MemoryLayer`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counts = Counts()

    # What a sandboxed skill may ask for; the others name files with the parent's rights.
    CALLS: ClassVar = frozenset(
        {
            *("add", "add_many", "delete", "tag", "clear"),
            *("get", "versions", "list", "namespaces", "get_all", "search"),
        }
    )

    def search(self, query: str, top_k: int = 5, **more: Any) -> _Found:
        """
        The entries that answer *query* best; *more* as `Question` has it.

        In the mode auto it goes on by words alone where search by meaning cannot be.
        """
        question = Question(query, top_k, **more)
        if not self._is_there():
            return []
        if question.mode != "auto":
            return self._answered(question)
        try:
            return self._answered(question)
        except (Denied, MemoryLayerError, NotFound):  # NotFound: the model of a plugin that is gone
            return self._answered(replace(question, mode="text"))

    def words_only(self) -> str | None:
        """Why search goes by words alone, where it should not; None where it does not."""
        try:
            found = self.meaning()
        except (Denied, MemoryLayerError, NotFound) as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message
        if found and found[1] is None and (found[0].name != vector_rows.GIVEN or self.embedder()):
            return f"the model {found[0].name!r}, whose vectors these are, is not there"
        return None

    def reindex(
        self,
        model: str | None = None,
        progress: Callable[[int], None] | None = None,
        budget_s: float | None = None,
    ) -> dict[str, Any]:
        found = super().reindex(model, progress, budget_s)
        serving = self._read(vector_rows.serving)
        if serving and found["waiting"] <= found.get("failed", 0):
            try:
                with self._reading() as db:
                    index = self.index(serving)
                    index.build(VectorRows(db, serving.number), wait_s=_INDEX_WAIT_S)
            except Busy as busy:  # searches do without, and the next run makes it
                found["index"] = f"not made: {busy.message}"
        return found

    def stats(self) -> dict[str, Any]:
        found = super().stats()
        serving = self._read(vector_rows.serving)
        if serving and not self._read_only:
            index = self.index(serving)
            with self._reading() as db:
                index.catch_up(VectorRows(db, serving.number))
            found["index"] = index.status()
        return found

    # --- below the face ----------------------------------------------------------------------

    def _answered(self, question: Question) -> _Found:
        found = None if question.mode == "text" else self._vectors_for(question)
        with self._reading() as db:
            return searching.search(
                db, question, self.clock(), lambda: found and _meaning(found, db), self._counts
            )

    def _vectors_for(self, question: Question) -> tuple[Model, Any, Any] | None:
        """The model, what embeds the query, and the index; None where words alone decide."""
        if question.vector is None:
            self.embed_waiting(_BUDGET_S, only_local=True)
        found = self.meaning()
        if found is None or (found[1] is None and question.vector is None):
            return None
        model, embedder = found
        if question.vector is not None and len(question.vector) != model.dim:
            raise InvalidInput(
                f"the vector has {len(question.vector)} numbers, those here have {model.dim}"
            )
        # Here, where nobody waits: it may be a model on another machine.
        asked = _Asked(vector_rows.GIVEN, 0.0, None)
        if embedder:
            vector = embedder.query(read(question.query).text) if question.vector is None else None
            asked = _Asked(embedder.name, embedder.floor, vector)
        return model, asked, self.index(model)


class _Asked(NamedTuple):
    """Stands for what made the vectors, with what it made of a query already."""

    name: str
    floor: float
    vector: Any

    def query(self, _text: str) -> Any:
        return self.vector


def _meaning(found: tuple[Model, Any, Any], db: sqlite3.Connection) -> Meaning:
    model, embedder, index = found
    return Meaning(embedder, index, VectorRows(db, model.number))
