"""
What an embedder is, and how it fails.

MemoryLayerError
├── EmbedderMissing        its package, its files or its model are not there   exit 2
└── EmbedderUnavailable    it is asked over a network, and did not answer      exit 4
    └── EmbedderAway       nobody is there, or it takes too long
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dino_os.errors import MemoryLayerError

if TYPE_CHECKING:
    from dino_os.memory_layer.embedding.rows import Floats


class Embedder(Protocol):
    """
    Turns texts into vectors: like texts have like directions.

    Attributes:
        name: As in `memory.embedder`.
        dim: Of its vectors.
        fingerprint: Changes when its vectors do; vectors of two fingerprints are never compared.
        local: Whether it computes in this process, without a network.
        floor: The cosine up to which two texts of its have nothing in common: of unrelated ones the
            mean and one standard deviation.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def local(self) -> bool: ...
    @property
    def floor(self) -> float: ...

    def documents(self, texts: Sequence[str]) -> Floats:
        """A row for each text, of length 1, or 0 where there is nothing to go by.  Thread-safe."""

    def query(self, text: str) -> Floats:
        """The vector of what is searched for."""


Maker: TypeAlias = Callable[[], Embedder]


class EmbedderMissing(MemoryLayerError):
    """An embedder was asked for that is not installed, or whose model is not there."""

    exit_code = 2


class EmbedderUnavailable(MemoryLayerError):
    """The server that embeds did not answer, or not with vectors."""

    exit_code = 4


class EmbedderAway(EmbedderUnavailable):
    """The server that embeds is not there, or takes too long: no text is the reason."""
