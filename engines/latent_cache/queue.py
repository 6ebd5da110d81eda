"""
The offline queue: whole requests that wait for the network, durable, each sent once, later.

    queued ──claim──▶ claimed ──done──▶ sent
      ▲  ▲               │ failed: again, later ── too often: dead
      │  └───────────────┤ the lease ran out: claimed again
      └──release── held ◀┘ hold

It lies in the store's own file, and each change is in its journal, without headers or bodies.
Sending is somebody else's: whoever claims a request has it alone until the lease ends.  A sender
that dies after sending leaves a request that is sent again, under the same idempotency key.  Of
those with the same `ordered_by` of a domain only the first that is live is handed out.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import orjson

from engines.checks import did_you_mean
from engines.errors import InvalidInput, NotFound
from engines.latent_cache.batch import Batch
from engines.latent_cache.queue_rows import (
    belongs_to,
    change,
    first_row,
    insert,
    make_room,
    row_of,
    row_under,
    vouched,
)
from engines.latent_cache.queued import (
    CLAIMED,
    COLUMNS,
    DEAD,
    DROPPED,
    EXPIRED,
    HELD,
    LISTED,
    LIVE,
    QUEUED,
    SENT,
    Queued,
    check,
    fingerprint,
)
from engines.latent_cache.store import DocumentStore
from engines.nav_mesh import Grant, Receipt, Request

BASE_S, CAP_S = 5.0, 300.0
_DOUBLINGS = 20
_OF_A_REASON = 300
_FORGET_AT_ONCE = 100
_BYTES = 256 * 2**20
MAYBE_SENT = "its sender was lost, and it may have arrived: it is sent when somebody releases it"
_EMPTIED = {"headers": "{}", "body": None, "size": 0}
# What is due: what was decided in the future was decided by a clock that has been set back.
_DUE = (
    "live = 1 AND (state = 'queued' AND (due <= :now OR decided > :now) "
    "OR state = 'claimed' AND (due <= :now OR decided > :now + :lease_s))"
)
_FIRST = (
    "(ordered_by = '' OR NOT EXISTS (SELECT 1 FROM requests AS e WHERE e.live = 1 "
    "AND e.ordered_by <> '' AND e.domain = r.domain AND e.ordered_by = r.ordered_by AND e.n < r.n "
    "AND (e.authorised = 1 OR e.released IS NOT NULL)))"
)
_WAITS = (
    "SELECT EXISTS (SELECT 1 FROM requests WHERE live = 1 AND ordered_by <> '' AND domain = :domain"
    " AND ordered_by = :line AND (authorised = 1 OR released IS NOT NULL)) OR EXISTS (SELECT 1 "
    "FROM requests WHERE domain = :domain AND subject = :subject AND key = :key AND live = 1)"
)


class OfflineQueue:
    """
    The requests that wait in *store*.

    Args:
        attempts: A request that was refused so often is dead.
        keep_s: How long is remembered what was sent, and under which keys.
        most_bytes: Of all that was not sent, dead letters as well; without a token an eighth.
        clock: Seconds since the epoch; the store's unless told.
        rng: Draws the waits between attempts.
    """

    def __init__(
        self,
        store: DocumentStore,
        *,
        attempts: int = 12,
        keep_s: float = 30 * 86_400.0,
        most_bytes: int = _BYTES,
        clock: Callable[[], float] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._clock = clock or store.clock
        self._rng = rng or random.Random()  # noqa: S311  it spreads load, and hides nothing

    # --- queueing ----------------------------------------------------------------------------

    def put(
        self,
        domain: str,
        subject: str,
        request: Request,
        *,
        authorised: bool,
        grant: Grant | None = None,
        repeatable: bool = True,
        expires_at: float | None = None,
    ) -> Receipt:
        """
        Queue *request*; the same idempotency key of a subject gets the same receipt.

        What has ended without being sent begins anew under its key.

        Args:
            authorised: Whether a gate let it through; it is asked again before it is sent.  What is
                not is held, until somebody releases it, or it comes with the same key and is.
            grant: The token that let it through.
            repeatable: Whether it may be sent again where it may have arrived.
            expires_at: When it is not worth sending any more.

        Raises:
            InvalidInput: It cannot be kept, or its key was another request's.
            CacheError: The queue is full.
        """
        check(request)
        key, digest, now = request.idempotency_key, fingerprint(request), self._clock()
        with self._store.changing() as batch:
            known = row_under(batch.db, domain, subject, key) if key else None
            if known and (vouched(known) or not authorised):
                _check_same(known, digest)
                if known["state"] in (*LIVE, SENT):
                    return Queued.of(known).receipt
                if vouched(known) and not authorised:
                    raise InvalidInput(
                        f"the request under the key {key!r} is {known['state']}",
                        hint="it begins anew where it comes with a token, or by "
                        f"`dino offline queue retry {known['id']}`",
                    )
            id_ = known["id"] if known else uuid4().hex
            receipt = Receipt(id_, domain, key or uuid4().hex, now, held=not authorised)
            more = {"sha256": digest, "authorised": authorised, "expires": expires_at}
            more |= {"granted": grant and orjson.dumps(asdict(grant)).decode()}
            row = {**row_of(receipt, subject, request), **more, "repeatable": repeatable}
            batch.db.execute("DELETE FROM requests WHERE id = ?", [id_])  # the last in its line now
            make_room(batch.db, row, self._most_bytes)
            insert(batch.db, row)
            size = len(request.body or b"")
            told = {"domain": domain, "method": request.method, "key": receipt.idempotency_key}
            batch.note("request_queued", id=receipt.id, **told, sha256=digest, size_bytes=size)
        return receipt

    def must_wait(self, domain: str, subject: str, request: Request) -> bool:
        """Whether *request* waits already under its key, or one of its line that goes before it."""
        given = {"domain": domain, "subject": subject, "line": request.ordered_by}
        with self._store.reading() as db:
            found = db.execute(_WAITS, {**given, "key": request.idempotency_key}).fetchone()
        return bool(found[0])

    # --- sending -----------------------------------------------------------------------------

    def claim(self, now: float, *, owner: str, lease_s: float) -> Queued | None:
        """
        Hand the next request that is due at *now* to *owner*, for *lease_s*; None where none is.

        What has expired by then is not handed out any more.  What may have arrived, as its sender's
        lease ran out, is handed out again only where it is repeatable, and else held.
        """
        given = {"now": now, "lease_s": lease_s}
        with self._store.reading() as db:  # mostly there is nothing, which needs no transaction
            if db.execute(f"SELECT 1 FROM requests WHERE {_DUE} LIMIT 1", given).fetchone() is None:  # noqa: S608
                return None
        with self._store.changing() as batch:
            self._expire(batch, now)
            query = (
                f"SELECT {COLUMNS} FROM requests AS r WHERE {_DUE} AND {_FIRST} "  # noqa: S608
                "ORDER BY due, n LIMIT 1"
            )
            while row := first_row(batch.db, query, given):
                if row["state"] == CLAIMED and not row["repeatable"]:
                    facts = {"owner": None, "ordered_by": "", "reason": MAYBE_SENT}
                    change(batch, row["id"], HELD, now, **facts)
                    batch.note("request_held", id=row["id"])
                    continue
                again = {"attempts": row["attempts"] + 1, "owner": owner}
                change(batch, row["id"], CLAIMED, now, due=now + lease_s, **again)
                batch.note("request_claimed", id=row["id"], owner=owner)
                return Queued.of({**row, "state": CLAIMED, "due": now + lease_s, **again})
        return None

    def done(self, id_: str, owner: str, *, status: int) -> bool:
        """
        The request was answered, and for good; False where that is known already.

        Whatever became of it meanwhile, and whoever has it now: it has arrived all the same.
        """
        now = self._clock()
        with self._store.changing() as batch:
            row = self._row(batch.db, id_)
            if row["state"] == SENT:
                return False
            change(batch, id_, SENT, now, ended=now, status=status, owner=owner, **_EMPTIED)
            batch.db.execute("UPDATE counts SET synced = synced + 1")
            batch.note("request_sent", id=id_, status=status)
            self._forget(batch, now)
        return True

    def failed(
        self, id_: str, owner: str, reason: str, *, answered: bool, after_s: float | None = None
    ) -> Queued | None:
        """
        An attempt failed: it is tried again later, or is dead after too many refusals.

        Args:
            answered: Whether the service itself refused it: being offline is no refusal.
            after_s: Not before so many seconds.

        Returns:
            The request as it is now; None where *owner* does not have it any more.
        """
        now = self._clock()
        with self._store.changing() as batch:
            row = self._row(batch.db, id_)
            if not belongs_to(owner, row):
                return None
            facts = {"answered": row["answered"] + answered, "reason": reason[:_OF_A_REASON]}
            if facts["answered"] >= self._attempts:
                change(batch, id_, DEAD, now, ended=now, **facts)
                batch.note("request_dead", id=id_, attempts=row["attempts"])
            else:
                most = min(BASE_S * 2 ** min(row["attempts"] - 1, _DOUBLINGS), CAP_S)
                due = now + max(self._rng.uniform(0, most), after_s or 0.0)
                change(batch, id_, QUEUED, now, due=due, owner=None, **facts)
                batch.note("request_failed", id=id_, answered=answered, due_at=due)
            return Queued.of(self._row(batch.db, id_))

    def hold(
        self, id_: str, reason: str, *, owner: str | None = None, arrived: bool = False
    ) -> bool:
        """
        Send it only once somebody has released it; False where *owner* has it no more.

        Args:
            arrived: It may have arrived; those of its line go on, as they would behind what has.
        """
        facts: dict[str, Any] = {"reason": reason[:_OF_A_REASON], "owner": None}
        if arrived:
            facts["ordered_by"] = ""
        return self._move(id_, LIVE, HELD, "request_held", by=owner, **facts)

    def release(self, id_: str, *, number: int | None = None) -> None:
        """
        Somebody has looked at a request that is held: it may be sent.

        Args:
            number: The gate log's `last_number` then: what is revoked later is heeded, and what was
                revoked before is not.  Without it what its token was taken back by keeps it back.
        """
        now = self._clock()
        facts: dict[str, Any] = {"due": now, "released": now, "released_number": number}
        self._move(id_, (HELD,), QUEUED, "request_released", **facts, reason="")

    def give_up(self, id_: str, reason: str, *, owner: str | None = None) -> bool:
        """Send it no more: it can only be refused; False where *owner* has it no more."""
        ended: dict[str, Any] = {"ended": self._clock(), "reason": reason[:_OF_A_REASON]}
        return self._move(id_, LIVE, DEAD, "request_dead", by=owner, **ended)

    def requeue(self, id_: str) -> None:
        """Try once more what is dead, expired or dropped, from the beginning."""
        again: dict[str, Any] = {
            "due": self._clock(),
            "attempts": 0,
            "answered": 0,
            "ended": None,
            "expires": None,
        }
        self._move(id_, (DEAD, EXPIRED, DROPPED), QUEUED, "request_requeued", **again, owner=None)

    def drop(self, id_: str) -> None:
        """Take it out: somebody does not want it sent."""
        states = (*LIVE, DEAD, EXPIRED)
        self._move(id_, states, DROPPED, "request_dropped", ended=self._clock())

    # --- queries -----------------------------------------------------------------------------

    def find(self, id_: str) -> Queued:
        """
        The request of that id.

        Raises:
            NotFound: There is none, or it is long forgotten.
        """
        with self._store.reading() as db:
            return Queued.of(self._row(db, id_))

    def waiting(self) -> list[Queued]:
        """What is to be sent, in the order in which it was queued; as any list without bodies."""
        return self._all("state IN ('queued', 'claimed') AND live = 1 ORDER BY n")

    def held(self) -> list[Queued]:
        return self._all("state = 'held' AND live = 1 ORDER BY n")

    def dead(self) -> list[Queued]:
        return self._all("state = 'dead' AND live IS NULL ORDER BY n")

    def delivered(self, limit: int = 100) -> list[Queued]:
        """The last that were sent, latest first."""
        return self._all("state = 'sent' AND live IS NULL ORDER BY ended DESC, n DESC", limit)

    def expired(self) -> list[Queued]:
        """Those whose time was up before they were sent."""
        return self._all("state = 'expired' AND live IS NULL ORDER BY n")

    def dropped(self) -> list[Queued]:
        return self._all("state = 'dropped' AND live IS NULL ORDER BY n")

    def status(self) -> dict[str, Any]:
        """How many there are in each state, and how long the oldest has waited."""
        with self._store.reading() as db:
            counted = dict(db.execute("SELECT state, COUNT(*) FROM requests GROUP BY state"))
            (oldest,) = db.execute("SELECT MIN(queued) FROM requests WHERE live = 1").fetchone()
        states = (*LIVE, SENT, DEAD, DROPPED, EXPIRED)
        age = None if oldest is None else max(self._clock() - oldest, 0.0)
        return {**{state: counted.get(state, 0) for state in states}, "oldest_s": age}

    def next_due(self) -> float | None:
        """When the next one is due that nothing goes before, or a lease ends."""
        due = "SELECT MIN(due) FROM requests AS r WHERE live = 1 AND state <> 'held'"
        with self._store.reading() as db:
            found = db.execute(f"{due} AND {_FIRST}").fetchone()[0]
        return None if found is None else float(found)

    # --- below the face ----------------------------------------------------------------------

    def _move(
        self,
        id_: str,
        before: tuple[str, ...],
        state: str,
        event_type: str,
        *,
        by: str | None = None,
        **facts: Any,
    ) -> bool:
        """As somebody wants it, or as the sender *by* does, as long as that one has it."""
        with self._store.changing() as batch:
            row = self._row(batch.db, id_)
            if by is not None and not belongs_to(by, row):
                return False
            if row["state"] not in before:
                raise InvalidInput(
                    f"request {id_} is {row['state']}, not {' or '.join(before)}",
                    hint="`dino offline queue` shows each with its state",
                )
            change(batch, id_, state, self._clock(), **facts)
            batch.note(event_type, id=id_)
        return True

    def _expire(self, batch: Batch, now: float) -> None:
        where = "live = 1 AND expires <= ? AND (state <> 'claimed' OR due <= ?)"
        query = f"SELECT id FROM requests WHERE {where}"  # noqa: S608
        for (id_,) in batch.db.execute(query, (now, now)).fetchall():
            change(batch, id_, EXPIRED, now, ended=now, reason="its time was up")
            batch.note("request_expired", id=id_)

    def _forget(self, batch: Batch, now: float) -> None:
        for state in (SENT, DROPPED, EXPIRED):
            batch.db.execute(
                "DELETE FROM requests WHERE n IN (SELECT n FROM requests WHERE live IS NULL "
                "AND state = ? AND ended < ? LIMIT ?)",
                (state, now - self._keep_s, _FORGET_AT_ONCE),
            )

    def _row(self, db: sqlite3.Connection, id_: str) -> dict[str, Any]:
        row = first_row(db, f"SELECT {COLUMNS}, sha256 FROM requests WHERE id = ?", [id_])  # noqa: S608
        if row is None:
            known = [name for (name,) in db.execute("SELECT id FROM requests LIMIT 1000")]
            raise NotFound(
                f"no request {id_!r} in the offline queue{did_you_mean(id_, known)}",
                hint="`dino offline queue` shows what waits and what is dead",
            )
        return row

    def _all(self, where: str, limit: int = -1) -> list[Queued]:
        query = f"SELECT {LISTED} FROM requests WHERE {where} LIMIT ?"  # noqa: S608
        with self._store.reading() as db:
            cursor = db.execute(query, [limit])
            names = [column[0] for column in cursor.description]
            return [Queued.of(dict(zip(names, row, strict=True))) for row in cursor]


def _check_same(known: dict[str, Any], digest: str) -> None:
    if known["sha256"] != digest:
        raise InvalidInput(
            f"the idempotency key {known['key']!r} was another request's",
            hint="each request needs a key of its own",
        )
