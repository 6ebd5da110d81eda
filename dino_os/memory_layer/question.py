"""What is searched for, and that it is something that can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dino_os.errors import InvalidInput
from engines import checks

MODES = ("auto", "text", "meaning", "hybrid")


@dataclass(frozen=True, slots=True)
class Question:
    """
    One search.

    Attributes:
        top_k: How many entries at most.
        namespace: The only one to search; None: all.
        mode: text, meaning, hybrid; auto is hybrid where there are vectors.
        where: What the metadata must say; see where.py.
        tags: All of which an entry must have.
        half_life_s: The age at which an entry counts half; None: age does not count.
        importance: The part of the score that the entry's own importance decides, 0…1.
        min_score: What an answer must reach.
        vector: The query's, where the caller has it.
        explain: Whether each result says where its score comes from.
        marks: What stands around the words found, in a snippet.

    Raises:
        InvalidInput: One of them is not what it must be.
    """

    query: str
    top_k: int = 5
    namespace: str | None = None
    mode: str = "auto"
    where: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()
    half_life_s: float | None = None
    importance: float = 0.0
    min_score: float = 0.0
    vector: Any = None
    explain: bool = False
    marks: tuple[str, str] = ("[", "]")

    def __post_init__(self) -> None:
        if not isinstance(self.query, str):
            raise InvalidInput(f"a query must be text, found {self.query!r:.200}")
        checks.at_least(self.top_k, 0, "top_k")
        checks.whole(self.top_k, "top_k")
        if self.mode not in MODES:
            raise InvalidInput(f"mode must be one of {', '.join(MODES)}, found {self.mode!r:.200}")
        if self.namespace is not None and not isinstance(self.namespace, str):
            raise InvalidInput(f"a namespace must be text, found {self.namespace!r:.200}")
        if isinstance(self.tags, str) or not all(isinstance(tag, str) for tag in self.tags):
            raise InvalidInput(f"tags must be a list of texts, found {self.tags!r:.200}")
        if self.half_life_s is not None and checks.finite(self.half_life_s, "half_life_s") <= 0:
            raise InvalidInput(f"half_life_s must be above 0, found {self.half_life_s!r}")
        for name in ("importance", "min_score"):
            if not 0 <= checks.finite(getattr(self, name), name) <= 1:
                raise InvalidInput(f"{name} must be 0 to 1, found {getattr(self, name)!r}")
