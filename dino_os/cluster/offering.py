"""
The owner's side: tasks of this node's queue that other nodes run.

A session of the queue claims them, as the workers of this machine do; its leases travel as jobs.
JetStream only carries: which result counts is decided here, under the journal's lock, and a job
whose lease is void counts for nothing, whoever runs it however often.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from dino_os.cluster.desk import Desk
from dino_os.cluster.jobs import (
    Job,
    JobTask,
    OfTask,
    Outcome,
    Stop,
    decode,
    decode_outcome,
    decode_report,
    encode,
    kind_token,
)
from dino_os.cluster.task_news import Offer
from dino_os.errors import ClusterError, NotFound
from engines.resource_engine import Ended, Lease, ResourceEngine, Task

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from dino_os.cluster.abilities import Abilities, Others

_JOBS_EACH = 4  # leases under way for each place elsewhere: one runs, the others are on their way
_HANDFUL_S = 0.05  # tasks travel together that take no longer than this
_LARGEST_HANDFUL = 1000
_NEWEST = 0.2  # weight of the last duration
BEAT_S = 5.0  # it is heard so often what is to be stopped, and told that this session lives
_OWN_FIRST_S = 0.03  # for so long a new task is left to the workers of this machine
_AWAY_S = 20.0  # without a connection for so long, what is out there comes back
_CHECK_S = 2.0
_OLD_S = 10.0  # of so old a job it is asked whether it is still there
_MOST_LOOKS = 50
_PAUSE_S, _PAUSE_MOST_S = 1.0, 60.0
_MOST_OF_AN_ERROR = 20
_LONGEST_TEXT = 2000
_SMALLEST = 1000  # bytes of a task without parameters, generously


@dataclass(slots=True)
class _Out:
    """A lease that was offered; `seq` is its message's number, once it is in the stream."""

    kind: str
    tasks: set[str]
    at: float
    seq: int | None = None
    looked: float = 0.0


