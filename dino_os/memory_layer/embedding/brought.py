"""A plugin's embedder, held to what `Embedder` promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dino_os.errors import DinoError, MemoryLayerError
from dino_os.memory_layer.embedding.model import Embedder
from dino_os.memory_layer.embedding.rows import Floats, unit


class Brought:
    """
    *theirs*, with rows of finite numbers and of length 1 whatever it answers.

    Raises:
        MemoryLayerError: Here and later: it does not do what an embedder does.
    """

    def __init__(self, name: str, theirs: Embedder) -> None:
        self._theirs = theirs
        self.name = name
        try:
            self.dim, self.floor = int(theirs.dim), float(theirs.floor)
            self.fingerprint, self.local = str(theirs.fingerprint), bool(theirs.local)
        except (AttributeError, TypeError, ValueError) as error:
            raise MemoryLayerError(f"the embedder {name} is none: {error}") from None
        if self.dim < 1 or not -1 <= self.floor < 1:
            raise MemoryLayerError(f"the embedder {name}: dim {self.dim}, floor {self.floor:g}")

    def documents(self, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        return self._checked(self._theirs.documents, list(texts), (len(texts), self.dim))

    def query(self, text: str) -> Floats:
        found: Floats = self._checked(self._theirs.query, text, (self.dim,))[0]
        return found

    def _checked(
        self, ask: Callable[[Any], Any], what: str | list[str], shape: tuple[int, ...]
    ) -> Floats:
        try:
            rows = np.asarray(ask(what), np.float64)
        except DinoError:
            raise
        except Exception as error:  # whatever a plugin raises is its own
            why = f"the embedder {self.name} failed: {type(error).__name__}: {error}"
            raise MemoryLayerError(why) from error
        if rows.shape != shape or not np.isfinite(rows).all():
            raise MemoryLayerError(
                f"the embedder {self.name} answered with no vectors of {self.dim} finite numbers"
            )
        return unit(rows.reshape(-1, self.dim))
