"""
The one way into `provenance_log`: what was not redacted cannot be appended.

`Redacted` is made only here, and only by a redactor; the engine appends nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Redactor(Protocol):
    """What takes secrets and personal data out of a JSON value; see `engines.redaction`."""

    def redact_json(self, value: Any, *, destination: str = "journal") -> Any:
        """*value* with marks in their places; twice is as once."""

    def redact_dict(self, data: dict[str, Any]) -> dict[str, Any]:
        """As `redact_json`, of an object."""


class Redacted:
    """The payload of an event, redacted."""

    __slots__ = ("_payload",)

    def __init__(self, payload: Mapping[str, Any], redactor: Redactor) -> None:
        self._payload: dict[str, Any] = redactor.redact_json(dict(payload), destination="journal")

    @property
    def payload(self) -> dict[str, Any]:
        return self._payload
