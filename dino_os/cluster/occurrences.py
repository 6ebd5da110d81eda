"""
The due times that this node shares with the others: the scheduler's seam, over NATS.

A turn asks, waits a few seconds at most, and goes on without an answer: what is not answered waits
or, where `cluster.scheduler` says `alone`, runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, TypeVar

from dino_os.cluster.claims import Claims
from dino_os.cluster.leading import LEASE_S, Leadership, Lease, Me, lease_now
from dino_os.cluster.link import ClusterUnavailable
from dino_os.cluster.streams import ensure_bucket
from dino_os.scheduler.shared import WINDOW_S, Question, Time, Verdict
from engines.errors import DinoError

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client

T = TypeVar("T")

# Longer than anybody may make good what it missed.
_KEPT_S = WINDOW_S + 86_400.0
_ANSWER_S = 3.0
_FIRST_S, _LONGEST_S = 0.1, 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0


class SharedOccurrences:
    """
    As `dino_os.scheduler.shared.Occurrences`, for a node of *cluster*.

    Args:
        lease_s: How long a leader may be silent; all nodes have the same.
        clock: Seconds since the epoch; `steady`: that nobody sets.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._steady = steady
        self._me = me = Me(cluster.node, cluster.workspace)
        self._leadership = Leadership(me, lease_s=lease_s, clock=clock, steady=steady)
        self._claims = Claims(me, patience_s=2 * lease_s, steady=steady)
        self._buckets: tuple[Client, KeyValue, KeyValue] | None = None
        self._pause_s = _FIRST_S
        self._failed_at: float | None = None
        self._failures = 0
        self._alone: set[Time] = set()
        self._began = (
            False  # from then on a connection comes by itself, or there is none to wait for
        )

    # --- as the scheduler has it -------------------------------------------------------------

    def look(self, serves: Collection[str]) -> bool:
        if self._cluster.draining:
            self.release()
            return False
        if self._is_pausing():
            return self._goes_alone
        if not self._alone and not self._leadership.is_stale(serves):
            return True

        async def look(leases: KeyValue, claims: KeyValue) -> Lease | None:
            await self._tell(claims)
            return await self._leadership.look(leases, serves)

        return self._call(look) is not None or self._goes_alone

    def time(self, job: str, now: float) -> float:
        lease = self._leadership.lease
        if self._is_pausing() or lease is None or lease.ours or not lease.serves(job):
            return now
        # Its clock is the nodes': one that is ahead of it would take for missed what is to come.
        return min(now, self._leadership.earliest() + self._leadership.renewal_s)

    def ask(self, question: Question) -> Mapping[Time, Verdict] | None:
        if self._is_pausing():
            return self._without(question)

        async def ask(leases: KeyValue, claims: KeyValue) -> dict[Time, Verdict]:
            del leases
            found: dict[Time, Verdict] = {}
            for job, (first, last) in question.missed.items():
                found |= await self._claims.between(claims, job, first, last)
            return found | await self._claims.claim(claims, question.claims, self._may)

        found = self._call(ask)
        if found is None:
            return self._without(question)
        settled = all(time in found for time in question.claims)
        self._pause_s = _FIRST_S if settled else min(2 * self._pause_s, _LONGEST_S)
        return found

    def confirm(self, held: Collection[Time], dropped: Collection[Time]) -> Mapping[Time, Verdict]:
        if not held and not dropped:
            return {}

        async def confirm(leases: KeyValue, claims: KeyValue) -> dict[Time, Verdict]:
            del leases
            await self._claims.drop(claims, dropped)
            return await self._claims.confirm(claims, held)

        return ({} if self._is_pausing() else self._call(confirm)) or {}

    def pause_s(self, *, waiting: bool) -> float | None:
        if self._is_pausing():
            return self._pausing_s() if waiting or self._alone else None
        if self._alone:
            return 0.0
        renewal_s = max(self._leadership.renewal_s - self._leadership.age_s, 0.0)
        if waiting:
            return min(self._pause_s, renewal_s or self._pause_s)
        return renewal_s if self._leadership.is_ours else None

    # --- the leader --------------------------------------------------------------------------

    def leader(self) -> Lease | None:
        """
        Who leads; None where nobody does now.

        Raises:
            ClusterUnavailable: The servers do not answer.
        """

        async def ask(client: Client) -> Lease | None:
            leases, _ = await self._opened(client)
            return await lease_now(leases, self._me)

        return self._cluster.link.call(ask)

    def release(self) -> None:
        """Give the lead away, where this node has it: it is about to leave."""
        lease = self._leadership.lease
        if lease and lease.ours and not self._is_pausing():

            async def release(leases: KeyValue, claims: KeyValue) -> None:
                del claims
                await self._leadership.release(leases)

            self._call(release)

    def _may(self, time: Time) -> bool:
        """Whether this node may claim what nobody has: with what it serves the leader is first."""
        (job, due), lease = time, self._leadership.lease
        if lease is None or lease.ours:
            return self._leadership.is_ours
        # By its own clock, whatever ours says, it has had its time.
        return not lease.serves(job) or self._leadership.earliest() > due + self._leadership.lease_s

    # --- without the others ------------------------------------------------------------------

    @property
    def _goes_alone(self) -> bool:
        return self._cluster.settings.scheduler == "alone"

    def _without(self, question: Question) -> Mapping[Time, Verdict] | None:
        if not self._goes_alone:
            return None
        self._alone |= set(question.claims)
        return {time: Verdict(alone=True) for time in question.claims}

    async def _tell(self, claims: KeyValue) -> None:
        """Let the others know what ran here while they could not be asked."""
        if self._alone:
            await self._claims.confirm(claims, self._alone)
            self._alone = set()

    def _is_pausing(self) -> bool:
        return self._pausing_s() > 0

    def _pausing_s(self) -> float:
        """For how long the servers, which did not answer, are not asked again."""
        if self._failed_at is None:
            return 0.0
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 9), _LONGEST_PAUSE_S)
        return max(self._failed_at + pause_s - self._steady(), 0.0)

    def _call(self, make: Callable[[KeyValue, KeyValue], Awaitable[T]]) -> T | None:
        async def called(client: Client) -> T:
            leases, claims = await self._opened(client)
            return await make(leases, claims)

        link = self._cluster.link
        if self._began and not link.connected:
            self._fail(link.failure or ClusterUnavailable("the connection to the cluster is lost"))
            return None
        self._began = True
        try:
            found = link.call(called, _ANSWER_S)
        except Exception as error:  # noqa: BLE001  whatever the servers say, jobs of this node go on
            self._fail(error)
            return None
        if self._failed_at is not None:
            _say("the cluster answers again")
        self._failed_at, self._failures = None, 0
        return found

    def _fail(self, error: Exception) -> None:
        self._buckets = None
        if self._failed_at is None:
            told = error.message if isinstance(error, DinoError) else f"{error}"
            what = "run all the same" if self._goes_alone else "wait"
            _say(f"{told}; jobs that are shared with other nodes {what}")
        self._failed_at = self._steady()
        # To ask one that is known to be away takes no time.
        self._failures = self._failures + 1 if self._cluster.link.connected else 1

    async def _opened(self, client: Client) -> tuple[KeyValue, KeyValue]:
        if self._buckets is None or self._buckets[0] is not client:
            leases = await self._bucket(client, "LEASES", self._leadership.lease_s)
            claims = await self._bucket(client, "OCCURRENCES", _KEPT_S)
            self._buckets = client, leases, claims
        return self._buckets[1:]

    async def _bucket(self, client: Client, name: str, ttl_s: float) -> KeyValue:
        from nats.js.api import KeyValueConfig  # noqa: PLC0415  heavy, as wherever nats is

        bucket = self._cluster.link.stream(name)
        config = KeyValueConfig(bucket=bucket, ttl=ttl_s)
        return await ensure_bucket(client, self._cluster.settings, config)


def _say(text: str) -> None:
    print(f"dino: scheduler: {text}", file=sys.stderr)  # noqa: T201
