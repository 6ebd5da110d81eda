"""
The feed of changes: as it is (`normal`), or going on as long as somebody reads (`longpoll`,
`continuous`).

A live feed costs no thread: one thread for all of them waits for the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dino_os.errors import DinoError
from dino_os.offline.wire import Answer, Call, as_json, refuse, texts, told
from engines.latent_cache import Missing

if TYPE_CHECKING:
    from engines.latent_cache import Change, DocumentStore

_LONGEST_S = 60.0
_LOOK_S = 0.5
_OF_A_BLOCK = 1000
_LIVE = frozenset({"longpoll", "continuous"})
_FILTERS = ("_doc_ids", "_selector")
Fits = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What a call for changes wants.

    Attributes:
        heartbeat_s: After how much silence an empty line is sent; None: never.
        timeout_s: After how much silence the feed ends.
    """

    since: int
    limit: int | None
    doc_ids: list[str] | None
    fits: Fits | None
    all_leaves: bool
    descending: bool
    include_docs: bool
    conflicts: bool
    attachments: bool
    heartbeat_s: float | None
    timeout_s: float

    @classmethod
    def of(cls, store: DocumentStore, call: Call) -> Asked:
        """
        Read the call's parameters.

        Raises:
            Refused: One of them is none that is known here.
        """
        limit, timeout = call.number("limit"), call.number("timeout")
        heartbeat_s = _heartbeat_s(call)
        longest = _LONGEST_S if timeout is None else min(timeout / 1000, _LONGEST_S)
        return cls(
            since=_since(store, call),
            limit=None if limit is None else max(limit, 1),
            doc_ids=_doc_ids(call),
            fits=_selector(call),
            all_leaves=call.query.get("style") == "all_docs",
            descending=call.flag("descending"),
            include_docs=call.flag("include_docs"),
            conflicts=call.flag("conflicts"),
            attachments=call.flag("attachments"),
            heartbeat_s=heartbeat_s,
            timeout_s=longest if heartbeat_s is None else float("inf"),
        )


def is_live(call: Call) -> bool:
    """Whether the answer goes on as long as it is read."""
    return call.query.get("feed", "normal") in _LIVE and call.method in {"GET", "POST"}


def _since(store: DocumentStore, call: Call) -> int:
    text = call.query.get("since", "0")
    if text == "now":
        return int(store.info()["update_seq"])
    text = text.strip('"')
    if not text.isascii() or not text.isdigit():
        refuse(f"malformed sequence in `since`: {text[:60]!r}")
    return int(text[:18])


def _heartbeat_s(call: Call) -> float | None:
    text = call.query.get("heartbeat", "false")
    if text in {"true", "false"}:
        return _LONGEST_S if text == "true" else None
    return max((call.number("heartbeat") or 0) / 1000, 0.05)


def _doc_ids(call: Call) -> list[str] | None:
    body = call.json() if call.method == "POST" and call.body else {}
    named = body.get("doc_ids", call.value("doc_ids"))
    name = call.query.get("filter")
    if name not in {None, *_FILTERS}:
        refuse(f"no filter {name!r} here; there is {' and '.join(_FILTERS)}", HTTPStatus.NOT_FOUND)
    if name != "_doc_ids":  # as CouchDB: ids count where the filter is named
        return None
    return texts(named, "`doc_ids`")


def _selector(call: Call) -> Fits | None:
    """Which documents a Mango selector takes, where one is named."""
    if call.query.get("filter") != "_selector":
        return None
    from engines.replication import matcher  # noqa: PLC0415

    given = call.json().get("selector")
    if not isinstance(given, dict):
        refuse("`selector` must be a JSON object")
    return matcher(given)


def changes(
    store: DocumentStore, asked: Asked, since: int, limit: int | None
) -> tuple[list[Change], int]:
    """At most *limit* of the changes that are wanted, and the place behind them."""
    newest = int(store.info()["update_seq"])
    found: list[Change] = []
    while limit is None or len(found) < limit:
        most = _OF_A_BLOCK if asked.fits else limit
        some = store.changes(since, limit=most, doc_ids=asked.doc_ids, all_leaves=asked.all_leaves)
        for change in some:
            since = change.seq
            if fitting := _fitting(store, asked, change):
                found.append(fitting)
                if len(found) == limit:
                    return found, since
        if most is None or len(some) < most:
            break
    return found, max(newest, since)


def _fitting(store: DocumentStore, asked: Asked, change: Change) -> Change | None:
    """*change* with those of its revisions that are wanted; None where none is."""
    fits = asked.fits
    if fits is None:
        return change
    docs = store.read_revisions([(change.id, rev) for rev in change.revs])
    revs = tuple(doc["_rev"] for doc in docs if fits(doc))
    return change._replace(revs=revs) if revs else None


