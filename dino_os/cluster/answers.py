"""What an owner is told of tasks that it had run here: nothing that it would refuse."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from dino_os.cluster.jobs import Outcome, decode_outcome, encode
from dino_os.errors import ClusterError, DinoError
from engines.resource_engine import OK_OUTCOMES, ResourceEngine, Task

_ENVELOPE = 2000  # bytes of a report around its outcomes, generously
Key = tuple[str, str, int]


class Home(NamedTuple):
    """Where a task of this queue comes from: its owner, and the session and lease there."""

    owner: str
    session: str
    lease: int
    task: str

    @property
    def key(self) -> Key:
        return self.owner, self.session, self.lease


def outcome_of(home: Home, task: Task | None, engine: ResourceEngine, most: int) -> bytes:
    """What the owner is told of *task*, whose end is on record here: nothing that it refuses."""
    found = _whole_outcome(home, task, engine, most)
    try:
        decode_outcome(found)
    except ClusterError as error:
        return _failed(home, error.message, "ResultBroken")
    return found


def _whole_outcome(home: Home, task: Task | None, engine: ResourceEngine, most: int) -> bytes:
    if task is None:
        return _failed(home, "its worker has no record of it", "WorkerLost", final=False)
    if task.outcome in OK_OUTCOMES:
        try:
            # Where it lies in a file, that is read.
            whole = engine.recall(task.task_id) if task.result_sha256 else task
            result = whole.result if whole else None
        except DinoError as error:
            return _failed(home, error.message, "ResultBroken")
        found = _encoded(home, task, result=result)
        if len(found) + _ENVELOPE <= most:
            return found
        told = f"its result is {len(found):,} bytes, of which {most - _ENVELOPE:,} may travel"
        return _failed(home, told, "ResultTooLarge")
    told_error = {**(task.error or {})}
    final, after = bool(told_error.pop("final", False)), told_error.pop("retry_after_s", None)
    return _encoded(home, task, error=told_error, final=final, retry_after_s=after)


def _encoded(home: Home, task: Task, **about: Any) -> bytes:
    word: Any = task.outcome
    took = task.duration_s or 0.0
    return encode(Outcome(home.session, home.lease, home.task, word, duration_s=took, **about))


def _failed(home: Home, message: str, kind: str, *, final: bool = True) -> bytes:
    error = {"message": message, "type": kind}
    return encode(Outcome(home.session, home.lease, home.task, "error", error=error, final=final))


def parts(outcomes: list[bytes], most: int) -> list[list[bytes]]:
    """The outcomes in as few reports as hold them."""
    found: list[list[bytes]] = []
    size = most
    for outcome in outcomes:
        if size + len(outcome) + 1 > most - _ENVELOPE:
            found.append([])
            size = 0
        found[-1].append(outcome)
        size += len(outcome) + 1
    return found


def report(node: str, outcomes: list[bytes]) -> bytes:
    """Them as what *node* says."""
    return b'{"node":%b,"ended":[%b]}' % (msgspec.json.encode(node), b",".join(outcomes))