class Offering:
    """
    The session of *engine* that has tasks run elsewhere.

    Args:
        own: What this node has, of which others may have the same.
        others: What they said that they can.
    """

    def __init__(
        self, engine: ResourceEngine, desk: Desk, node: str, own: Abilities, others: Others
    ) -> None:
        self._engine = engine
        self._desk = desk
        self._node = node
        self._own = own
        self._others = others
        self._out: dict[int, _Out] = {}
        self._owed: list[Ended] = []
        self._look_at = math.inf  # when to see what is new in the queue, or due by then
        self._more = True  # whether there may be more to claim than there was room for
        self._handles: list[Msg] = []
        self._returned: dict[int, set[str]] = {}
        self._took: dict[str, float] = {}
        self._kinds: frozenset[str] = frozenset()
        self._next_check = 0.0
        self._claims_from = 0.0
        self._pause_s = 0.0
        self._seen_link = self._linked_at = time.monotonic()
        self._able_at: dict[str, float] = {}
        self._stopped_at = 0.0
        self.leaving = False
        self.recorded = 0
        self._join()

    @property
    def out(self) -> int:
        """How many leases are out there."""
        return len(self._out)

    # --- news ----------------------------------------------------------------------------------

    def take_report(self, handle: Msg, data: bytes) -> None:
        """What a node says of tasks that it ran."""
        self._handles.append(handle)
        try:
            report = decode_report(data)
        except ClusterError:
            return
        for said in report.ended:
            with contextlib.suppress(ClusterError):  # it is not even told of which task it is
                self._take(report.node, _outcome(said))

    def taken(self, lease: int, seq: int) -> None:
        """The job is in the stream."""
        self._pause_s = 0.0
        if found := self._out.get(lease):
            found.seq = seq
        else:
            self._desk.withdraw([seq])

    def refused(self, lease: int) -> None:
        """It is not: the tasks are this machine's for a while."""
        if lease in self._out:
            self._bring_back(lease)
            if (now := time.monotonic()) >= self._claims_from:  # else one of those before it
                self._pause_s = min(max(2 * self._pause_s, _PAUSE_S), _PAUSE_MOST_S)
                self._claims_from = now + self._pause_s

    def gone(self, lease: int) -> None:
        """The stream lost it, or the report."""
        if lease in self._out:
            self._bring_back(lease)

    # --- a turn --------------------------------------------------------------------------------

    def turn(self, *, claim: bool) -> int:
        """
        Record what ended, claim what others can run, offer it.

        Returns:
            How many results were recorded and leases offered.

        Raises:
            DinoError: The journal does not take it; the same is told again on the next turn.
        """
        now = time.monotonic()
        self._look_after(now)
        room = self._room() if claim else 0
        if self._was_written():
            self._look_at = min(self._look_at, now + _OWN_FIRST_S)
        looks = now >= self._look_at
        claims = room > 0 and (self._more or looks) and now >= self._claims_from
        if self._owed or self._returned or looks or claims or now >= self._next_beat:
            return self._exchange(room if now >= self._claims_from else 0)
        self._acknowledge()
        return 0

    def wake_at(self) -> float:
        """Monotonic."""
        pause = [self._claims_from] if self._claims_from > time.monotonic() else []
        return min(self._next_check, self._next_beat, self._look_at, *pause)

    def close(self) -> None:
        """Record what came in, and have what is out there come back."""
        if self._owed:
            self._exchange(0)
        self._acknowledge()
        self._desk.withdraw([one.seq for one in self._out.values() if one.seq is not None])
        self._desk.wanted.clear()
        self._engine.leave(self.name)

    # --- below the face ------------------------------------------------------------------------

    def _join(self) -> None:
        self.name = self._engine.join(remote=True)
        self._seen = self._engine.journal.end
        self._more, self._look_at = True, math.inf
        self._next_beat = time.monotonic() + BEAT_S
        self._out.clear()
        self._owed.clear()
        self._returned.clear()
        self._desk.wanted.clear()
        self._desk.sweep()

    def _take(self, node: str, one: Outcome) -> None:
        out = self._out.get(one.lease)
        if one.session != self.name or out is None or one.task not in out.tasks:
            return  # of an earlier session, or told before: it counts no more
        task = self._engine.known(one.task)
        out.tasks.discard(one.task)
        if one.outcome == "cancelled" and task is not None and not task.cancelling:
            # It was stopped there, and not by its owner.
            self._returned.setdefault(one.lease, set()).add(one.task)
        else:
            self._owed.append(_ended(node, one))
            if task is not None:
                last = self._took.get(task.does, one.duration_s)
                self._took[task.does] = last + _NEWEST * (one.duration_s - last)
        if not out.tasks:
            del self._out[one.lease]
            self._desk.wanted.discard(one.lease)

    def _exchange(self, room: int) -> int:
        try:
            found = self._engine.exchange(
                self.name,
                ended=self._owed,
                returned=self._returned,
                room=room,
                size=self._size,
                runs=self._runs,
            )
        except NotFound:  # it was given up as lost: all that is out there is void
            self._engine.leave(self.name)
            self._join()
            self._acknowledge()
            return 0
        count = len(self._owed) - found.void + len(found.leases)
        self.recorded += len(self._owed) - found.void
        self._owed, self._returned = [], {}
        self._seen = self._engine.journal.end
        self._look_at = time.monotonic() + self._due_in() if room else math.inf
        self._more = len(found.leases) >= room  # also where there was no room for any
        self._next_beat = time.monotonic() + BEAT_S
        self.leaving = self.leaving or found.leave
        self._offer(found.leases)
        self._stop(found.stop)
        self._acknowledge()
        return count

    def _room(self) -> int:
        """How many more leases others have room for."""
        if self.leaving or not self._desk.connected:
            return 0
        self._kinds = frozenset(self._others.tokens())
        return max(self._others.places() * _JOBS_EACH - len(self._out), 0)

    def _due_in(self) -> float:
        """In how many seconds a task's time comes, and its own machine has let it be."""
        delayed = self._engine.ready.next_delayed()
        if delayed is None:
            return math.inf
        return max(delayed - self._engine.clock(), 0.0) + _OWN_FIRST_S

    def _acknowledge(self) -> None:
        """What is recorded need not come again."""
        self._desk.acknowledge(self._handles)
        self._handles = []

    def _was_written(self) -> bool:
        journal = self._engine.journal
        return self._seen != journal.end or journal.moved_on()

    def _runs(self, does: str) -> bool:
        return bool(does) and self._own.token(does) in self._kinds

    def _size(self, task: Task, count: int) -> int:
        """So many that they take a twentieth of a second, and everybody gets a share."""
        if _bytes_of(task) > self._desk.most_bytes:
            return 0
        took = self._took.get(task.does)
        if took is None or task.limits:
            return 1
        share = math.ceil(count / max(self._others.places(), 1))
        most = self._desk.most_bytes // max(_bytes_of(task), _SMALLEST)
        return max(min(int(_HANDFUL_S / max(took, 1e-6)), _LARGEST_HANDFUL, share, most), 1)

    # --- what is out there -----------------------------------------------------------------------

    def _offer(self, leases: Sequence[Lease]) -> None:
        offers = []
        now = time.monotonic()
        for lease in leases:
            does = lease.tasks[0].does
            sha256 = self._own.hashes().get(does, "")
            job = Job(
                self._node, self.name, lease.number, does, sha256, [_told(t) for t in lease.tasks]
            )
            body = encode(job)
            kind = kind_token(does, sha256)
            self._out[lease.number] = _Out(kind, {task.task_id for task in lease.tasks}, now)
            if len(body) > self._desk.most_bytes:  # those behind the first are larger than it
                self._bring_back(lease.number)
                continue
            offers.append(Offer(lease.number, kind, self.name, body))
        if offers:
            self._desk.offer(offers)

    def _stop(self, tasks: Sequence[str]) -> None:
        now = time.monotonic()
        if tasks and now - self._stopped_at > _CHECK_S / 2:
            self._stopped_at = now
            self._desk.say(Stop(self._node, self.name, [*tasks]))

    def _bring_back(self, lease: int) -> None:
        """Have its tasks be in the queue again; a result that comes later is void."""
        out = self._out.pop(lease)
        self._returned.setdefault(lease, set()).update(out.tasks)
        self._desk.wanted.discard(lease)
        if out.seq is not None:
            self._desk.withdraw([out.seq])

    def _look_after(self, now: float) -> None:
        """Bring back what nobody will run."""
        if now < self._next_check:
            return
        self._next_check = now + _CHECK_S
        if self._desk.connected:
            if now - self._seen_link > 2 * _CHECK_S:
                self._linked_at = now  # others are to be heard first
            self._seen_link = now
            self._ask_after_old(now)
        elif now - self._seen_link > _AWAY_S:
            for lease in [*self._out]:
                self._bring_back(lease)
            self._desk.sweep()

    def _ask_after_old(self, now: float) -> None:
        self._able_at |= dict.fromkeys(self._others.tokens(), now)
        for lease, out in [*self._out.items()]:
            if now - max(self._able_at.get(out.kind, out.at), self._linked_at) > _AWAY_S:
                self._bring_back(lease)
        old = [
            (lease, out.seq, out)
            for lease, out in self._out.items()
            if out.seq is not None and now - max(out.at, out.looked) > _OLD_S
        ][:_MOST_LOOKS]
        for _, _, out in old:
            out.looked = now
        if old:
            self._desk.look([(lease, seq, self.name) for lease, seq, _ in old])