def normal(store: DocumentStore, call: Call) -> Answer:
    """GET or POST _changes: those there are."""
    asked = Asked.of(store, call)
    newest = int(store.info()["update_seq"])
    found, last = changes(store, asked, asked.since, None if asked.descending else asked.limit)
    if asked.descending:
        found = found[::-1][: asked.limit]
        last = found[-1].seq if len(found) == asked.limit else last
    rows = _rows(store, asked, found)
    # At most so many are left: each document stands once, at its latest place.
    return Answer({"results": rows, "last_seq": last, "pending": max(newest - last, 0)})


def _rows(store: DocumentStore, asked: Asked, found: Sequence[Change]) -> list[dict[str, Any]]:
    docs = _documents(store, asked, found) if asked.include_docs else {}
    rows = []
    for change in found:
        revs = [{"rev": rev} for rev in change.revs]
        row: dict[str, Any] = {"seq": change.seq, "id": change.id, "changes": revs}
        if change.deleted:
            row["deleted"] = True
        if asked.include_docs:
            row["doc"] = docs.get(change.id)
        rows.append(row)
    return rows


def _documents(
    store: DocumentStore, asked: Asked, found: Sequence[Change]
) -> dict[str, dict[str, Any]]:
    """By id; without those that were replaced since, whose next change is in the feed."""
    docs = {doc["_id"]: doc for doc in store.read_revisions([(c.id, c.revs[0]) for c in found])}
    for doc_id, doc in docs.items():
        del doc["_revisions"]
        if asked.conflicts or (asked.attachments and "_attachments" in doc):
            with contextlib.suppress(Missing):
                more = {"attachments": asked.attachments, "conflicts": asked.conflicts}
                docs[doc_id] = store.get(doc_id, rev=doc["_rev"], **more)
    return docs


# --- live ---------------------------------------------------------------------------------------


class News:
    """Tells any number of feeds that *store* has something new, whoever changed it."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._seen = 0
        self._waiting = 0
        self._event = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def close(self) -> None:
        """Have all feeds end, from any thread or signal."""
        self.closed = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._wake)

    async def beyond(self, since: int, timeout_s: float) -> bool:
        """Wait until there is a change behind *since*; False where there was none in time."""
        self._loop = asyncio.get_running_loop()
        deadline = time.monotonic() + timeout_s
        self._waiting += 1
        try:
            if self._watch is None or self._watch.done():
                self._watch = asyncio.create_task(self._look())
            while self._seen <= since and not self.closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                try:
                    await asyncio.wait_for(self._event.wait(), left)
                except TimeoutError:
                    return False
            return not self.closed
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        while self._waiting and not self.closed:
            try:
                if await asyncio.to_thread(self._store.wait, self._seen, _LOOK_S):
                    self._seen = int((await asyncio.to_thread(self._store.info))["update_seq"])
                    self._wake()
            except DinoError:  # who reads next will hear of it
                await asyncio.sleep(_LOOK_S)

    def _wake(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


class LiveFeed:
    """
    One reader's feed, as blocks of bytes; it ends when *news* does.

    Args:
        asked: What it wants.
        continuous: Whether it goes on behind the first changes.
    """

    def __init__(self, store: DocumentStore, asked: Asked, news: News, *, continuous: bool) -> None:
        self._store, self._asked, self._news = store, asked, news
        self._continuous = continuous
        self._at = asked.since
        self._left = asked.limit

    async def blocks(self) -> AsyncIterator[bytes]:
        """What is sent: whole lines, and an empty one for each heartbeat."""
        if not self._continuous:
            yield b'{"results":[\n'
        silent_since = time.monotonic()
        while not self._news.closed and self._left != 0:
            rows = await asyncio.to_thread(self._read)
            if rows:
                joined = (b"\n" if self._continuous else b",\n").join(map(as_json, rows))
                yield joined + b"\n"
                silent_since = time.monotonic()
                if not self._continuous:
                    break
                continue
            quiet = self._asked.heartbeat_s or self._asked.timeout_s
            if not await self._news.beyond(self._at, quiet):
                if time.monotonic() - silent_since >= self._asked.timeout_s:
                    break
                if self._asked.heartbeat_s is not None and not self._news.closed:
                    yield b"\n"
        last = as_json({"last_seq": self._at, "pending": 0})
        yield last + b"\n" if self._continuous else b"]," + last[1:] + b"\n"

    def _read(self) -> list[dict[str, Any]]:
        """The next changes; the place behind them also where none of them is wanted."""
        limit = _OF_A_BLOCK if self._left is None else min(self._left, _OF_A_BLOCK)
        with told():
            found, self._at = changes(self._store, self._asked, self._at, limit)
            rows = _rows(self._store, self._asked, found)
        if self._left is not None:
            self._left -= len(found)
        return rows
