"""What work may raise to say whether trying it again makes sense."""

from __future__ import annotations


class RetryLater(Exception):
    """
    Try again, after so many seconds.

    Args:
        seconds: From now.
        message: Why.
    """

    def __init__(self, seconds: float, message: str = "") -> None:
        super().__init__(message or f"try again in {seconds:g} s")
        self.retry_after_s = float(seconds)


class Fatal(Exception):
    """Trying again cannot mend it."""

    final = True
