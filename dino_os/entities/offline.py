"""When an entity counts as offline, and when to knock again whether it still is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dino_os.entities.routes import Dial, Prober, Target

if TYPE_CHECKING:
    from dino_os.config import Entities

_SOON_S = 0.2  # while an answer is to come
_ROUNDING_S = 0.001


class Offline:
    """
    The probes for a service's entities, each time further apart.

    How long it was waited is not recorded: a service that starts knocks at once.
    """

    def __init__(self, settings: Entities, clock: Callable[[], float], dial: Dial) -> None:
        self.prober = Prober(settings.probe_timeout_s, dial)
        self._first_s, self._most_s = settings.probe_s, settings.probe_most_s
        self._clock = clock
        self._waits: dict[str, tuple[float, float]] = {}  # until when, and how long

    def judge(self, entity_id: str, targets: list[Target]) -> bool | None:
        """Whether the routes of a run that failed are up; None as long as that is not known."""
        reached = self.prober.ask(entity_id, targets)
        if reached is False:
            self._waits[entity_id] = (self._clock() + self._first_s, self._first_s)
        return reached

    def is_back(self, entity_id: str, targets: list[Target]) -> bool:
        """Whether one that was offline can reach its hosts; asks them where it is time to."""
        until, waited = self._waits.get(entity_id, (0.0, 0.0))
        if not targets:  # its skill declares none any more
            self._waits.pop(entity_id, None)
        left = until - self._clock()
        # More than it was ever put off by: the clock was set back since.
        if not targets or 0 < left <= waited + _ROUNDING_S:
            return False
        reached = self.prober.ask(entity_id, targets)
        if reached is False:
            wait = min(max(2 * waited, self._first_s), self._most_s)
            self._waits[entity_id] = (self._clock() + wait, wait)
        elif reached:
            self._waits.pop(entity_id, None)
        return bool(reached)

    def put_off(self, entity_id: str) -> None:
        """Look after it again, but not soon."""
        self._waits[entity_id] = (self._clock() + self._most_s, self._most_s)

    def next_look(self, entity_ids: list[str]) -> float | None:
        """When there may be news of one of these, or of a run that is being judged."""
        times = [self._waits[one][0] for one in entity_ids if one in self._waits]
        if self.prober.busy:
            times.append(self._clock() + _SOON_S)
        return min(times, default=None)
