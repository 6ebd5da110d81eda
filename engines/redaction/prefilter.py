"""
What every text is asked first: whether it can hold anything at all.

Most texts of a machine cannot, and are done with after this one pattern.
"""

from __future__ import annotations

import re

_cue = re.compile(
    r"[@=:%\\]"
    r"|\d[ ()./\-]{0,3}\d[ ()./\-]{0,3}\d[ ()./\-]{0,3}\d[ ()./\-]{0,3}\d"
    r"|[A-Za-z0-9_+/\-]{10}"
    r"|&#|--"
)


def may_hold(text: str) -> bool:
    """False where no detector of ours would find anything in *text*."""
    return _cue.search(text) is not None
