"""Looking into a document store; nothing here changes it."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from engines.latent_cache.batch import LAST_SEQ, select
from engines.latent_cache.errors import Missing
from engines.latent_cache.revision import parse
from engines.latent_cache.stored import Stored
from engines.latent_cache.tree import Leaf, rank
from engines.latent_cache.wire import from_json

_POLL_S = 0.02  # other processes tell us nothing
_SEEN = "(expires IS NULL OR expires > ?)"
_ONE = "SELECT rev, deleted, losers, path, attachments, body, expires FROM docs WHERE id = ?"
# A row of the feed that its document has moved on from is none.
_FEED = (
    "SELECT docs.seq, docs.id, docs.rev, docs.deleted, losers FROM feed CROSS JOIN docs "  # noqa: S608
    "ON docs.id = feed.id AND docs.seq = feed.seq "
    f"WHERE feed.seq > ? AND {_SEEN} ORDER BY feed.seq LIMIT ?"
)
_OF_SOME = f"SELECT seq, id, rev, deleted, losers FROM docs WHERE seq > ? AND {_SEEN} AND id IN "  # noqa: S608
_BODY = "SELECT body, deleted, expires FROM docs WHERE id = ?"
_MANY = "SELECT id, rev, deleted, losers, path, attachments, body, expires FROM docs WHERE id IN "
_TREES = "SELECT id, rev, deleted, losers, path FROM docs WHERE id IN "
_LOSERS = "SELECT id, pos, hash, deleted, path, attachments, body FROM losers WHERE id IN "
_LOST = _LOSERS.replace("WHERE", "WHERE body IS NOT NULL AND")


class Change(NamedTuple):
    """
    A document that was changed.

    Attributes:
        revs: Its leaves, winner first; the winner alone where only that was asked for.
        deleted: Whether its winner is a deletion.
    """

    seq: int
    id: str
    revs: tuple[str, ...]
    deleted: bool


class Reading(Stored):
    """What can be asked of a store."""

    @cached_property
    def uuid(self) -> str:
        """Made with the file: what tells this store from every other."""
        with self.reading() as db:
            return str(db.execute("SELECT uuid FROM counts").fetchone()[0])

    def info(self) -> dict[str, int]:
        """How many documents there are, how many were deleted, and the place of the last change."""
        with self.reading() as db:
            (seq,) = db.execute(LAST_SEQ).fetchone()
            live, dead = db.execute("SELECT live, dead FROM counts").fetchone()
            # Their time is up, and nobody has swept yet.
            query = "SELECT COUNT(*) FROM docs WHERE expires > 0 AND expires <= ? AND NOT deleted"
            (hidden,) = db.execute(query, [self.clock()]).fetchone()
        return {"doc_count": live - hidden, "doc_del_count": dead, "update_seq": seq}

    def get(
        self,
        doc_id: str,
        *,
        rev: str | None = None,
        attachments: bool = False,
        conflicts: bool = False,
        revs: bool = False,
    ) -> dict[str, Any]:
        """
        The document, as its winner or *rev* has it.

        Args:
            attachments: With their bytes, as base64; else as stubs.
            conflicts: With `_conflicts`, the other leaves that are no deletions.
            revs: With `_revisions`, what led to it.

        Raises:
            Missing: There is none; or of a revision that was replaced, its name alone.
        """
        with self.reading() as db:
            leaves = self._leaves(db, doc_id, alone=rev is None and not conflicts)
            if rev is None:
                if not leaves or leaves[0].deleted:
                    raise Missing(doc_id, deleted=bool(leaves))
                leaf = leaves[0]
            else:
                leaf = _find(leaves, doc_id, rev)
            doc = self._shown(db, doc_id, leaf, revs=revs, attachments=attachments)
        others = [one.rev for one in leaves if one is not leaf and not one.deleted]
        if conflicts and others:
            doc["_conflicts"] = others
        return doc

    def members(self, doc_id: str) -> Any:
        """What the document holds, without its id and revision; None where there is none."""
        # Whoever looks one value up does so often, and pays for nothing else.
        with self._guard, self._errors():
            db = self._database.connection or self._open()
            row = db.execute(_BODY, (doc_id,)).fetchone()
        if row is None or row[1] or (row[2] is not None and row[2] <= self.clock()):
            return None
        return orjson.loads(row[0]) if type(row[0]) is bytes else from_json(row[0])

    def leaves(self, doc_id: str) -> list[tuple[str, bool]]:
        """Every leaf and whether it is a deletion, winner first."""
        with self.reading() as db:
            return [(leaf.rev, leaf.deleted) for leaf in self._leaves(db, doc_id)]

    def open_revs(
        self,
        doc_id: str,
        revs: Sequence[str] | None,
        *,
        latest: bool = False,
        attachments: bool = True,
        atts_since: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """
        The document as each of *revs* has it, with `_revisions`.  One not here: `{"missing": rev}`.

        Args:
            revs: None is every leaf.
            latest: Instead of a revision that was replaced, the leaves that it led to.
            atts_since: Revisions that the reader has: attachments that came with them, or before,
                stay stubs.
        """
        with self.reading() as db:
            leaves = self._leaves(db, doc_id)
            found: list[Leaf | str] = []
            for rev in [leaf.rev for leaf in leaves] if revs is None else revs:
                pos, hash_ = parse(rev)
                fits = [leaf for leaf in leaves if (leaf.pos, leaf.hash) == (pos, hash_)]
                if not fits and latest:
                    fits = [leaf for leaf in leaves if leaf.holds(pos, hash_)]
                found += fits or [rev]
            return [
                {"missing": one}
                if isinstance(one, str)
                else self._shown(
                    *(db, doc_id, one),
                    revs=True,
                    attachments=attachments,
                    since=_known_to(one, atts_since),
                )
                for one in dict.fromkeys(found)
            ]

    def read_revisions(self, asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """
        The documents as those revisions have them, with `_revisions`, attachments as stubs.

        One that was replaced meanwhile is left out: what replaced it is in the feed of changes.
        """
        with self.reading() as db:
            rows = {row[0]: row for row in select(db, _MANY, list({one for one, _ in asked}))}
            now = self.clock()
            split = [name for name, row in rows.items() if row[3]]
            lost = _grouped(select(db, _LOST, split)) if split else {}
        found: list[dict[str, Any]] = []
        for name, rev in asked:
            row = rows.get(name)
            if row is None or (row[7] is not None and row[7] <= now):
                continue
            if row[1] == rev:
                pos, _, hash_ = rev.partition("-")
                leaf = Leaf(int(pos), hash_, row[4], row[2], row[5], row[6])
            else:
                others = [one for one in lost.get(name, ()) if one.rev == rev]
                if not others:
                    continue
                leaf = others[0]
            found.append(_document(name, rev, leaf, revs=True))
        return found

    def revs_diff(self, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """
        Which of the revisions *asked* about are not known here, by document.

        `possible_ancestors` are the leaves that one of them could follow on.

        Raises:
            InvalidInput: One is no revision.
        """
        with self.reading() as db:
            rows = {row[0]: row for row in select(db, _TREES, list(asked))}
            split = [name for name, row in rows.items() if row[3]]
            lost = _grouped(select(db, _LOSERS, split)) if split else {}
        found: dict[str, dict[str, list[str]]] = {}
        for name, revs in asked.items():
            row = rows.get(name)
            if row is None:
                leaves: list[Leaf] = []
            elif not row[3] and len(revs) == 1 and revs[0] == row[1]:
                continue
            else:
                leaves = [_bare(row[1], row[4]), *lost.get(name, ())]
            if told := _missing(leaves, revs):
                found[name] = told
        return found

    def changes(
        self,
        since: int = 0,
        *,
        limit: int | None = None,
        doc_ids: Collection[str] | None = None,
        all_leaves: bool = True,
    ) -> list[Change]:
        """
        The documents that were changed behind the place *since*, each once, in order.

        Args:
            limit: So many at most.
            doc_ids: These alone.
        """
        given = [since, self.clock()]
        with self.reading() as db:
            if doc_ids is None:
                rows = db.execute(_FEED, [*given, -1 if limit is None else limit]).fetchall()
            else:
                rows = sorted(_within(db, _OF_SOME, given, doc_ids))[:limit]
            split = [row[1] for row in rows if row[4] and all_leaves]
            lost = _grouped(select(db, _LOST, split)) if split else {}
        return [
            Change(
                seq,
                name,
                (rev, *(leaf.rev for leaf in lost[name])) if name in lost else (rev,),
                bool(deleted),
            )
            for seq, name, rev, deleted, _ in rows
        ]

    def all_docs(
        self,
        *,
        start: str | None = None,
        end: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        descending: bool = False,
        include_docs: bool = False,
    ) -> list[dict[str, Any]]:
        """
        The documents by id, in the order of their bytes, from *start* to *end*, both included.

        With *descending* it begins at the other end: *start* is then the higher one.
        """
        low, high = (end, start) if descending else (start, end)
        conditions = [f"NOT deleted AND {_SEEN}"]
        given: list[Any] = [self.clock()]
        for value, condition in ((low, "id >= ?"), (high, "id <= ?")):
            if value is not None:
                conditions.append(condition)
                given.append(value)
        if prefix:
            conditions.append("id >= ?")
            given.append(prefix)
            if behind := _behind(prefix):
                conditions.append("id < ?")
                given.append(behind)
        columns = "id, rev, deleted, path, attachments, body" if include_docs else "id, rev"
        query = (
            f"SELECT {columns} FROM docs WHERE {' AND '.join(conditions)} "  # noqa: S608
            f"ORDER BY id {'DESC' if descending else ''} LIMIT ?"
        )
        with self.reading() as db:
            rows = db.execute(query, [*given, -1 if limit is None else limit]).fetchall()
        return [_row(*row) for row in rows]

    def attachment(self, digest: str) -> bytes:
        """
        The bytes of an attachment.

        Raises:
            Missing: They are not here.
        """
        with self.reading() as db:
            row = db.execute("SELECT data FROM blobs WHERE digest = ?", [digest]).fetchone()
        if row is None:
            raise Missing(digest)
        return bytes(row[0])

    def has_attachment(self, digest: str) -> bool:
        """Whether a document may name it by its digest alone."""
        with self.reading() as db:
            row = db.execute("SELECT 1 FROM blobs WHERE digest = ?", [digest]).fetchone()
        return row is not None

    def get_local(self, local_id: str) -> dict[str, Any] | None:
        """The local document of that id, which is not replicated; its `_rev` is `0-N`."""
        name = _local_name(local_id)
        with self.reading() as db:
            row = db.execute("SELECT rev, body FROM locals WHERE id = ?", [name]).fetchone()
        if row is None:
            return None
        return {"_id": f"_local/{name}", "_rev": f"0-{row[0]}", **from_json(row[1])}

    def conflicts(self) -> list[str]:
        """The documents with more than one leaf that is no deletion."""
        query = (
            "SELECT DISTINCT id FROM losers JOIN docs USING (id) "  # noqa: S608  constants
            f"WHERE NOT losers.deleted AND losers.body IS NOT NULL AND {_SEEN} ORDER BY id"
        )
        with self.reading() as db:
            return [name for (name,) in db.execute(query, [self.clock()])]

    def add_looks(self, hits: int, misses: int) -> None:
        """Count looks at values; a power cut may lose some, which is the price of their cost."""
        if self._read_only:
            return
        with self.reading() as db:
            db.execute("PRAGMA synchronous=OFF")
            try:
                counted = "UPDATE counts SET hits = hits + ?, misses = misses + ?"
                db.execute(counted, (hits, misses))
            finally:
                db.execute("PRAGMA synchronous=FULL")

    def wait(self, since: int, timeout_s: float) -> bool:
        """Wait until there is a change behind *since*, whoever made it; False where none came."""
        until = time.monotonic() + timeout_s
        while True:
            with self.reading() as db:
                if db.execute(LAST_SEQ).fetchone()[0] > since:
                    return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            with self._changed:
                self._changed.wait(min(left, _POLL_S))

    # --- below the face ----------------------------------------------------------------------

    def _leaves(self, db: sqlite3.Connection, doc_id: str, *, alone: bool = False) -> list[Leaf]:
        """Those of a document that can be seen, winner first; with *alone* only that."""
        row = db.execute(_ONE, [doc_id]).fetchone()
        if row is None or (row[6] is not None and row[6] <= self.clock()):
            return []
        rev, deleted, losers, *rest, _ = row
        pos, _, hash_ = rev.partition("-")
        winner = Leaf(int(pos), hash_, rest[0], bool(deleted), rest[1], rest[2])
        if alone or not losers:
            return [winner]
        return [winner, *_grouped(select(db, _LOST, [doc_id])).get(doc_id, ())]

    def _shown(
        self,
        db: sqlite3.Connection,
        doc_id: str,
        leaf: Leaf,
        *,
        revs: bool,
        attachments: bool,
        since: int = 0,
    ) -> dict[str, Any]:
        """The document, with the bytes of attachments that came behind position *since*."""
        doc = _document(doc_id, leaf.rev, leaf, revs=revs)
        for stub in doc.get("_attachments", {}).values() if attachments else ():
            if stub["revpos"] > since:
                query = "SELECT data FROM blobs WHERE digest = ?"
                (data,) = db.execute(query, [stub["digest"]]).fetchone()
                del stub["stub"], stub["length"]
                stub["data"] = b64encode(data).decode()
        return doc


def _document(doc_id: str, rev: str, leaf: Leaf, *, revs: bool) -> dict[str, Any]:
    doc = {"_id": doc_id, "_rev": rev, **from_json(leaf.body)}
    if leaf.deleted:
        doc["_deleted"] = True
    if revs:
        doc["_revisions"] = {"start": leaf.pos, "ids": leaf.ids}
    if leaf.attachments:
        doc["_attachments"] = orjson.loads(leaf.attachments)
    return doc


def _find(leaves: list[Leaf], doc_id: str, rev: str) -> Leaf:
    found = parse(rev)
    for leaf in leaves:
        if (leaf.pos, leaf.hash) == found:
            return leaf
    raise Missing(doc_id, rev=rev)


def _bare(rev: str, path: Any) -> Leaf:
    pos, _, hash_ = rev.partition("-")
    return Leaf(int(pos), hash_, path, deleted=False, attachments=None, body=None)


def _grouped(rows: Iterator[tuple[Any, ...]]) -> dict[str, list[Leaf]]:
    """Losing leaves by document, best first."""
    found: dict[str, list[Leaf]] = {}
    for name, pos, hash_, deleted, path, attachments, body in rows:
        leaf = Leaf(pos, hash_, path, bool(deleted), attachments, body)
        found.setdefault(name, []).append(leaf)
    for leaves in found.values():
        leaves.sort(key=rank, reverse=True)
    return found


def _missing(leaves: list[Leaf], revs: Sequence[str]) -> dict[str, list[str]]:
    asked = [(rev, *parse(rev)) for rev in dict.fromkeys(revs)]
    missing = [
        (rev, pos) for rev, pos, hash_ in asked if not any(one.holds(pos, hash_) for one in leaves)
    ]
    if not missing:
        return {}
    highest = max(pos for _, pos in missing)
    told = {"missing": [rev for rev, _ in missing]}
    if before := [leaf.rev for leaf in leaves if leaf.pos < highest]:
        told["possible_ancestors"] = before
    return told


def _known_to(leaf: Leaf, revs: Sequence[str]) -> int:
    """The position of the latest of *revs* that led to *leaf*."""
    known = map(parse, revs)
    return max((pos for pos, hash_ in known if leaf.holds(pos, hash_)), default=0)


def _within(
    db: sqlite3.Connection, query: str, given: Sequence[Any], ids: Collection[str]
) -> Iterator[tuple[Any, ...]]:
    wanted = list(dict.fromkeys(ids))
    for at in range(0, len(wanted), 500):
        some = wanted[at : at + 500]
        yield from db.execute(f"{query}({','.join('?' * len(some))})", [*given, *some])


def _row(doc_id: str, rev: str, *rest: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": doc_id, "key": doc_id, "value": {"rev": rev}}
    if rest:
        leaf = _bare(rev, rest[1])._replace(attachments=rest[2], body=rest[3])
        row["doc"] = _document(doc_id, rev, leaf, revs=False)
    return row


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with *prefix*, in the order of their bytes."""
    for at in reversed(range(len(prefix))):
        code = ord(prefix[at]) + 1
        if code <= 0x10FFFF:  # noqa: PLR2004  Unicode's last
            code = 0xE000 if 0xD800 <= code < 0xE000 else code  # noqa: PLR2004  surrogates
            return prefix[:at] + chr(code)
    return None


def _local_name(local_id: str) -> str:
    return local_id.removeprefix("_local/")
