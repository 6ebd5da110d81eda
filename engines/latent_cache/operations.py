"""What was done in a cache and waits to be known elsewhere."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

_WAITING = (
    "SELECT docs.id, docs.deleted FROM feed CROSS JOIN docs "
    "ON docs.id = feed.id AND docs.seq = feed.seq WHERE own AND feed.seq > ? AND feed.seq <= ? "
    "AND (expires IS NULL OR expires > ?) ORDER BY feed.seq"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """
    What was done here, and is not known elsewhere.

    Attributes:
        kind: set, delete, or request.
        key: Of the cache; of a request its id.
        attempts: How often it was tried.
    """

    kind: str
    key: str
    attempts: int = 0

    def can_retry(self) -> bool:
        """Whether it waits still; what is given up is not shown, and counted as lost."""
        return True


def waiting_rows(
    db: sqlite3.Connection, seq: int, now: float, *, nobody: bool
) -> list[tuple[str, int]]:
    """Id, and whether it was deleted, of what was edited here and waits."""
    (since,) = db.execute("SELECT synced_seq FROM counts").fetchone()
    if since is None:
        if nobody:
            return []
        since = 0
    return db.execute(_WAITING, (since, seq, now)).fetchall()
