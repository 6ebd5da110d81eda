"""
What a peer is shown to let us in.  None of it appears in a text: not in `repr`, ids or errors.

Credentials are handed in as a function that is called when they are first needed and again when the
peer no longer takes them, so that a key that is rotated in a vault is rotated here.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Basic:
    """User and password with every request."""

    user: str
    password: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {self._pair}"}

    def secrets(self) -> tuple[str, ...]:
        return (self._pair, self.password)

    @property
    def _pair(self) -> str:
        return b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token with every request."""

    token: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def secrets(self) -> tuple[str, ...]:
        return (self.token,)


@dataclass(frozen=True, slots=True)
class Session:
    """User and password once, to the server's `_session`; from then on its cookie."""

    user: str
    password: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {}

    def secrets(self) -> tuple[str, ...]:
        return (self.password,)


Shown = Basic | Bearer | Session
Credentials = Callable[[], Shown | None]
