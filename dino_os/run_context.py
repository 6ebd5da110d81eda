"""For which run this thread works: what it does is then done by that run, and in its trace."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import NamedTuple

_here = threading.local()


class RunContext(NamedTuple):
    """
    A run under way.

    Attributes:
        traceparent: What it hands on to those whom it calls (W3C Trace Context).
        sent: Whether that is in a trace that its own caller sent.
    """

    run_id: str
    traceparent: str
    sent: bool = False


def current() -> RunContext | None:
    """The run that this thread answers; None where it works for none."""
    found: RunContext | None = getattr(_here, "context", None)
    return found


@contextlib.contextmanager
def within(context: RunContext) -> Iterator[None]:
    """What this thread does here, it does for that run."""
    before = current()
    _here.context = context
    try:
        yield
    finally:
        _here.context = before
