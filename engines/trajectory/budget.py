"""How long the search may go on, and whether that cut it short."""

from __future__ import annotations

import time
from collections.abc import Callable

from engines import checks


class Budget:
    """
    Time for one search.

    Args:
        seconds: None for as long as its counted effort lasts, which is the same on every machine.
        ticks: Seconds that only go forward.
    """

    def __init__(
        self, seconds: float | None = None, *, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self.ticks = ticks
        self._end = None
        if seconds is not None:
            self._end = ticks() + checks.at_least(seconds, 0, "time_limit")
        self.cut = False

    def over(self) -> bool:
        """Whether the time is up; from then on the search counts as cut."""
        if self._end is not None and self.ticks() >= self._end:
            self.cut = True
            return True
        return False

    def share(self, among: int) -> Budget:
        """The time left, divided; what cuts the share cuts the whole."""
        left = self.left()
        return self if left is None or among == 1 else _Share(left / among, self)

    def left(self) -> float | None:
        """Seconds, at least 0; None where there is no end."""
        return None if self._end is None else max(self._end - self.ticks(), 0.0)


class _Share(Budget):
    def __init__(self, seconds: float, whole: Budget) -> None:
        super().__init__(seconds, ticks=whole.ticks)
        self._whole = whole

    def over(self) -> bool:
        if super().over():
            self._whole.cut = True
            return True
        return False
