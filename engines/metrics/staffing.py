"""
When nobody worked: the sessions that joined, and the last span of time without any.

A session that is found lost was so since its last sign of life, not since it was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Staffing:
    """
    Who works.

    Attributes:
        sessions: Name → when it joined, when it last gave a sign of life.
        since: Since when there has been somebody all the time; None: there is nobody.
        idle_since: When the last span without anybody began.
    """

    sessions: dict[str, list[float]] = field(default_factory=dict)
    since: float | None = None
    idle_since: float = 0.0

    def joined(self, name: str, at: float) -> None:
        if not self.sessions:
            self.since = at
        self.sessions[name] = [at, at]

    def sign_of_life(self, name: str, at: float) -> None:
        if found := self.sessions.get(name):
            found[1] = at

    def left(self, name: str, at: float) -> None:
        if self.sessions.pop(name, None):
            self._nobody_from(at)

    def lost(self, name: str) -> None:
        if found := self.sessions.pop(name, None):
            self._nobody_from(found[1])

    def waited(self, ready_at: float) -> float | None:
        """How long what could start at *ready_at* had nobody to start it; None where it had."""
        if self.since is None or ready_at >= self.since:
            return None
        return self.since - max(ready_at, self.idle_since)

    def _nobody_from(self, at: float) -> None:
        """One is gone since *at*: whoever else there is came earlier, or later."""
        joined = [begin for begin, _ in self.sessions.values()]
        if not joined:
            self.since, self.idle_since = None, at
        elif min(joined) > at:
            self.since, self.idle_since = min(joined), at
