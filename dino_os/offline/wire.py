"""
The words of the CouchDB protocol: a call as it came, an answer as it goes, errors in their form.

Knows of no web framework and of no documents; what the calls do is in `databases.py`,
`documents.py` and `feeds.py`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NoReturn

from dino_os.errors import DinoError, InvalidInput, NotFound
from engines.latent_cache import Conflict, MissingStub, TooLarge

_JSON_KIND = "application/json"
_words = {"true": True, "false": False}
_is_large = re.compile(r"[eE]\+?\d{3}|\d{300}").search
_is_number = re.compile(r"\d{1,18}").fullmatch
_NAMES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.PRECONDITION_FAILED: "file_exists",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "bad_content_type",
    HTTPStatus.MISDIRECTED_REQUEST: "misdirected",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_server_error",
}


class Refused(Exception):
    """A call that is answered with an error: its status, its name and the reason."""

    def __init__(self, status: HTTPStatus, reason: str, name: str | None = None) -> None:
        self.status, self.name, self.reason = status, name or _NAMES[status], reason
        super().__init__(reason)

    @property
    def document(self) -> dict[str, str]:
        return {"error": self.name, "reason": self.reason}


def refuse(reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> NoReturn:
    raise Refused(status, reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What goes back: a JSON document, or *content* of some *kind* where it is an attachment.

    Attributes:
        blocks: The document piece by piece, where it is more than should be held at once.
    """

    document: Any = None
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    kind: str = _JSON_KIND
    blocks: Iterator[bytes] | None = None

    @property
    def body(self) -> bytes:
        return as_json(self.document) if self.content is None else self.content


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request.

    Attributes:
        segments: The path, each segment decoded by itself: an id may hold a slash.
        query: The last value of each parameter, as text.
        headers: Names in small letters.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A parameter that is true or false."""
        text = self.query.get(name)
        if text is None:
            return default
        if text not in _words:
            refuse(f"Invalid boolean parameter: {name}={text!r}")
        return _words[text]

    def number(self, name: str) -> int | None:
        text = self.query.get(name)
        if text is not None and not _is_number(text):
            refuse(f"Invalid value for integer: {name}={text!r}")
        return None if text is None else int(text)

    def value(self, *names: str) -> Any:
        """A parameter that is JSON, under the first of *names* that is there; else None."""
        for name in names:
            if name in self.query:
                return read_json(self.query[name].encode(), f"parameter {name}")
        return None

    def texts(self, name: str) -> list[str] | None:
        """A parameter that is a JSON list of texts."""
        found = self.value(name)
        return None if found is None else texts(found, f"`{name}`")

    def json(self) -> dict[str, Any]:
        """The body, which has to be a JSON object."""
        kind = self.headers.get("content-type", _JSON_KIND).partition(";")[0].strip().lower()
        if kind != _JSON_KIND:
            refuse("Content-Type must be application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        found = read_json(self.body, "request body")
        if not isinstance(found, dict):
            refuse("Request body must be a JSON object")
        return found


def texts(value: Any, what: str) -> list[str]:
    """
    *value* as a list of texts.

    Raises:
        Refused: It is none.
    """
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        refuse(f"{what} must be a JSON array of strings")
    return value


def objects(value: Any, what: str) -> list[dict[str, Any]]:
    """As `texts`, of objects."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        refuse(f"{what} must be a JSON array of objects")
    return value


def read_json(data: bytes, what: str) -> Any:
    """
    Strict JSON: UTF-8, no NaN, nothing that could not be written again.

    Raises:
        Refused: It is none.
    """
    try:
        text = data.decode()
        # A float of its own for each number costs; only what could be too large gets one.
        floats = _finite if _is_large(text) else None
        found = json.loads(text, parse_constant=_no_constant, parse_float=floats)
        if "\\u" in text:  # half of a pair is no text
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        refuse(f"invalid UTF-8 JSON in {what}")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def as_json(document: Any) -> bytes:
    import orjson  # noqa: PLC0415

    try:
        return orjson.dumps(document)
    except TypeError:  # a number of more than 64 bits
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def refusal_of(error: DinoError) -> Refused:
    """How what the store says no to is said on the wire."""
    if isinstance(error, Conflict):
        return Refused(HTTPStatus.CONFLICT, "Document update conflict.")
    if isinstance(error, NotFound):
        gone = getattr(error, "deleted", False)
        return Refused(HTTPStatus.NOT_FOUND, "deleted" if gone else "missing")
    if isinstance(error, MissingStub):
        return Refused(HTTPStatus.PRECONDITION_FAILED, error.message, "missing_stub")
    return Refused(_status_of(error), error.message)


def _status_of(error: DinoError) -> HTTPStatus:
    if isinstance(error, TooLarge):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if isinstance(error, InvalidInput):
        return HTTPStatus.BAD_REQUEST
    busy = error.exit_code == _BUSY
    return HTTPStatus.SERVICE_UNAVAILABLE if busy else HTTPStatus.INTERNAL_SERVER_ERROR


_BUSY = 4


@contextmanager
def told() -> Iterator[None]:
    """Errors of the store leave as `Refused`."""
    try:
        yield
    except DinoError as error:
        raise refusal_of(error) from None
