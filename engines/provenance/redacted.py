"""
The one way into `provenance_log`: what was not redacted cannot be appended.

`Redacted` is made only here, and only by a redactor; the engine appends nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

# Digests and ids of runs hold nothing but themselves; to look into each took most of the time.
_is_digest = re.compile(r"(?:[a-z_]{1,20}:)?[0-9a-f]{16,64}(?:@[0-9a-f]{8,64})?").fullmatch
_OBJECTS = frozenset({"data"})


class Redactor(Protocol):
    """What takes secrets and personal data out; see `engines.redaction`."""

    def redact(self, text: str) -> str:
        """*text* with marks in their places; twice is as once."""

    def redact_json(self, value: Any) -> Any:
        """As `redact`, of a JSON value; its names say what a text may be."""

    def redact_dict(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """As `redact_json`, of an object."""


class Redacted:
    """
    The payload of an event, redacted.

    Args:
        payload: Texts and lists of them by name, statements of PROV, and objects, whose names are
            looked at too.
    """

    __slots__ = ("_payload",)

    def __init__(self, payload: Mapping[str, Any], redactor: Redactor) -> None:
        self._payload = {
            name: value
            if type(value) is float  # a time
            else redactor.redact_json(value)
            if name in _OBJECTS
            else _cleaned(value, redactor)
            for name, value in payload.items()
        }

    @property
    def payload(self) -> Mapping[str, Any]:
        return self._payload


def _cleaned(value: Any, redactor: Redactor) -> Any:
    """A value of a form of ours."""
    if isinstance(value, str):
        return value if _is_digest(value) else redactor.redact(value)
    if isinstance(value, list):
        return [_cleaned(one, redactor) for one in value]
    return redactor.redact_json(value) if isinstance(value, dict) else value
