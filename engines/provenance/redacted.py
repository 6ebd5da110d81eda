"""
The one way into `provenance_log`: what was not redacted cannot be appended.

`Redacted` is made only here, and only by a redactor; the engine appends nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

# What we named ourselves, by a random number or a digest, holds nothing but that: to look into each
# took most of the time.  What others may name (memory:, order:, file:, …) is never taken for such.
_own_id = re.compile(
    r"run:([0-9a-f]{32})()|data:([0-9a-f]{64})()|result:([0-9a-f]{32})@([0-9a-f]{16})"
).fullmatch
_own_digest = re.compile(r"([0-9a-f]{32}|[0-9a-f]{64})").fullmatch
_OF_DIGESTS = frozenset({"run", "parent", "inputs", "outputs"})
_OBJECTS = frozenset({"data"})
_Form = Callable[[str], re.Match[str] | None]


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
            else _cleaned(value, redactor, _own_digest if name in _OF_DIGESTS else _own_id)
            for name, value in payload.items()
        }

    @property
    def payload(self) -> Mapping[str, Any]:
        return self._payload


def _cleaned(value: Any, redactor: Redactor, form: _Form) -> Any:
    """A value of a form of ours; *form* is that of a text in it that we made."""
    if isinstance(value, str):
        found = form(value)
        return value if found and not _tells(found.groups("")) else redactor.redact(value)
    if isinstance(value, list):
        return [_cleaned(one, redactor, form) for one in value]
    return redactor.redact_json(value) if isinstance(value, dict) else value


def _tells(digits: Iterable[str]) -> bool:
    """Whether some of these are a number, or the letters of a text; of chance they hardly are."""
    return any(one.isdigit() or _printable(one) for one in digits)


def _printable(digits: str) -> bool:
    raw = bytes.fromhex(digits)
    return bool(raw) and raw.isascii() and raw.decode().isprintable()
