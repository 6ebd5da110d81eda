"""
Who runs which due time: one key for each, made once, in a bucket that all nodes share.

    (none) ──create──▶ begun ──▶ fired       it is in the journal of who holds it, and runs there
                         │ └───▶ skipped     its policies there said so
                         └─────▶ begun       by another node, where the first did not go on

Each step is bound to the revision before it.  Who holds a claim makes it *fired* before anything
runs: so a claim that was begun can be taken over, whether its holder is dead or slow, and the
holder that comes back finds it gone.  One that is *fired* is its holder's for good.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any

from dino_os.cluster.leading import Me
from dino_os.scheduler.shared import Time, Verdict

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

BEGUN, FIRED, SKIPPED = "begun", "fired", "skipped"
_AT_ONCE = 200
_ANSWER_S = 5.0


class Claims:
    """
    The claims of this node, and what it saw of others'.

    Args:
        patience_s: After which time one that was begun and not gone on with is taken over.
        steady: Seconds, only ever forward.
    """

    def __init__(
        self, me: Me, *, patience_s: float, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._me = me
        self._patience_s = patience_s
        self._steady = steady
        self._held: dict[Time, int] = {}
        self._seen_begun: dict[tuple[Time, int], float] = {}

    async def claim(
        self, bucket: KeyValue, times: Collection[Time], may: Callable[[Time], bool]
    ) -> dict[Time, Verdict]:
        """
        Claim those of *times* that this node *may*; what is not settled is not in the answer.

        Raises:
            nats.errors.Error: The servers do not answer, or refuse.
        """
        return await _each(times, lambda time: self._claim(bucket, time, may=may(time)))

    async def confirm(self, bucket: KeyValue, times: Collection[Time]) -> dict[Time, Verdict]:
        """Make claims *fired*; who has them.  Raises as `claim`."""
        return await _each(times, lambda time: self._settle(bucket, time, FIRED))

    async def drop(self, bucket: KeyValue, times: Collection[Time]) -> None:
        """Make claims *skipped*.  Raises as `claim`."""
        await _each(times, lambda time: self._settle(bucket, time, SKIPPED))

    async def between(
        self, bucket: KeyValue, job: str, first: float, last: float
    ) -> dict[Time, Verdict]:
        """What others had of a job's times from *first* to *last*.  Raises as `claim`."""
        watcher: Any = await bucket.watch(f"{job}.*", ignore_deletes=True)
        found: dict[Time, Verdict] = {}
        try:
            while entry := await watcher.updates(timeout=_ANSWER_S):
                digits = entry.key.rpartition(".")[2]
                if not digits.isdecimal():
                    continue
                due = int(digits) / 1000
                value = _read(entry.value)
                if first <= due <= last and value["state"] != BEGUN and not self._me.wrote(value):
                    found[job, due] = _theirs(value)
        finally:
            await watcher.stop()
        return found

    # --- one ---------------------------------------------------------------------------------

    async def _claim(self, bucket: KeyValue, time: Time, *, may: bool) -> Verdict | None:
        from nats.js.errors import KeyWrongLastSequenceError  # noqa: PLC0415

        found, revision = await _get(bucket, time)
        try:
            if found is None:
                return await self._begin(bucket, time, 0) if may else None
            if self._me.wrote(found) and found["state"] != SKIPPED:
                self._held[time] = revision
                return Verdict()
            if found["state"] != BEGUN:
                self._seen_begun.pop((time, revision), None)
                return _theirs(found)
            if may and self._is_abandoned(time, revision):
                return await self._begin(bucket, time, revision)
        except KeyWrongLastSequenceError:
            pass  # somebody was first; who, is seen the next time
        return None

    async def _begin(self, bucket: KeyValue, time: Time, revision: int) -> Verdict:
        self._held[time] = await _put(bucket, time, self._value(BEGUN), revision)
        return Verdict()

    async def _settle(self, bucket: KeyValue, time: Time, state: str) -> Verdict | None:
        from nats.js.errors import KeyWrongLastSequenceError  # noqa: PLC0415

        revision = self._held.pop(time, None)
        if revision is None:
            found, revision = await _get(bucket, time)
            if found is not None and not self._me.wrote(found):
                return _theirs(found) if found["state"] != BEGUN else Verdict(found["node"])
            if found is not None and found["state"] == state:
                return Verdict()
        try:
            await _put(bucket, time, self._value(state), revision)
        except KeyWrongLastSequenceError:
            found, _ = await _get(bucket, time)
            if found is None:
                return None
            return Verdict() if self._me.wrote(found) else Verdict(found["node"])
        return Verdict()

    def _is_abandoned(self, time: Time, revision: int) -> bool:
        """Whether it has been as it is for so long that its holder will not go on with it."""
        since = self._seen_begun.setdefault((time, revision), self._steady())
        if self._steady() - since < self._patience_s:
            return False
        del self._seen_begun[time, revision]
        return True

    def _value(self, state: str) -> dict[str, Any]:
        return {"node": self._me.node, "id": self._me.workspace, "state": state}


def _theirs(value: dict[str, Any]) -> Verdict:
    return Verdict(value["node"], SKIPPED if value["state"] == SKIPPED else None)


def _key(time: Time) -> str:
    return f"{time[0]}.{round(time[1] * 1000)}"


async def _get(bucket: KeyValue, time: Time) -> tuple[dict[str, Any] | None, int]:
    from nats.js.errors import KeyNotFoundError  # noqa: PLC0415

    try:
        entry = await bucket.get(_key(time))
    except KeyNotFoundError:
        return None, 0
    return _read(entry.value), entry.revision or 0


def _read(text: bytes | None) -> dict[str, Any]:
    """A claim; what is none is taken for one that somebody began and will not go on with."""
    try:
        value = json.loads(text or b"")
        return {"node": str(value["node"]), "id": str(value["id"]), "state": str(value["state"])}
    except (ValueError, KeyError, TypeError):
        return {"node": "unknown", "id": "", "state": BEGUN}


async def _put(bucket: KeyValue, time: Time, value: dict[str, Any], revision: int) -> int:
    """Write it if it is as it was at *revision* (0: not there); the revision that this makes."""
    return await bucket.update(_key(time), json.dumps(value).encode(), revision)


async def _each(
    times: Collection[Time], make: Callable[[Time], Awaitable[Verdict | None]]
) -> dict[Time, Verdict]:
    left, found = list(times), dict[Time, Verdict | None]()
    for first in range(0, len(left), _AT_ONCE):
        some = left[first : first + _AT_ONCE]
        found |= zip(some, await asyncio.gather(*map(make, some)), strict=True)
    return {time: verdict for time, verdict in found.items() if verdict is not None}
