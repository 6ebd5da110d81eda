"""
One run of a model over entries that wait for a vector: within its time, and past a text it refuses.

A server that refuses some text, too long for it perhaps, refuses the whole batch: then each text is
asked for alone, and the one that fails is passed over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.embedding.model import EmbedderAway, EmbedderMissing
from dino_os.memory_layer.stored import Embedder, loaded
from dino_os.memory_layer.vector_rows import Model
from dino_os.memory_layer.words import text_of

_MOST_TEXT = 20_000  # characters of a value that a model is shown
_FEW, _FEW_CHARACTERS = 4, 1_000  # a small model takes some 50 ms for these
_HARMLESS = "text"  # whoever embeds anything embeds this
Row: TypeAlias = tuple[int, str, str, int]
"""Id, key, value and version of an entry."""


class Filling:
    """
    The run.

    Args:
        budget_s: Begin no more after so long.
        little: Look at the clock every few texts; else at every batch.

    Attributes:
        failed: The entries whose text the model refused; they go on waiting.
    """

    def __init__(
        self,
        model: Model,
        embedder: Embedder,
        budget_s: float | None = None,
        *,
        little: bool = False,
    ) -> None:
        self.model = model
        self.failed: set[int] = set()
        self._embedder = embedder
        self._until = None if budget_s is None else time.monotonic() + budget_s
        self._little = little

    @property
    def is_over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def vectors(self, rows: Sequence[Row]) -> list[tuple[Row, bytes]]:
        """
        Entries with their vectors: of *rows* those that there was time for.

        Raises:
            MemoryLayerError: The model embeds nothing at all.
        """
        made: list[tuple[Row, bytes]] = []
        left = [row for row in rows if row[0] not in self.failed]
        for part in _parts(left) if self._little else [left]:
            if self.is_over:
                break
            made += self._of(part)
        return made

    def _of(self, rows: Sequence[Row]) -> list[tuple[Row, bytes]]:
        if not rows:
            return []
        try:
            return [*zip(rows, self._embedded([_text(row) for row in rows]), strict=True)]
        except (EmbedderMissing, EmbedderAway):
            raise
        except MemoryLayerError:
            if not self._is_well():
                raise
        if len(rows) > 1:
            return [made for row in rows for made in self._of([row])]
        self.failed.add(rows[0][0])
        return []

    def _is_well(self) -> bool:
        """Whether it was the text, and not the model."""
        try:
            self._embedded([_HARMLESS])
        except MemoryLayerError:
            return False
        return True

    def _embedded(self, texts: Sequence[str]) -> list[bytes]:
        return _packed(self._embedder.documents(texts), len(texts), self.model)


def text_for(key: str, value: str) -> str:
    """What a model is shown of an entry."""
    return text_of(loaded(value))[:_MOST_TEXT].strip() or key


def _text(row: Row) -> str:
    return text_for(row[1], row[2])


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """A few at a time, large ones alone."""
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and (len(part) == _FEW or size + len(row[2]) > _FEW_CHARACTERS):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[2])
    if part:
        yield part


def _packed(found: Any, count: int, model: Model) -> list[bytes]:
    import numpy as np  # noqa: PLC0415  where something is embedded

    matrix = np.ascontiguousarray(found, dtype="<f4")
    if matrix.shape != (count, model.dim) or not np.isfinite(matrix).all():
        raise MemoryLayerError(
            f"the model {model.name!r} gave vectors of the shape {matrix.shape}, expected "
            f"{count} of {model.dim} finite numbers"
        )
    return [row.tobytes() for row in matrix]
