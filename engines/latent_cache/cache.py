"""
The simple face of the latent cache: values under keys, there with and without a network.

    cache = LatentCache()
    cache.set("tide", {"level": 3.1}, ttl=3600)
    cache.get("tide")

    cache.set_online(False)
    cache.set("note", "seen while offline")     # waits in cache.queue
    cache.set_online(True)
    cache.sync()                                # 1

A value lies in the document of its key, as the member `value`, so that whatever replicates
documents carries it too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeAlias

from engines.home import own_journal, workspace_root
from engines.latent_cache.batch import LAST_SEQ
from engines.latent_cache.errors import CacheError, Missing
from engines.latent_cache.installed import installed_remote
from engines.latent_cache.keys import id_of, key_of, keys_of
from engines.latent_cache.operations import Operation, waiting_rows
from engines.latent_cache.queue import OfflineQueue
from engines.latent_cache.store import DocumentStore

FILE = "documents.db"
LOG = "cache_log"
Remote: TypeAlias = "Callable[[DocumentStore], Any] | Any"
_VALUE = "value"
_ONLY_VALUE = {_VALUE}
_KEEP_EVERY = 1000  # looks, after which they are written down
_BEGIN_WAITING = f"UPDATE counts SET synced_seq = ({LAST_SEQ}) WHERE synced_seq IS NULL"  # noqa: S608
_LAST = 2**62


class LatentCache:
    """
    The cache in the folder *cache_dir*, or the workspace's own, `memory/cache`.

    Any number of processes share it; each change is durable, and recorded in `cache_log.jsonl`: in
    the folder, or of the workspace's own cache beside the workspace's other journals.

    Args:
        store: Instead of a folder, where one is open already.
        requests: The offline queue of that store.
        remote: What `sync` brings the documents to: a peer of `engines.replication`, or a function
            that is given the store, and says False where it sent nothing but fetched what is new.
            The workspace's own cache finds that of its settings, where
            Dino is installed, when it needs it; only `sync` contacts it.  Without one the cache is
            nobody's replica: what is done online waits for nothing, and what is done offline for
            `sync` alone.
        ttl_s: Of values that are set without one; None is for ever.
        settings: As of `DocumentStore`.

    Attributes:
        store: The documents.
        requests: Requests that wait to be sent.
        online: As `set_online` said last; whether there is a network is seen by whoever uses it.
    """

    def __init__(
        self,
        cache_dir: str | Path | None = None,
        *,
        store: DocumentStore | None = None,
        requests: OfflineQueue | None = None,
        remote: Remote = None,
        ttl_s: float | None = None,
        **settings: Any,
    ) -> None:
        self.store = store or _opened(cache_dir, settings)
        self.requests = requests or OfflineQueue(self.store)
        self._remote = remote
        self._asks = cache_dir is None and store is None and remote is None
        self._ttl_s = ttl_s
        self.online = True

    @property
    def remote(self) -> Remote:
        """What `sync` brings the documents to; None where there is nobody."""
        if self._asks:
            self._remote, self._asks = installed_remote(self.store.path.parents[1]), False
        return self._remote

    @remote.setter
    def remote(self, remote: Remote) -> None:
        self._remote, self._asks = remote, False

    def close(self) -> None:
        """Settle the record, and let go of the file; it opens again when it is used."""
        self._keep_looks()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter is going down
            self._keep_looks()

    # --- values ------------------------------------------------------------------------------

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """
        Keep *value* under *key*, instead of what was there; it is durable when this returns.

        Args:
            key: Text of at most 4,096 characters.
            value: Any JSON value of at most 8 MiB.
            ttl: For so many seconds; None is as long as the cache keeps what names no time.

        Raises:
            InvalidInput: Key, value or time are none of these.
            CacheError: It cannot be written.
        """
        self.store.set(id_of(key), {_VALUE: value}, ttl_s=self._ttl_s if ttl is None else ttl)

    def get(self, key: str) -> Any:
        """The value under *key*; None where there is none, or its time is up."""
        found = self.store.members(id_of(key))
        looks = self.store.looks
        looks[found is None] += 1
        if looks[0] + looks[1] >= _KEEP_EVERY:
            self._keep_looks()
        # A document that somebody else wrote is its own value.
        return found[_VALUE] if found is not None and found.keys() == _ONLY_VALUE else found

    def delete(self, key: str) -> bool:
        """Forget *key*, all its versions where it is in conflict; whether it was there."""
        try:
            self.store.discard(id_of(key))
        except Missing:
            return False
        return True

    def keys(
        self,
        prefix: str = "",
        *,
        start: str | None = None,
        end: str | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """
        The keys that begin so, in order, from *start* to *end*, both included; *limit* at most.

        Design documents, which others may have brought, are no values and have no keys.
        """
        return keys_of(self.store, prefix, start, end, limit)

    @staticmethod
    def document_of(key: str) -> str:
        """The id that the document has in `store` in which the value under *key* lies."""
        return id_of(key)

    @staticmethod
    def key_of(document: str) -> str:
        """The key whose value lies in that document; of a design document its id."""
        return key_of(document)

    # --- being offline -----------------------------------------------------------------------

    def set_online(self, online: bool) -> None:  # noqa: FBT001  the users' contract
        """Say whether there is a network: what is done without one waits for `sync`."""
        self.online = bool(online)
        if self.remote is not None:
            return
        if not online:
            with self.store.changing() as batch:
                batch.db.execute(_BEGIN_WAITING)
        elif not self._waiting(_LAST):
            self.mark_synced(_LAST)

    def sync(self) -> int:
        """
        Bring what waits to the remote, and what is new there here; how many operations that was.

        Without a remote they are where they belong already: the journal takes note of them, and
        they wait no more.  Where only what is new there is fetched, they go on waiting.  Offline
        nothing happens.  Requests are not sent here: their own sender, which asks the gates, does
        that.

        Raises:
            DinoError: The remote was not reached, or did not take all; they go on waiting.
        """
        if not self.online:
            return 0
        seq = self.store.info()["update_seq"]
        waiting = len(self._waiting(seq))  # the exchange may take note of them itself
        sent = self.remote is None or _exchange(self.store, self.remote)
        if sent:
            self.mark_synced(seq)
        self.store.settle()
        return waiting if sent else 0

    def mark_synced(self, seq: int) -> int:
        """What was done up to that place in the feed of changes waits no more; how much it was."""
        with self.store.reading() as db:
            (since,) = db.execute("SELECT synced_seq FROM counts").fetchone()
        if self.remote is None if since is None else since >= seq:
            return 0
        with self.store.changing() as batch:
            rows = waiting_rows(batch.db, seq, batch.now, nobody=self.remote is None)
            # Without a remote only what is done offline waits.
            (last,) = batch.db.execute(LAST_SEQ).fetchone()
            new = None if self.remote is None and seq >= last else min(seq, last)
            counted = "UPDATE counts SET synced_seq = ?, synced = synced + ?"
            batch.db.execute(counted, (new, len(rows)))
            if rows:
                batch.note("operations_synced", operations=len(rows), up_to=min(seq, last))
        return len(rows)

    @property
    def queue(self) -> list[Operation]:
        """What waits: documents for `sync`, in the order of their changes, then requests."""
        documents = [
            Operation("delete" if deleted else "set", key_of(name))
            for name, deleted in self._waiting(_LAST)
        ]
        requests = [*self.requests.waiting(), *self.requests.held()]
        return [*documents, *(Operation("request", one.id, one.attempts) for one in requests)]

    def simulate_offline_period(self, seconds: float) -> bool:
        """
        Whether all that is done offline for so long arrives later, once.

        Rehearsed with stores of its own, over sockets that are really cut: see `engines.drill`.

        Raises:
            InvalidInput: It is no time, or longer than a drill can be.
        """
        from engines.drill import survives  # noqa: PLC0415  it stands on this

        return survives(seconds)

    # --- queries -----------------------------------------------------------------------------

    @property
    def cache_hits(self) -> int:
        """How often something was found, since the cache was made, by whomever."""
        return self._kept_looks()[0] + self.store.looks[0]

    @property
    def cache_misses(self) -> int:
        return self._kept_looks()[1] + self.store.looks[1]

    def get_stats(self) -> dict[str, Any]:
        """Counts of all there is; looks and operations since the cache was made."""
        told, requests, hits, misses = (
            *(self.store.info(), self.requests.status()),
            *(self.cache_hits, self.cache_misses),
        )
        with self.store.reading() as db:
            (synced,) = db.execute("SELECT synced FROM counts").fetchone()
        looks = hits + misses
        return {
            "entries": told["doc_count"],
            "deleted": told["doc_del_count"],
            "update_seq": told["update_seq"],
            "conflicts": len(self.store.conflicts()),
            "cache_hits": hits,
            "cache_misses": misses,
            "hit_rate": hits / looks if looks else 0.0,
            "online": self.online,
            "has_remote": self.remote is not None,
            "operations_queued": len(self.queue),
            "operations_synced": synced,
            "operations_lost": requests["dead"] + requests["expired"],
            "requests": requests,
        }

    # --- below the face ----------------------------------------------------------------------

    def _waiting(self, seq: int) -> list[tuple[str, int]]:
        with self.store.reading() as db:
            return waiting_rows(db, seq, self.store.clock(), nobody=self.remote is None)

    def _kept_looks(self) -> tuple[int, int]:
        with self.store.reading() as db:
            hits, misses = db.execute("SELECT hits, misses FROM counts").fetchone()
        return hits, misses

    def _keep_looks(self) -> None:
        """Add them to the file's; no change is lost with them, so they are not synced."""
        looks, self.store.looks = self.store.looks, [0, 0]
        if any(looks):
            with suppress(CacheError):
                self.store.add_looks(*looks)


def _opened(cache_dir: str | Path | None, settings: dict[str, Any]) -> DocumentStore:
    if cache_dir is None:
        folder = workspace_root() / "memory" / "cache"
        return DocumentStore(folder / FILE, own_journal(LOG), **settings)
    folder = Path(cache_dir)
    return DocumentStore(folder / FILE, own_journal(LOG, folder / f"{LOG}.jsonl"), **settings)


def _exchange(store: DocumentStore, remote: Remote) -> bool:
    """Whether what was done here is there now."""
    if callable(remote):
        return remote(store) is not False
    replication = import_module("engines.replication")  # which stands on this
    report = replication.sync(replication.LocalPeer(store), remote)
    if not report.ok:
        failed = [one for side in (report.push, report.pull) for one in side.errors]
        raise CacheError(
            f"{remote.name}: {len(failed)} documents did not get through, as {failed[0].id!r} "
            f"({failed[0].reason})"
        )
    return True
