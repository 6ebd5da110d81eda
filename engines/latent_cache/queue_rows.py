"""The rows of the offline queue's table: found, made and changed."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from engines.latent_cache.batch import Batch
from engines.latent_cache.errors import CacheError
from engines.latent_cache.queued import CLAIMED, COLUMNS, HELD, LIVE, QUEUED
from engines.nav_mesh import Receipt, Request

_SHARE = 8
_BYTES = "SELECT coalesce(SUM(size), 0) FROM requests WHERE size > 0"
_OVER = "SELECT n, size FROM requests WHERE state IN ('dropped', 'expired') ORDER BY ended, n"
_OF_A_ROW = 512  # bytes, beside what the request has itself
WITHOUT_TOKEN = "it came without a token: it is sent when somebody releases it"  # noqa: S105


def first_row(db: sqlite3.Connection, query: str, given: Any) -> dict[str, Any] | None:
    cursor = db.execute(query, given)
    row = cursor.fetchone()
    names = (column[0] for column in cursor.description)
    return None if row is None else dict(zip(names, row, strict=True))


def row_under(db: sqlite3.Connection, domain: str, subject: str, key: str) -> dict[str, Any] | None:
    """The one under that idempotency key, whatever became of it."""
    where = "domain = ? AND subject = ? AND key = ?"
    query = f"SELECT {COLUMNS}, sha256 FROM requests WHERE {where}"  # noqa: S608
    return first_row(db, query, (domain, subject, key))


def vouched(row: dict[str, Any]) -> bool:
    """Whether a gate or somebody let it through."""
    return bool(row["authorised"]) or row["released"] is not None


def belongs_to(owner: str, row: dict[str, Any]) -> bool:
    return bool(row["state"] == CLAIMED and row["owner"] == owner)


def row_of(receipt: Receipt, subject: str, request: Request) -> dict[str, Any]:
    """What the table has of a request that is queued."""
    now = receipt.queued_at
    headers, body = orjson.dumps(dict(request.headers)).decode(), request.body
    return {
        "id": receipt.id,
        "domain": receipt.domain,
        "subject": subject,
        "key": receipt.idempotency_key,
        "method": request.method,
        "path": request.path,
        "headers": headers,
        "body": body,
        "size": _OF_A_ROW + len(request.path) + len(headers) + len(body or b""),
        "ordered_by": request.ordered_by,
        "flow": request.flow,
        "cell": request.cell,
        "timeout_s": request.timeout_s,
        "state": HELD if receipt.held else QUEUED,
        "live": 1,
        "attempts": 0,
        "answered": 0,
        "due": now,
        "decided": now,
        "queued": now,
        "reason": WITHOUT_TOKEN if receipt.held else "",
    }


def insert(db: sqlite3.Connection, row: dict[str, Any]) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"INSERT INTO requests ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608


def make_room(db: sqlite3.Connection, row: dict[str, Any], most: int) -> None:
    """
    See to it that *row* fits: what has expired or was dropped is kept as long as there is room.

    Raises:
        CacheError: What waits, and dead letters, leave none.
    """
    if not row["authorised"]:
        found = db.execute(f"{_BYTES} AND authorised = 0 AND released IS NULL").fetchone()[0]
        if found + row["size"] > most // _SHARE:
            raise CacheError(
                f"the offline queue is full: without a token it takes {most // _SHARE:,} bytes",
                hint="send it with a token, or see `dino offline queue`",
            )
    over = db.execute(_BYTES).fetchone()[0] + row["size"] - most
    if over <= 0:
        return
    for number, size in db.execute(_OVER).fetchall():
        db.execute("DELETE FROM requests WHERE n = ?", [number])
        over -= size
        if over <= 0:
            return
    raise CacheError(
        f"the offline queue is full: what waits has {most:,} bytes",
        hint="`dino offline queue drop` makes room; `cache.queue_bytes` is the limit",
    )


def change(batch: Batch, id_: str, state: str, now: float, **facts: Any) -> None:
    told = {"state": state, "live": 1 if state in LIVE else None, "decided": now, **facts}
    names = ", ".join(f"{name} = ?" for name in told)
    batch.db.execute(f"UPDATE requests SET {names} WHERE id = ?", [*told.values(), id_])  # noqa: S608
