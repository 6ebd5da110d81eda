"""How documents lie in their tables, as whoever looks into them needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from engines.latent_cache.tree import Leaf, rank
from engines.latent_cache.wire import from_json

SEEN = "(expires IS NULL OR expires > ?)"
LOSERS = "SELECT id, pos, hash, deleted, path, attachments, body FROM losers WHERE id IN "
LOST = LOSERS.replace("WHERE", "WHERE body IS NOT NULL AND")
"""Losing leaves that can be handed out: those whose body has gone cannot."""


def document(doc_id: str, rev: str, leaf: Leaf, *, revs: bool) -> dict[str, Any]:
    """*leaf* in the wire's form."""
    doc = {"_id": doc_id, "_rev": rev, **from_json(leaf.body)}
    if leaf.deleted:
        doc["_deleted"] = True
    if revs:
        doc["_revisions"] = {"start": leaf.pos, "ids": leaf.ids}
    if leaf.attachments:
        doc["_attachments"] = orjson.loads(leaf.attachments)
    return doc


def bare(rev: str, path: Any) -> Leaf:
    """A leaf of which the tree alone is known."""
    pos, _, hash_ = rev.partition("-")
    return Leaf(int(pos), hash_, path, deleted=False, attachments=None, body=None)


def grouped(rows: Iterator[tuple[Any, ...]]) -> dict[str, list[Leaf]]:
    """Losing leaves by document, best first."""
    found: dict[str, list[Leaf]] = {}
    for name, pos, hash_, deleted, path, attachments, body in rows:
        leaf = Leaf(pos, hash_, path, bool(deleted), attachments, body)
        found.setdefault(name, []).append(leaf)
    for leaves in found.values():
        leaves.sort(key=rank, reverse=True)
    return found