def _told(task: Task) -> JobTask:
    payload = task.payload if isinstance(task.payload, Mapping) else {}
    return JobTask(
        task=task.task_id,
        key=task.key or task.task_id,
        attempt=max(task.attempts, 1),
        params=dict(payload.get("params", {})),
        priority=task.priority.value,
        timeout_s=task.timeout_s,
        needs={pool.value: amount for pool, amount in task.needs.items()},
    )


def _bytes_of(task: Task) -> int:
    payload = task.payload if isinstance(task.payload, Mapping) else {}
    return len(msgspec.json.encode(payload.get("params", {}))) + 6 * len(task.task_id) + _SMALLEST


def _outcome(said: msgspec.Raw) -> Outcome:
    """
    What is said of a task; an error, where it is nothing that can be recorded.

    Raises:
        ClusterError: It is not even said of which.
    """
    try:
        return decode_outcome(said)
    except ClusterError as error:
        of = decode(said, OfTask)
        why = {"message": error.message, "type": "ResultBroken"}
        return Outcome(of.session, of.lease, of.task, "error", error=why, final=True)


def _texts(error: Mapping[str, Any]) -> dict[str, str]:
    """*error*, of which a peer may have made anything, as tasks of this machine have it."""
    shown = [*error.items()][:_MOST_OF_AN_ERROR]
    found = {
        name[:_LONGEST_TEXT]: (
            value if isinstance(value, str) else msgspec.json.encode(value).decode()
        )[:_LONGEST_TEXT]
        for name, value in shown
    }
    return {"message": "it does not say why"} | found


def _ended(node: str, one: Outcome) -> Ended:
    return Ended(
        one.task,
        one.lease,
        one.outcome,
        one.result,
        None if one.error is None else _texts(one.error),
        one.duration_s,
        one.retry_after_s,
        one.final,
        node=node,
    )
