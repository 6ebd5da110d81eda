"""
Which document a key's value lies in.

The id is the key itself, but for keys that begin with an underscore, as no id can: those get a
backslash, and so do those that would be taken for one of them.  Design documents have no keys.
"""

from __future__ import annotations

import re

from engines.errors import InvalidInput
from engines.latent_cache.store import DocumentStore

_ESCAPE = "\\"
_needs_escape = re.compile(r"\\*_").match
_is_escaped = re.compile(r"\\+_").match
_ODD = (_ESCAPE, "_")  # how the documents begin whose key is another text, or which have none


def id_of(key: str) -> str:
    """
    The document of that key.

    Raises:
        InvalidInput: It is no key.
    """
    if not isinstance(key, str) or not key:
        raise InvalidInput(f"a key must be text, and not empty, found {key!r}"[:200])
    return _ESCAPE + key if key[0] in _ODD and _needs_escape(key) else key


def key_of(doc_id: str) -> str:
    """The key of that document; of a design document its id."""
    return doc_id[1:] if _is_escaped(doc_id) else doc_id


def keys_of(
    store: DocumentStore, prefix: str, start: str | None, end: str | None, limit: int | None
) -> list[str]:
    """The keys that begin so, in order, from *start* to *end*, both included; *limit* at most."""
    odd = [row["id"] for first in _ODD for row in store.all_docs(prefix=first)]
    most = None if limit is None else limit + len(odd)
    found = [row["id"] for row in store.all_docs(start=start, end=end, prefix=prefix, limit=most)]
    if not odd:
        return found
    more = [
        key
        for key in (key_of(name) for name in odd if name[0] != "_")
        if key.startswith(prefix) and (start or "") <= key and (end is None or key <= end)
    ]
    return sorted({*found}.difference(odd).union(more))[:limit]
