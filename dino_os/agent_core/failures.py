"""
What went wrong with an attempt, in one word and in words that hold nothing of the other side's.

A provider's own message may quote the key or the prompt: only its status and its code, as far as
that is a plain word, are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic_ai import exceptions

from dino_os.agent_core.providers import Provider
from dino_os.agent_core.transport import Elsewhere, Unusable
from dino_os.errors import DinoError
from dino_os.tool_sandbox.egress.lookup import NoAddress

E = TypeVar("E", bound=BaseException)

_code = re.compile(r"[a-z][a-z_]{1,48}").fullmatch
_QUIET = frozenset({"refused", "timeout", "unreachable", "overloaded", "server_error"})
_AGAIN = frozenset({"overloaded", "rate_limited", "server_error", "malformed", "cut_off"})
LOUD = frozenset({"auth", "quota", "no_model", "no_key", "no_price"})
_UNREADABLE = "what it answered is no answer of a model"
_TOO_LONG_FOR_LLAMA_CPP = "exceed_context_size_error"  # the library does not know it
_MULTIPLE_CHOICES, _BAD_REQUEST = 300, 400


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why an attempt came to nothing.

    Attributes:
        kind: One word.
        why: In words.
        after_s: After how long the server wants to be asked again, where it said so.
        final: Whether no other server is to be asked: it would be told the same.
    """

    kind: str
    why: str
    after_s: float | None = None
    final: bool = False

    @property
    def makes_ill(self) -> bool:
        return self.kind in _QUIET or (self.kind == "rate_limited" and self.after_s is not None)

    @property
    def may_pass(self) -> bool:
        """Whether the same request may do a moment later."""
        return self.kind in _AGAIN

    @property
    def is_loud(self) -> bool:
        """Whether somebody has to do something about it, even if another server answered."""
        return self.kind in LOUD


def failure_of(error: BaseException, provider: Provider) -> Failure | None:
    """What *error* means; None where it is no matter of the server's (cancelled, ours)."""
    if elsewhere := cause_of(error, Elsewhere):
        return Failure("elsewhere", elsewhere.message)
    if not isinstance(error, Exception) or cause_of(error, DinoError):
        return None
    if isinstance(error, exceptions.ModelConnectionError):
        return _unconnected(error, provider)
    if isinstance(error, TimeoutError):
        return Failure("timeout", f"no answer within {provider.timeout_s:g} s")
    if isinstance(error, exceptions.ModelAPIError):
        return _answered(error)
    return Failure("malformed", _UNREADABLE)


def _unconnected(error: exceptions.ModelConnectionError, provider: Provider) -> Failure:
    if unusable := cause_of(error, Unusable):
        return Failure("malformed", str(unusable))
    causes = list(_causes(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Failure("refused", "nobody listens there")
    if any(isinstance(cause, TimeoutError | exceptions.ModelTimeoutError) for cause in causes):
        if error.phase == "connect":
            return Failure("timeout", f"no connection within {provider.connect_s:g} s")
        return Failure("timeout", f"no answer within {provider.timeout_s:g} s")
    lost = next((cause for cause in causes if isinstance(cause, NoAddress)), None)
    if lost or error.phase == "connect":
        return Failure("unreachable", str(lost) if lost else "it cannot be reached")
    return Failure("cut_off", "the connection ended before the answer did")


# The first that fits says what it is.
_ANSWERED: tuple[tuple[type[exceptions.ModelAPIError], str, str], ...] = (
    (exceptions.ModelRateLimitError, "rate_limited", "too many requests"),
    (exceptions.ModelQuotaExceededError, "quota", "nothing is left to spend there"),
    (exceptions.ModelUnavailableError, "overloaded", "it is overloaded or away"),
    (exceptions.ModelServerError, "server_error", "its own fault"),
    (exceptions.ModelContextWindowExceededError, "context", "the prompt is longer than it reads"),
    (exceptions.ModelAuthenticationError, "auth", "it refused the key"),
    (exceptions.ModelNotFoundError, "no_model", "it has no such model"),
)


def _answered(error: exceptions.ModelAPIError) -> Failure:
    status = next((c.status_code for c in _causes(error) if hasattr(c, "status_code")), None)
    word = error.provider_error_code or error.provider_error_type or ""
    said = f"{status or 'an error'}" + (f" {word}" if _code(word) else "")
    for category, kind, why in _ANSWERED:
        if isinstance(error, category):
            return Failure(kind, f"{why} ({said})", error.retry_after)
    if error.provider_error_type == _TOO_LONG_FOR_LLAMA_CPP:
        return Failure("context", f"the prompt is longer than it reads ({said})")
    if status is None:
        return Failure("malformed", _UNREADABLE)
    if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
        return Failure("redirect", f"it sends elsewhere, where nobody follows ({said})")
    return Failure("bad_request", f"it refused the request ({said})", final=True)


def cause_of(error: BaseException, kind: type[E]) -> E | None:
    """The first of *kind* among *error* and all that led to it."""
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """*error* and all that led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__]
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions
