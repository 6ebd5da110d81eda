"""W3C Trace Context: which trace a caller's work belongs to (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

_FIELD = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NOWHERE = re.compile(r"0+")


class TraceContext(NamedTuple):
    """The trace, and the span in it that led here; both in lower-case hexadecimals."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def trace_context(text: str | None) -> TraceContext | None:
    """
    What a `traceparent` says; None where it is none, as the standard has it ignored then.

    Of a later version what is known of this one is read.
    """
    found = _FIELD.fullmatch((text or "").strip())
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    if _NOWHERE.fullmatch(trace) or _NOWHERE.fullmatch(span):
        return None
    return TraceContext(trace, span, bool(int(flags, 16) & 1))


def span_of(run: str) -> str:
    """The span of a run: the same wherever it is told of."""
    return sha256(b"span " + run.encode()).hexdigest()[:16]


def trace_of(run: str) -> str:
    """The trace that begins with a run for which nobody sent any."""
    return sha256(b"trace " + run.encode()).hexdigest()[:32]


def context_in(run: str, traceparent: str | None) -> TraceContext:
    """What a run hands on to those whom it calls."""
    sent = trace_context(traceparent)
    return TraceContext(sent.trace_id if sent else trace_of(run), span_of(run))
