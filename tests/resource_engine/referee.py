"""
Reads the queue's record as a stranger would, and objects to whatever is against the rules.

It shares no code with the engine: what it holds a task to is written here once more, simply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPEN = {"waiting", "queued", "delayed", "running"}


@dataclass
class Seen:
    """A task, as far as the record tells."""

    row: Mapping[str, Any]
    state: str
    attempts: int = 0
    lease: int | None = None
    not_before: float | None = None
    start_by: float | None = None
    unmet: set[str] = field(default_factory=set)
    cancelling: bool = False
    began: float = 0.0

    @property
    def needs(self) -> dict[str, int]:
        return dict(self.row.get("needs", {"compute": 1}))

    @property
    def limits(self) -> dict[str, int]:
        return dict(self.row.get("limits", {}))

    @property
    def kind(self) -> tuple[object, ...]:
        return tuple(self.needs.items()), tuple(self.limits.items())

    def rank(self, ageing_s: float) -> float:
        return float(self.row["created_at"]) + self.row.get("priority", 2) * ageing_s

    def may_start(self, now: float) -> bool:
        if self.state != "delayed":
            return self.state == "queued"
        # One whose last attempt is yet to come: the clock was set back since.
        return (self.not_before or 0.0) <= now or self.began > now


class Referee:
    """
    What the record has come to.

    Args:
        capacities: Pool → how much there is; it does not change.
    """

    def __init__(self, capacities: Mapping[str, int], ageing_s: float) -> None:
        self.capacities = dict(capacities)
        self.ageing_s = ageing_s
        self.now = 0.0
        self.tasks: dict[str, Seen] = {}
        self.keys: set[str] = set()
        self.sessions: dict[str, int] = {}
        self.leases: dict[int, tuple[str, list[str]]] = {}
        self.reserved: dict[str, Mapping[str, int]] = {}
        self.drained = -1
        self.ended: Counter[str] = Counter()

    def read(self, event: Mapping[str, Any], now: float) -> None:
        self.now = now
        if method := getattr(self, f"_{event['event_type']}", None):
            method(event)

    def allocated(self) -> Counter[str]:
        taken: Counter[str] = Counter()
        for _, tasks in self.leases.values():
            taken.update(self.tasks[tasks[0]].needs)
        for needs in self.reserved.values():
            taken.update(needs)
        return taken

    def running_in(self) -> Counter[str]:
        return Counter(g for _, tasks in self.leases.values() for g in self.tasks[tasks[0]].limits)

    def fits(self, one: Seen) -> bool:
        taken, running = self.allocated(), self.running_in()
        room = all(taken[pool] + n <= self.capacities[pool] for pool, n in one.needs.items())
        return room and all(running[group] < most for group, most in one.limits.items())

    def could_start(self) -> list[Seen]:
        return [one for one in self.tasks.values() if one.may_start(self.now)]

    # --- tasks -------------------------------------------------------------------------------

    def _task_submitted(self, event: Mapping[str, Any]) -> None:
        assert event["task_id"] not in self.tasks, "submitted twice"
        if key := event.get("key"):
            assert key not in self.keys, "a key taken twice"
            self.keys.add(key)
        unmet = {o for o in event.get("after", ()) if self.tasks[o].state != "succeeded"}
        later = event.get("not_before")
        state = "waiting" if unmet else "delayed" if later and later > self.now else "queued"
        self.tasks[event["task_id"]] = Seen(
            event, state, not_before=later, start_by=event.get("start_by"), unmet=unmet
        )

    def _pool_scaled(self, event: Mapping[str, Any]) -> None:
        self.capacities[event["pool"]] = event["capacity"]

    def _lease_granted(self, event: Mapping[str, Any]) -> None:
        ids = event["tasks"]
        assert ids, "a lease without tasks"
        assert len(set(ids)) == len(ids), "a task twice in one lease"
        assert event["session"] in self.sessions, "granted to nobody"
        assert self.sessions[event["session"]] > self.drained, "granted to one that is to leave"
        tasks = [self.tasks[one] for one in ids]
        assert len({one.kind for one in tasks}) == 1, "tasks under one lease need the same"
        assert self.fits(tasks[0]), "more than there is, or more at once than may be"
        for one in tasks:
            assert one.may_start(self.now), f"started while {one.state}"
            assert one.start_by is None or self.now <= one.start_by, "started too late"
        self._is_the_order(tasks)
        for one in tasks:
            one.state, one.lease, one.attempts = "running", event["seq"], one.attempts + 1
            one.began = event["timestamp"]
        self.leases[event["seq"]] = (event["session"], [*ids])

    def _is_the_order(self, tasks: list[Seen]) -> None:
        """None of the same kind that was left goes before one that was taken."""
        last = max(one.rank(self.ageing_s) for one in tasks)
        for one in self.could_start():
            if one.kind == tasks[0].kind and one not in tasks:
                assert one.rank(self.ageing_s) >= last, "passed by one of a later rank"

    def _tasks_returned(self, event: Mapping[str, Any]) -> None:
        for one in event["tasks"]:
            assert not self.tasks[one].cancelling, "what is to be stopped does not go back"
            self._off_lease(one)
            self.tasks[one].attempts -= 1
            self.tasks[one].state = "queued"

    def _task_succeeded(self, event: Mapping[str, Any]) -> None:
        assert self.tasks[event["task_id"]].state == "running"
        self._off_lease(event["task_id"])
        self._end(event["task_id"], "succeeded")
        for one in self.tasks.values():
            if one.state == "waiting":
                one.unmet.discard(event["task_id"])
                if not one.unmet:
                    later = one.not_before and one.not_before > self.now
                    one.state = "delayed" if later else "queued"

    def _task_failed(self, event: Mapping[str, Any]) -> None:
        one = self.tasks[event["task_id"]]
        if event["error"].get("type") == "TooLate":
            assert one.may_start(self.now)
            assert one.start_by is not None
            assert one.start_by < self.now
        else:
            assert one.state == "running"
            assert not one.cancelling, "what is to be stopped is not tried again"
            self._off_lease(event["task_id"])
        if (again := event["retry_at"]) is None:
            self._end(event["task_id"], "dead")
        else:
            assert self.now <= again <= self.now + max(300.0, 2.0**one.attempts)
            one.state, one.not_before = "delayed", again

    def _task_cancel_requested(self, event: Mapping[str, Any]) -> None:
        assert self.tasks[event["task_id"]].state == "running"
        self.tasks[event["task_id"]].cancelling = True

    def _task_cancelled(self, event: Mapping[str, Any]) -> None:
        if self.tasks[event["task_id"]].state == "running":
            self._off_lease(event["task_id"])
        self._end(event["task_id"], "cancelled")

    def _task_requeued(self, event: Mapping[str, Any]) -> None:
        one = self.tasks[event["task_id"]]
        assert one.state == "dead"
        one.state, one.attempts, one.start_by = "queued", 0, None
        self.ended[event["task_id"]] = 0

    # --- sessions ----------------------------------------------------------------------------

    def _session_joined(self, event: Mapping[str, Any]) -> None:
        self.sessions[event["session"]] = event["seq"]

    def _session_left(self, event: Mapping[str, Any]) -> None:
        held = [tasks for session, tasks in self.leases.values() if session == event["session"]]
        assert not held, "a session that is gone holds nothing"
        del self.sessions[event["session"]]

    _session_lost = _session_left

    def _drain_requested(self, event: Mapping[str, Any]) -> None:
        self.drained = event["seq"]

    def _resources_reserved(self, event: Mapping[str, Any]) -> None:
        taken = self.allocated()
        assert all(taken[p] + n <= self.capacities[p] for p, n in event["needs"].items())
        self.reserved[event["holder"]] = event["needs"]

    def _resources_released(self, event: Mapping[str, Any]) -> None:
        del self.reserved[event["holder"]]

    # --- both --------------------------------------------------------------------------------

    def _off_lease(self, task_id: str) -> None:
        one = self.tasks[task_id]
        assert one.lease is not None
        left = self.leases[one.lease][1]
        left.remove(task_id)
        if not left:
            del self.leases[one.lease]
        one.lease = None

    def _end(self, task_id: str, state: str) -> None:
        one = self.tasks[task_id]
        given_up = one.state == "dead" and state == "cancelled"
        assert one.state in OPEN or given_up, f"{task_id} ended as {one.state}, then as {state}"
        self.ended[task_id] += not given_up
        assert self.ended[task_id] == 1, f"{task_id} ended twice"
        one.state, one.cancelling = state, False
