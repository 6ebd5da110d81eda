"""The resource engine's pools as entities use them: opened by the first that takes something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.entity_manager import Pools
    from engines.resource_engine import ResourceType


class LatePools:
    """
    What `EntityManager` asks of the resource engine.

    Args:
        engine: Opens it: a queue of many tasks takes a while, and most commands need none of it.
    """

    def __init__(self, engine: Callable[[], Pools]) -> None:
        self._engine = engine

    def reserve(self, holder: str, needs: Mapping[ResourceType, int]) -> bool:
        return self._engine().reserve(holder, needs)

    def release(self, holder: str) -> bool:
        return self._engine().release(holder)
