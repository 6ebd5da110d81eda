"""The turns of one duty: when the next one is, and what follows where one fails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from dino_os.errors import DinoError
from dino_os.work.duty import Duty
from engines.errors import JournalBusy

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class Turns:
    """
    A duty, and when its next turn is.

    One that fails gets its next turn after a pause, each time twice as long; the others do not wait
    for it.

    Attributes:
        error: Why its last turn failed; None where it did not.
        at: When it wants its next turn, in seconds since the epoch; None: when something changed.
    """

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        # What was written counts once the head says so, which is a moment behind the lines.
        self.watches = {path.with_suffix(".head").name for path in duty.watches}
        self.name = duty.watches[0].stem if duty.watches else type(duty).__name__
        self.at: float | None = 0.0
        self.error: Exception | None = None
        self._pause_s = 0.0
        self._paused_until = -math.inf  # by the clock that nobody sets

    @property
    def paused_s(self) -> float:
        """For how long it gets no turn, whatever happens."""
        return max(self._paused_until - time.monotonic(), 0.0)

    def soon(self) -> None:
        """Have the next turn be as soon as there may be one."""
        self.at = 0.0

    def hear(self, changed: set[str]) -> None:
        """Note which files changed."""
        if not self.watches.isdisjoint(changed):
            self.soon()

    def is_due(self, now: float) -> bool:
        return self.at is not None and now >= self.at and not self.paused_s

    def take(self) -> None:
        """
        Take a turn.

        Raises:
            JournalBusy: It could not, and may at once try again.
        """
        self._try(self._turn)

    def finish(self) -> bool:
        """As `Duty.finish`; False where that fails, or it pauses."""
        return bool(not self.paused_s and self.has_begun() and self._try(self._duty.finish))

    def has_begun(self) -> bool:
        return self._duty.has_begun()

    def _turn(self) -> None:
        self.at = self._duty.turn() if self.has_begun() else None

    def _try(self, what: Callable[[], T]) -> T | None:
        try:
            found = what()
        except JournalBusy:
            raise
        except Exception as error:  # noqa: BLE001  also a fault of ours is no reason to stop the others
            self.error = error
            self.soon()
            self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._paused_until = time.monotonic() + self._pause_s
            return None
        self.error, self._pause_s = None, 0.0
        return found


class Failing(Protocol):
    """Something that may fail and go on."""

    name: str

    @property
    def error(self) -> Exception | None: ...


class Complaints:
    """Tells of each failing duty once, until it fails otherwise or has been well in between."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: dict[str, str] = {}

    def tell(self, turns: Failing) -> None:
        """Say what ails *turns*, where that is news."""
        if turns.error is None:
            self._told.pop(turns.name, None)
            return
        text = told(turns.error)
        if self._told.get(turns.name) != text:
            self._told[turns.name] = text
            self._say(f"{turns.name}: {text}; it is tried again, the others go on")


def told(error: Exception) -> str:
    """*error* in one line."""
    if isinstance(error, DinoError):
        return error.message
    return f"internal error: {type(error).__name__}: {error}"
