"""
What every text is asked first: whether it can hold anything at all.

Most texts of a machine cannot, and are done with after this one pattern.  What it lets pass is more
than what is found; what it stops, no detector of ours would find: a test holds them together.
"""

from __future__ import annotations

import re

from engines.redaction.people import HONORIFIC

_cue = re.compile(
    r"[@=:%\\°>]"
    r"|\d[ ()./\-]{0,2}\d[ ()./\-]{0,2}\d[ ()./\-]{0,2}\d[ ()./\-]{0,2}\d"
    r"|(?:19|20)\d\d|\d/\d|-\d|\.\d"
    r"|[A-Za-z0-9_+/\-]{10}"
    r"|&#|--|-u|-p\S"
    r"| (?:is|was|est|ist|es|é|è|lautet|are|será|to) "
    rf"|(?:{HONORIFIC})\.?[ \u00a0]"
)


# Digests and the like, but for those that spell a text or are nothing but digits.
_digest = re.compile(
    r"(?!(?:[2-7][0-9a-f]|0[9ad]){8})(?:(?=[0-9]{0,18}[a-f])[0-9a-f]{16,41}|[0-9a-f]{43,128})"
)


def may_hold(text: str) -> bool:
    """False where no detector of ours would find anything in *text*."""
    return _cue.search(text) is not None and not _is_digest(text)


def _is_digest(text: str) -> bool:
    return _digest.fullmatch(text) is not None
