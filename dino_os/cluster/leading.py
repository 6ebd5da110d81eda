"""
Who of the nodes goes first: a lease, which the servers forget when it is not renewed.

The lease says who holds it, since when, which jobs it serves and what its clock says.  It spares
the nodes a race for each due time and gives them one clock; that each runs once, is not its doing
but that of the claims (`claims`), which stand however many believe that they lead.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

LEASE_S = 10.0
_RENEWALS = 3  # in the time of a lease
_TRIES = 3
_KEY = "scheduler"
_SHORT = 12  # characters that tell jobs apart well enough for this


@dataclass(frozen=True, slots=True)
class Me:
    """This node: its name, and what tells its workspace from every other."""

    node: str
    workspace: str

    def wrote(self, value: dict[str, Any]) -> bool:
        return (value.get("node"), value.get("id")) == (self.node, self.workspace)


@dataclass(frozen=True, slots=True)
class Lease:
    """
    Who leads.

    Attributes:
        epoch: The revision with which this leadership began: a later one has a larger.
        since: When it began, by the leader's clock; `at`: when it was renewed last.
        jobs: What it serves, in the first characters of their definitions.
    """

    node: str
    epoch: int
    since: float
    at: float
    jobs: frozenset[str]
    ours: bool

    def serves(self, job: str) -> bool:
        return job[:_SHORT] in self.jobs


class Leadership:
    """
    What this node knows of the lease.

    Args:
        lease_s: After which time without renewal the servers forget it; that of its bucket.
        clock: Seconds since the epoch; `steady`: that nobody sets.
    """

    def __init__(
        self,
        me: Me,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease: Lease | None = None
        self.lease_s = lease_s
        self._me = me
        self._clock, self._steady = clock, steady
        self._looked = -math.inf
        self._jobs: frozenset[str] = frozenset()

    @property
    def age_s(self) -> float:
        """How long ago it was looked at."""
        return self._steady() - self._looked

    @property
    def renewal_s(self) -> float:
        """How often it is to be looked at."""
        return self.lease_s / _RENEWALS

    @property
    def is_ours(self) -> bool:
        """Whether this node leads, as far as it can know."""
        return self.lease is not None and self.lease.ours and self.age_s < self.lease_s

    def is_stale(self, jobs: Collection[str]) -> bool:
        """Whether it is time to look again, or to tell of other jobs."""
        return self.age_s >= self.renewal_s or (self.is_ours and self._jobs != _short(jobs))

    def earliest(self) -> float:
        """What the leader's clock says now at least, to the precision of its renewals."""
        return self.lease.at + self.age_s if self.lease else 0.0

    async def look(self, bucket: KeyValue, jobs: Collection[str]) -> Lease | None:
        """
        Take the lease if it is free, renew it if it is ours, and see whose it is.

        Raises:
            nats.errors.Error: The servers do not answer, or refuse.
        """
        from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError  # noqa: PLC0415

        self._jobs = _short(jobs)
        for _ in range(_TRIES):
            # Before it is asked: what is known is then not younger than it says.
            looked = self._steady()
            try:
                entry = await bucket.get(_KEY)
                found, revision = _value_of(entry.value), entry.revision or 0
            except KeyNotFoundError:
                found, revision = None, 0
            try:
                if found is None or self._me.wrote(found):
                    found = self._value(found, revision)
                    if revision:
                        await bucket.update(_KEY, json.dumps(found).encode(), revision)
                    else:
                        revision = await bucket.create(_KEY, json.dumps(found).encode())
            except KeyWrongLastSequenceError:
                continue  # somebody was first
            self._looked = looked
            self.lease = _read(found, revision, ours=self._me.wrote(found))
            return self.lease
        return None

    async def release(self, bucket: KeyValue) -> None:
        """Let go of it, so that nobody waits until it is forgotten."""
        from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError  # noqa: PLC0415

        self.lease, self._looked = None, -math.inf
        try:
            entry = await bucket.get(_KEY)
            if self._me.wrote(_value_of(entry.value)):
                await bucket.delete(_KEY, entry.revision)
        except (KeyNotFoundError, KeyWrongLastSequenceError):
            return  # it was forgotten, or is another's

    def _value(self, before: dict[str, Any] | None, revision: int) -> dict[str, Any]:
        now = self._clock()
        before = before or {"since": now}
        return {
            "node": self._me.node,
            "id": self._me.workspace,
            "since": before["since"],
            "at": now,
            "epoch": before.get("epoch") or revision,
            "jobs": sorted(self._jobs),
        }


async def lease_now(bucket: KeyValue, me: Me) -> Lease | None:
    """Whose the lease is, without a try to have it."""
    from nats.js.errors import KeyNotFoundError  # noqa: PLC0415

    try:
        entry = await bucket.get(_KEY)
    except KeyNotFoundError:
        return None
    value = _value_of(entry.value)
    return _read(value, entry.revision or 0, ours=me.wrote(value))


def _value_of(text: bytes | None) -> dict[str, Any]:
    """What a lease says; what is none is somebody's who serves nothing."""
    try:
        value = json.loads(text or b"")
        return {
            "node": str(value["node"]),
            "id": str(value["id"]),
            "epoch": int(value["epoch"]),
            "since": float(value["since"]),
            "at": float(value["at"]),
            "jobs": [str(job) for job in value["jobs"]],
        }
    except (ValueError, KeyError, TypeError):
        return {"node": "unknown", "id": "", "epoch": 0, "since": 0.0, "at": 0.0, "jobs": []}


def _read(value: dict[str, Any], revision: int, *, ours: bool) -> Lease:
    epoch, jobs = value["epoch"] or revision, frozenset(value["jobs"])
    return Lease(value["node"], epoch, value["since"], value["at"], jobs, ours)


def _short(jobs: Collection[str]) -> frozenset[str]:
    return frozenset(job[:_SHORT] for job in jobs)
