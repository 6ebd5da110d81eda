"""What a service does besides running tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path


class Duty(ABC):
    """
    Something that falls due now and then.

    Attributes:
        watches: Journals whose change means that it wants a turn.  The first is its own: as long as
            there is no such file it has nothing to do.
    """

    watches: Sequence[Path] = ()

    def has_begun(self) -> bool:
        """Whether there may be something to do."""
        return not self.watches or self.watches[0].exists()

    @abstractmethod
    def turn(self) -> float | None:
        """
        Do what is due, without waiting for anything: what takes time is a task.

        Returns:
            When it wants its next turn, in seconds since the epoch; None: when something changed.
        """

    def finish(self) -> bool:
        """
        Come to conclusions, for a service that is about to leave; this may wait for a moment.

        Returns:
            Whether something came of it that could be done now.
        """
        return False
