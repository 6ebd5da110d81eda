"""
Which entries have a vector of which model, and the making of those that are missing.

There is no model in the write path: an entry that may have a vector waits for one.  Vectors are
made a few at a time, in short transactions, by whoever comes by; whoever is stopped goes on later.
Another model is built beside the one that serves, and takes its place when nothing waits for it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dino_os.errors import DinoError, InvalidInput, MemoryLayerError
from dino_os.memory_layer import vector_rows
from dino_os.memory_layer.entries import Entries
from dino_os.memory_layer.filling import Filling, Row
from dino_os.memory_layer.stored import Change, Embedder
from dino_os.memory_layer.vector_rows import BUILDING, GIVEN, SERVING, Model
from engines.database import without_waiting

if TYPE_CHECKING:
    from dino_os.memory_layer.vectors import VectorIndex

_BATCH = 64
_HINT = "`dino memory reindex` embeds everything with it; the old vectors serve meanwhile"
_WAITING = (
    "SELECT id, key, value, version FROM waiting JOIN entries USING (id) "
    "WHERE model = ? AND id > ? ORDER BY id LIMIT ?"
)
_LEFT = (
    "SELECT COUNT(*) FROM waiting JOIN entries USING (id) WHERE model = ? AND embed = 1 "
    "AND id NOT IN (SELECT value FROM json_each(?))"
)
_ANY = "SELECT EXISTS (SELECT 1 FROM entries WHERE embed = 1)"
_STILL = (
    "SELECT version FROM waiting JOIN entries USING (id) WHERE model = ? AND id = ? AND embed = 1"
)


class Embedded(Entries):
    """The vectors of entries."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._embedders_made: dict[str | None, Embedder | None] = {}
        self._indexes: dict[int, VectorIndex] = {}

    # --- for searches ------------------------------------------------------------------------

    def meaning(self) -> tuple[Model, Embedder | None] | None:
        """
        The model whose vectors are searched, and what embeds a query for it.

        None where there are no vectors to be; no embedder where they came with their entries and
        none is configured, or where the one that made them is not there while another is being
        built.

        Raises:
            MemoryLayerError: The vectors are of another model than is configured.
        """
        wanted = self.embedder()
        model = self._read(vector_rows.serving)
        if model is None:
            if wanted is None or self._read_only or not self._is_there():
                return None
            try:
                return self._begin(wanted, waits=False), wanted
            except MemoryLayerError as error:
                if not _is_busy(error):
                    raise
                return None
        if wanted is None:
            return (model, None) if model.name == GIVEN else None
        if _is_of(model, wanted):
            return model, wanted
        other = self._read(vector_rows.building)
        if other is None or not _is_of(other, wanted):
            raise self._another_model(model, wanted)
        return model, self._if_there(model)

    def embedder(self, name: str | None = None) -> Embedder | None:
        """The model of that name, or the configured one; made once."""
        if name not in self._embedders_made:
            self._embedders_made[name] = self._embedders(name) if self._embedders else None
        return self._embedders_made[name]

    def index(self, model: Model) -> VectorIndex:
        """The index of that model's vectors."""
        from dino_os.memory_layer.vectors import VectorIndex  # noqa: PLC0415  it needs numpy

        if model.number not in self._indexes:
            # Its files are named after the model: those of one that is no more are never believed.
            made = VectorIndex(
                None if self._encrypted else self.path.parent,
                f"{self.path.name}.{model.number}",
                model.dim,
                approximate=self._approximate,
                read_only=self._read_only,
            )
            self._indexes[model.number] = made
        return self._indexes[model.number]

    def embed_waiting(self, budget_s: float | None = None, *, only_local: bool = False) -> int:
        """
        Embed entries that wait for a vector of the model that serves; how many.

        Args:
            budget_s: Begin no more after so long, and wait for no other process.
            only_local: Not by a model that is somewhere else.
        """
        found = None if self._read_only else self.meaning()
        if found is None or found[1] is None or (only_local and not found[1].local):
            return 0
        if budget_s is None:
            return self._embed_all(Filling(*found))
        try:
            return self._embed_all(Filling(*found, budget_s, little=True), waits=False)
        except MemoryLayerError as error:
            if not _is_busy(error):
                raise
            return 0  # whoever comes next goes on

    # --- the model ---------------------------------------------------------------------------

    def reindex(
        self,
        model: str | None = None,
        progress: Callable[[int], None] | None = None,
        budget_s: float | None = None,
    ) -> dict[str, Any]:
        """
        Embed what has no vector; everything where the model is another, which then serves.

        Args:
            model: Its name, which is the configured one's; None is that one.
            budget_s: Begin no more after so long; the next one goes on.

        Returns:
            model, dim, embedded, how many are left `waiting`, and, where there are some, how many
            of those the model `failed` to embed; the next run tries them again.

        Raises:
            InvalidInput: *model* is not the configured one, which the next run would go back to.
            MemoryLayerError: The memory is only read.
        """
        self._check_writable()
        wanted = self.embedder(model)
        if model is not None and wanted is not None:
            self._check_configured(model)
        current = self._read(vector_rows.serving)
        if wanted is None:
            name = current.name if current else None
            return {"model": name, "dim": 0, "embedded": 0, "waiting": 0}
        if prepare := getattr(wanted, "prepare", None):  # a server has time to load the model
            prepare()
        target = self._begin(wanted)
        filling = Filling(target, wanted, budget_s)
        made, waiting = 0, True
        while waiting and not filling.is_over:
            made += self._embed_all(filling, progress)
            served = target.state != BUILDING or self._serve(target, filling.failed)
            waiting = not served or bool(self._read(lambda db: _left(db, target, filling.failed)))
        left = self._read(lambda db: _left(db, target))
        failed = left - self._read(lambda db: _left(db, target, filling.failed))
        found = {"model": target.name, "dim": target.dim, "embedded": made, "waiting": left}
        return found | ({"failed": failed} if failed else {})

    def is_behind(self) -> bool:
        """Whether `reindex` would have something to do; no server is asked."""
        wanted = self.embedder()
        if wanted is None or self._read_only or not self._is_there():
            return False
        current = self._read(vector_rows.serving)
        if current is None:
            return bool(self._read(lambda db: db.execute(_ANY).fetchone()[0]))
        return not _seems_of(current, wanted) or bool(self._read(lambda db: _left(db, current)))

    def _ready_for_vectors(self) -> None:
        # Vectors of some other size would be all there is to search by from then on.
        if self._is_there() and self._read(vector_rows.serving):
            return
        if wanted := self.embedder():
            self._begin(wanted)

    def _check_configured(self, model: str) -> None:
        try:
            configured = self.embedder()
        except DinoError:  # it is not installed, for example
            configured = None
        if configured is None or model != configured.name:
            raise InvalidInput(
                f"{model!r} is not the model of this memory: memory.embedder is "
                f"{configured.name if configured else 'another'}",
                hint=f"dino config set memory.embedder {model} && dino memory reindex",
            )

    def _begin(self, wanted: Embedder, *, waits: bool = True) -> Model:
        """The row of a model: the one that serves, or that is to."""
        asked = wanted.name, wanted.dim, wanted.fingerprint  # of a server, before others must wait
        with self._changing() if waits else self._changing_at_once() as change:
            db = change.db
            current, other = vector_rows.serving(db), vector_rows.building(db)
            for known in (current, other):
                if known and _is_of(known, wanted):
                    vector_rows.wait_rightly(db, known.number)
                    if known is current and other:  # somebody thought better of it
                        vector_rows.drop_model(db, other.number)
                    return known
            if other:
                vector_rows.drop_model(db, other.number)
            state = BUILDING if current else SERVING
            if current:  # the first is nobody's decision
                change.note("memory_model_begun", model=wanted.name, dim=wanted.dim)
            return vector_rows.add_model(db, *asked, state)

    def _serve(self, model: Model, failed: Collection[int]) -> bool:
        """
        Have *model* take the place of the one that serves; not while an entry waits for it.

        Args:
            failed: Entries that it cannot embed.
        """
        with self._changing() as change:
            db = change.db
            if vector_rows.building(db) != model:  # another process did it
                return True
            if _left(db, model, failed):
                return False
            old = vector_rows.serving(db)
            if old:
                vector_rows.drop_model(db, old.number)
            db.execute("UPDATE models SET state = ? WHERE model = ?", (SERVING, model.number))
            change.note("memory_model_serves", model=model.name, dim=model.dim)
        if old:
            self.index(old).erase()
            del self._indexes[old.number]
        return True

    # --- below -------------------------------------------------------------------------------

    def _embed_all(
        self,
        filling: Filling,
        progress: Callable[[int], None] | None = None,
        *,
        waits: bool = True,
    ) -> int:
        """Embed what waits for a model; what changes meanwhile goes on waiting."""
        made = behind = 0
        while not filling.is_over:
            asked = (filling.model.number, behind, _BATCH)
            with self._reading() as db:
                rows = db.execute(_WAITING, asked).fetchall()
            if not rows:
                break
            behind = rows[-1][0]
            found = filling.vectors(rows)
            done = self._keep(filling.model, found, waits=waits) if found else 0
            made += done
            if progress:
                progress(done)
        return made

    def _keep(self, model: Model, found: Sequence[tuple[Row, bytes]], *, waits: bool) -> int:
        with self._changing() if waits else self._changing_at_once() as change:
            made = [
                (number, vector)
                for (number, _, _, version), vector in found
                if change.db.execute(_STILL, (model.number, number)).fetchone() == (version,)
            ]
            vector_rows.keep_many(change.db, model.number, made)
        return len(made)

    @contextlib.contextmanager
    def _changing_at_once(self) -> Iterator[Change]:
        """As `_changing`, but waits for no other process: see `_is_busy`."""
        with self._database.guard, self._errors():
            db = self._opened()
            tidying, self._tidying = self._tidying, True  # which may wait as well
            try:
                with without_waiting(db), self._changing() as change:
                    yield change
            finally:
                self._tidying = tidying

    def _models(self) -> list[Model]:
        return self._read(vector_rows.all_models) or []

    def _erase_indexes(self, models: Iterable[Model] | None = None) -> None:
        """Have nothing of the vectors beside the file; it is made anew when it is needed."""
        for model in self._models() if models is None else models:
            self.index(model).erase()

    def _if_there(self, model: Model) -> Embedder | None:
        if model.name == GIVEN:
            return None
        try:
            found = self.embedder(model.name)
        except MemoryLayerError:  # not installed any more
            return None
        return found if found and _is_of(model, found) else None

    def _another_model(self, model: Model, wanted: Embedder) -> MemoryLayerError:
        return MemoryLayerError(
            f"{self.path}: its vectors are of the model {model.name!r} ({model.dim} numbers, "
            f"{model.fingerprint[:12]}), and not of {wanted.name!r} ({wanted.dim} numbers, "
            f"{wanted.fingerprint[:12]})",
            hint=_HINT,
        )


def _left(db: sqlite3.Connection, model: Model, but: Collection[int] = ()) -> int:
    return int(db.execute(_LEFT, (model.number, json.dumps([*but]))).fetchone()[0])


def _is_busy(error: MemoryLayerError) -> bool:
    """Whether somebody else was writing."""
    cause = error.__context__
    code = cause.sqlite_errorcode if isinstance(cause, sqlite3.OperationalError) else None
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


def _is_of(model: Model, embedder: Embedder) -> bool:
    return (model.name, model.dim, model.fingerprint) == (
        embedder.name,
        embedder.dim,
        embedder.fingerprint,
    )


def _seems_of(model: Model, embedder: Embedder) -> bool:
    """As `_is_of`, as far as can be told without asking a server."""
    seems = getattr(embedder, "seems", None)
    return bool(seems(model.name, model.fingerprint)) if seems else _is_of(model, embedder)
