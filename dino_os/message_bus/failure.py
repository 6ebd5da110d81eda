"""What a callback raised: whom it concerns, and how it is told."""

from __future__ import annotations

import sys
import threading


def goes_through(error: BaseException) -> bool:
    """Whether it is no failure of the callback under way but, as Ctrl-C is, the whole thread's."""
    # Signals are heard in the main thread alone; elsewhere nobody is there to catch it.
    return threading.current_thread() is threading.main_thread() and not isinstance(
        error, Exception | SystemExit | GeneratorExit | _cancelled()
    )


def error_text(error: BaseException) -> str:
    """Its kind and what it says, on one line that can be written down."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  it is somebody else's code
        text = "(what it says cannot be shown)"
    kind = type(error).__name__
    return writable(" ".join((f"{kind}: {text}" if text else kind).split()))


def writable(text: str) -> str:
    """*text* with each half of a surrogate pair, as file names may hold, spelled out."""
    return text.encode(errors="backslashreplace").decode()


def _cancelled() -> type[BaseException]:
    """What asyncio cancels tasks with, where anybody uses it."""
    found = getattr(sys.modules.get("asyncio"), "CancelledError", None)
    return found if isinstance(found, type) else SystemExit
