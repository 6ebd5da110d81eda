"""A rehearsal of being offline: work on two sides that do not hear of each other, then do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from engines.latent_cache.queue import OfflineQueue
from engines.latent_cache.store import DocumentStore
from engines.nav_mesh import Request

_EVERY_S = 60.0  # something is done
_MOST = 200  # operations
_LEASE_S = 30.0


def survives(seconds: float) -> bool:
    """
    Whether all that is done offline for so long arrives on the other side, once, and in order.

    Works on stores of its own, in a temporary folder, by a clock of its own.
    """
    with tempfile.TemporaryDirectory(prefix="dino-offline-") as folder:
        now = 0.0

        def clock() -> float:
            return now

        here, there = (DocumentStore(Path(folder) / f"{name}.db", clock=clock) for name in "ab")
        with here, there:
            queue = OfflineQueue(here, clock=clock)
            steps = min(max(int(seconds / _EVERY_S), 3), _MOST)
            for step in range(steps):
                now += seconds / steps
                _work(here, there, queue, step)
            now += _LEASE_S
            _exchange(here, there)
            _exchange(there, here)
            sent = list(_sent(queue, clock))
            return (
                _leaves(here) == _leaves(there)
                and len(_leaves(here)) == min(steps, 7)
                and sent == [f"step-{step}" for step in range(steps)]
            )


def _work(here: DocumentStore, there: DocumentStore, queue: OfflineQueue, step: int) -> None:
    here.set(f"doc-{step % 7}", {"value": step})
    if step % 3 == 0:
        there.set(f"doc-{step % 7}", {"value": -step})
    request = Request("POST", "/", idempotency_key=f"step-{step}", ordered_by="line")
    for _ in range(2):  # asked for twice, queued once
        queue.put("info", "rehearsal", request, authorised=True)


def _exchange(source: DocumentStore, target: DocumentStore) -> None:
    asked = {change.id: change.revs for change in source.changes()}
    missing = target.revs_diff(asked)
    wanted = [(name, rev) for name, told in missing.items() for rev in told["missing"]]
    target.write_revisions(source.read_revisions(wanted))


def _sent(queue: OfflineQueue, clock: Callable[[], float]) -> list[str]:
    found: list[str] = []
    for attempt in count():
        one = queue.claim(clock() + attempt * _LEASE_S, owner="rehearsal", lease_s=_LEASE_S)
        if one is None:
            break
        if attempt % 5 == 4:  # noqa: PLR2004  one sender in five dies before it sends
            continue
        found.append(one.idempotency_key)
        queue.done(one.id, "rehearsal", status=200)
    return found


def _leaves(store: DocumentStore) -> dict[str, list[tuple[str, bool]]]:
    return {change.id: store.leaves(change.id) for change in store.changes()}
