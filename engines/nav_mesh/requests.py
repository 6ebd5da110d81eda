"""Which requests can be sent, under which key, and how sending one fails."""

from __future__ import annotations

import re
from dataclasses import replace

from engines.checks import finite
from engines.errors import DinoError, InvalidInput
from engines.nav_mesh.issuing import GateDenied
from engines.nav_mesh.model import Request, Response, Unreached
from engines.nav_mesh.scope import check_cell

KEY_HEADER = "Idempotency-Key"
_LONGEST_KEY = 255
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_odd = re.compile(r"[^!-~]|[\\#]")
# What a path may not have: what some server reads as another path, and the gate does not, be it
# after decoding twice (%252e) or in more bytes than it takes (%c0%ae).
_slash, _dot = r"(?:/|%(?:25)*(?:2f|5c))", r"(?:\.|%(?:25)*2e)"
_dots = re.compile(rf"{_slash}{_dot}{{1,2}}(?:{_slash}|;|%(?:25)*3b|$)", re.IGNORECASE)
_overlong = re.compile(r"%(?:25)*(?:c[01]|e0%(?:25)*[89]|f0%(?:25)*8)", re.IGNORECASE)


class GateBusy(GateDenied):
    """Too many requests came; the same one is let through later."""

    exit_code = 4


class Doubtful(Unreached):
    """It may have arrived, and doing it twice could do harm: it was neither repeated nor queued."""


class NoRoute(Unreached):
    """
    No route reached the service.

    Attributes:
        answer: What the last gateway said instead, where one did.
    """

    def __init__(self, message: str, *, heard: bool, answer: Response | None = None) -> None:
        self.answer = answer
        super().__init__(message, heard=heard)


class AnswerTooLarge(DinoError):
    """
    The service has answered, and more than is taken.

    Attributes:
        answer: Without its body.
    """

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        super().__init__(f"{answer.lacks}; it was answered with {answer.status}")


def whole(answer: Response) -> Response:
    """
    *answer*, with its body.

    Raises:
        AnswerTooLarge: The body is not there.
    """
    if answer.lacks:
        raise AnswerTooLarge(answer)
    return answer


def named_key(request: Request) -> str | None:
    """The idempotency key that *request* came with, as its own or among its headers."""
    if request.idempotency_key:
        return request.idempotency_key
    wanted = KEY_HEADER.lower()
    found = [value for name, value in request.headers.items() if name.lower() == wanted]
    return found[0] if found and found[0] else None


def with_key(request: Request, key: str) -> Request:
    """*request* under that key."""
    return replace(request, idempotency_key=key)


def check_request(request: Request) -> None:
    """
    Stop at what could be read as another request than the gate sees.

    Raises:
        InvalidInput: Its method, path, key, headers, cell or time is none that is sent.
    """
    if not _METHOD.fullmatch(request.method) or request.method != request.method.upper():
        raise InvalidInput(f"not a method: {request.method!r}", hint="for example GET or POST")
    if request.method == "CONNECT":
        raise InvalidInput("CONNECT is no request that is sent")
    check_cell(request.cell)
    key = named_key(request)
    if key and not (key.isascii() and key.isprintable() and len(key) <= _LONGEST_KEY):
        raise InvalidInput(
            f"not an idempotency key: {key!r:.80}", hint="printable ASCII, at most 255"
        )
    for name, value in request.headers.items():
        if not _HEADER.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise InvalidInput(  # without its value, which may be a secret
                f"not a header: {name!r:.80}",
                hint="a name of letters, digits and -, and a value of printable ASCII",
            )
    if request.timeout_s is not None and finite(request.timeout_s, "timeout_s") <= 0:
        raise InvalidInput(f"timeout_s must be above 0, found {request.timeout_s!r}")
    path = request.path.partition("?")[0]
    ambiguous = _dots.search(path) or _overlong.search(path)
    if not path.startswith("/") or _odd.search(request.path) or ambiguous:
        shown = path.partition("#")[0]  # what follows may hold a secret, and this is recorded
        raise InvalidInput(
            f"not a path: {shown!r:.200}",
            hint="it begins with '/', has no '.' or '..' between slashes, and is percent-encoded",
        )
