"""What a search of memory finds, as users see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from dino_os.errors import NotFound


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """
    What a search found.

    `result["outcome"]` is `result.value["outcome"]`, and `"outcome" in result` asks for it.

    Attributes:
        score: How much of the query the entry has, above 0 up to 1.
        created: When its key was first added.
        updated: When its value was written.
        text, meaning: The two scores that `score` is made of; None where there is none.
        snippet: Where in the value it says so.
        why: What the scores are made of, where that was asked for.
    """

    key: str
    value: Any
    score: float
    created: datetime
    namespace: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    updated: datetime | None = None
    text: float | None = None
    meaning: float | None = None
    snippet: str | None = None
    why: Any = None

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise NotFound(f"the value of {self.key!r} has no {name!r}")
        return self.value[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(self.value, Mapping) and name in self.value

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> MemoryResult:
        """From what the store answers."""
        names = {one.name for one in fields(cls)} & found.keys()
        times = {
            name: datetime.fromisoformat(found[name])
            for name in ("created", "updated")
            if found.get(name)
        }
        return cls(**{name: found[name] for name in names} | times)
