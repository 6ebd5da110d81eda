"""Ctrl-C while an event loop runs: it ends what is done at this moment, not only what awaits."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """
    Let Ctrl-C raise KeyboardInterrupt in what runs here without awaiting.

    An event loop has a handler of its own, which only cancels its task at the next await: too late
    for a skill, or a question on a terminal.
    """
    try:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
    except ValueError:  # not in the main thread, where no Ctrl-C arrives
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
