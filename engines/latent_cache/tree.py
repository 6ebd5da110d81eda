"""
Revision trees: every leaf with the path that leads to it, and what a further path makes of them.

A node that is no leaf lies on the path to one, so leaves and paths are the whole tree.  A path that
is longer than the limit loses its oldest revisions (CouchDB calls it stemming).  Order of arrival
makes no difference to the leaves, as long as paths are long enough to meet.

Source: CouchDB, src/couch/src/couch_key_tree.erl and couch_doc.erl (`to_doc_info_path`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Path: TypeAlias = "bytes | str | None"
"""The hashes before a leaf's own, newest first, as they are kept: see `pack`."""
Body: TypeAlias = "bytes | str | None"

HASH_SIZE = 16
GONE = -1.0  # expired, and the body has gone


class Leaf(NamedTuple):
    """
    A revision that no other follows on.

    Attributes:
        path: What led to it.
        attachments: Stubs as JSON, by name.
        body: As JSON; None where it has expired and only the tree is kept.
        expires: When it does; None is never, `GONE` is that its body has gone.
    """

    pos: int
    hash: str
    path: Path
    deleted: bool
    attachments: str | None
    body: Body
    expires: float | None = None

    @property
    def gone(self) -> Leaf:
        """What is left of it once it has expired."""
        return self._replace(attachments=None, body=None, expires=GONE)

    def is_hidden(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now

    @property
    def rev(self) -> str:
        return f"{self.pos}-{self.hash}"

    @property
    def ids(self) -> list[str]:
        """Its own hash, and those before it."""
        return [self.hash, *unpack(self.path)]

    def holds(self, pos: int, hash_: str) -> bool:
        """Whether that revision is this one, or led to it."""
        back = self.pos - pos - 1
        if back < 0:
            return back == -1 and hash_ == self.hash
        if isinstance(self.path, bytes):
            return self.path[back * HASH_SIZE : (back + 1) * HASH_SIZE].hex() == hash_
        ids = unpack(self.path)
        return back < len(ids) and ids[back] == hash_


def rank(leaf: Leaf) -> tuple[bool, int, str]:
    """The larger one wins."""
    return not leaf.deleted, leaf.pos, leaf.hash


def ranked(leaves: list[Leaf], now: float) -> list[Leaf]:
    """Winner first; what has expired is behind all that can be seen, deletions included."""
    if len(leaves) == 1:
        return leaves
    return sorted(leaves, key=lambda leaf: (not leaf.is_hidden(now), rank(leaf)), reverse=True)


def pack(ids: Sequence[str]) -> Path:
    """Hashes as they are kept: sixteen bytes for each where all are MD5s, else JSON."""
    if not ids:
        return None
    text = "".join(ids)
    try:
        packed = bytes.fromhex(text)
    except ValueError:
        return json.dumps(ids)
    # What comes back must be what went in: no capitals, no spaces, each of its own length.
    if packed.hex() == text and set(map(len, ids)) == {2 * HASH_SIZE}:
        return packed
    return json.dumps(ids)


def packed(hash_: str) -> bytes:
    """The sixteen bytes of an MD5; none of what is no such hash."""
    try:
        raw = bytes.fromhex(hash_)
    except ValueError:
        return b""
    # What comes back must be what went in: no capitals, no spaces.
    return raw if len(raw) == HASH_SIZE and raw.hex() == hash_ else b""


def unpack(path: Path) -> list[str]:
    if path is None:
        return []
    if isinstance(path, bytes):
        text = path.hex()
        return [text[at : at + 2 * HASH_SIZE] for at in range(0, len(text), 2 * HASH_SIZE)]
    found: list[str] = json.loads(path)
    return found


def depth(path: Path) -> int:
    """How many hashes it has."""
    return len(path) // HASH_SIZE if isinstance(path, bytes) else len(unpack(path))


def follow(hash_: str, path: Path, limit: int) -> Path:
    """The path of what is made of a leaf of that hash and path."""
    if path is None or isinstance(path, bytes):
        own = packed(hash_)
        if own:
            return (own + (path or b""))[: (limit - 1) * HASH_SIZE] or None
    return pack([hash_, *unpack(path)][: limit - 1])


def merge(leaves: list[Leaf], new: Leaf, limit: int) -> list[Leaf] | None:
    """The leaves, winner first, once *new* is among them; None where nothing changes."""
    if len(leaves) == 1 and _goes_on(leaves[0], new):
        return [new]
    if any(leaf.holds(new.pos, new.hash) for leaf in leaves):
        return None
    kept = [leaf for leaf in leaves if not new.holds(leaf.pos, leaf.hash)]
    for leaf in leaves:  # what one path knows of the time before both do
        new = _lengthened(new, leaf, limit)
    return sorted([new, *(_lengthened(leaf, new, limit) for leaf in kept)], key=rank, reverse=True)


def _goes_on(old: Leaf, new: Leaf) -> bool:
    """Whether *new* follows on *old*, and knows as much of what was before."""
    return new.holds(old.pos, old.hash) and (
        new.pos > old.pos and new.pos - depth(new.path) <= old.pos - depth(old.path)
    )


def _lengthened(leaf: Leaf, other: Leaf, limit: int) -> Leaf:
    """*leaf*, with what *other* knows of the time before."""
    back = depth(leaf.path)
    first = leaf.pos - back
    full = back >= limit - 1
    if full or other.pos - depth(other.path) >= first or not other.holds(first, _oldest(leaf)):
        return leaf
    known = other.ids[other.pos - first + 1 :]
    return leaf._replace(path=pack([*unpack(leaf.path), *known][: limit - 1]))


def _oldest(leaf: Leaf) -> str:
    """The hash of the first revision that its path knows."""
    if isinstance(leaf.path, bytes):
        return leaf.path[-HASH_SIZE:].hex()
    return leaf.ids[-1]
