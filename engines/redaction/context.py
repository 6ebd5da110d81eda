"""The words beside a value, which say what it is where its form does not."""

from __future__ import annotations

import re

from engines.redaction.views import Text

_REACH = 48  # characters before a value


def words(*stems: str) -> re.Pattern[str]:
    """Any of *stems* at the beginning of a word, in small letters."""
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(stems)})")


def word_set(text: str) -> frozenset[str]:
    """The words of *text*."""
    return frozenset(text.split())


def stands_before(context: re.Pattern[str], scanned: Text, at: int, reach: int = _REACH) -> bool:
    """Whether *context* stands within *reach* characters before *at*, on the same line."""
    from_ = max(0, at - reach)
    line = scanned.low.rfind("\n", from_, at) + 1
    return context.search(scanned.low, max(from_, line), at) is not None
