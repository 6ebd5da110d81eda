"""`tap`: what skills and programs say of their own; see docs/provenance.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dino_os.face import Face


class Tap(Face):
    """
    Says that something happened.

        from dino_os import tap

        tap("tide_read", {"station": 7, "level_m": 2.41})

    What is said is redacted and gathered, and durable at the end of a skill's run, or behind
    `tap.flush()`; a program that ends well flushes by itself.
    """

    _part = "tap"

    def __call__(
        self,
        event_type: str,
        data: Mapping[str, Any] | None = None,
        *,
        outcome: str | None = None,
        duration_s: float | None = None,
        inputs: tuple[str, ...] = (),
        outputs: tuple[str, ...] = (),
    ) -> None:
        """
        Note an event.

        Args:
            data: Whatever there is to say of it; JSON.
            outcome: ok, error, timeout, denied, …
            inputs, outputs: Hashes of what went in and came out: SHA-256 in hex, or
                ALGORITHM:HEX.

        Raises:
            InvalidInput: The type is no name, the data no JSON object, or a hash none.
            Denied: The skill has no permission `provenance_tap`.
        """
        self._call(
            "tap",
            event_type=event_type,
            data=dict(data or {}),
            outcome=outcome,
            duration_s=duration_s,
            inputs=list(inputs),
            outputs=list(outputs),
        )

    def flush(self) -> int:
        """Make durable what was noted; how many events."""
        return int(self._call("flush"))


tap = Tap()
