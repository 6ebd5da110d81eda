"""What a replication asks of a document store; nothing here changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engines.latent_cache.batch import select
from engines.latent_cache.reading import Reading
from engines.latent_cache.revision import parse
from engines.latent_cache.rows import LOSERS, LOST, SEEN, bare, document, grouped
from engines.latent_cache.tree import Leaf

# A row of the feed that its document has moved on from is none.
_FEED = (
    "SELECT docs.seq, docs.id, docs.rev, docs.deleted, losers FROM feed CROSS JOIN docs "  # noqa: S608
    "ON docs.id = feed.id AND docs.seq = feed.seq "
    f"WHERE feed.seq > ? AND {SEEN} ORDER BY feed.seq LIMIT ?"
)
_OF_SOME = f"SELECT seq, id, rev, deleted, losers FROM docs WHERE seq > ? AND {SEEN} AND id IN "  # noqa: S608
_MANY = "SELECT id, rev, deleted, losers, path, attachments, body, expires FROM docs WHERE id IN "
_TREES = "SELECT id, rev, deleted, losers, path FROM docs WHERE id IN "


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


class Answering(Reading):
    """What the protocol asks for, many at a time."""

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
            leaves = self.seen_leaves(db, doc_id)
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
                else self.shown(
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
            lost = grouped(select(db, LOST, split)) if split else {}
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
            found.append(document(name, rev, leaf, revs=True))
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
            lost = grouped(select(db, LOSERS, split)) if split else {}
        found: dict[str, dict[str, list[str]]] = {}
        for name, revs in asked.items():
            row = rows.get(name)
            if row is None:
                leaves: list[Leaf] = []
            elif not row[3] and len(revs) == 1 and revs[0] == row[1]:
                continue
            else:
                leaves = [bare(row[1], row[4]), *lost.get(name, ())]
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
            lost = grouped(select(db, LOST, split)) if split else {}
        return [
            Change(
                seq,
                name,
                (rev, *(leaf.rev for leaf in lost[name])) if name in lost else (rev,),
                bool(deleted),
            )
            for seq, name, rev, deleted, _ in rows
        ]


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
