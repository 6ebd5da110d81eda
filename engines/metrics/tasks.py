"""
The journal `engine_state`, counted: tasks, attempts at them, how long they waited and ran, and
what outages did to them.

An outage is what happens to a task that is none of its doing: nobody worked when it could have
started, its worker was lost, or what it delivers could not be delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counter, counters, gauges, histograms
from engines.metrics.fold import OTHER, JournalFold
from engines.metrics.histogram import LONG_SPANS, Histogram
from engines.metrics.staffing import Staffing

_PRIORITIES = ("critical", "high", "normal", "low")
_DEAD_KEPT = 10_000  # as many as the queue itself keeps
_STATES = ("waiting", "delayed", "ready", "running", "dead")


@dataclass(slots=True)
class Pending:
    """
    A task that has not ended.

    Attributes:
        runs: What it runs, as a label.
        ready_at: From when on it could start; None while it waits for others.
        unmet: For how many it waits.
        claimed_at: While a worker has it.
        hit_at: When an outage took it out of a worker's hands.
        outage: How long the longest outage was that it met; None where it met none.
    """

    runs: str
    priority: str
    ready_at: float | None
    unmet: int = 0
    claimed_at: float | None = None
    hit_at: float | None = None
    outage: float | None = None

    def met(self, seconds: float | None) -> None:
        if seconds is not None:
            self.outage = max(self.outage or 0.0, seconds, 0.0)


class TaskFold(JournalFold):
    """What became of tasks."""

    journal_name = "engine_state"
    told: ClassVar = (
        *("submitted", "claimed", "succeeded", "retried", "dead", "cancelled", "requeued"),
        *("workers_lost", "survived_outage", "lost_to_outage"),
    )

    def reset(self) -> None:
        super().reset()
        self.open: dict[str, Pending] = {}
        self.dead: dict[str, Pending] = {}
        self.dependents: dict[str, list[str]] = {}
        self.staffing = Staffing()
        self.attempts: dict[str, dict[str, int]] = {}
        self.waits = {name: Histogram() for name in _PRIORITIES}
        self.runs: dict[str, Histogram] = {}
        self.outages = {fate: Histogram(LONG_SPANS) for fate in ("survived", "lost")}
        self.scalings: dict[str, dict[str, int]] = {}

    # --- tasks -------------------------------------------------------------------------------

    def apply_task_submitted(self, event: Event) -> None:
        at, unmet = event["timestamp"], event.get("unmet", ())
        ready_at = None if unmet else max(at, event.get("not_before") or at)
        priority = _PRIORITIES[event.get("priority", 2)]
        self.open[event["task_id"]] = Pending(self._runs(event), priority, ready_at, len(unmet))
        for other in unmet:
            self.dependents.setdefault(other, []).append(event["task_id"])
        self.tally(event, "submitted")

    def apply_lease_granted(self, event: Event) -> None:
        at = event["timestamp"]
        self.staffing.sign_of_life(event["session"], at)
        for task in self._known(event):
            task.claimed_at = at
            if task.hit_at is not None:
                task.met(at - task.hit_at)
                task.hit_at = None
            if task.ready_at is not None:
                task.met(self.staffing.waited(task.ready_at))
        self.tally(event, "claimed", len(event["tasks"]))

    def apply_tasks_returned(self, event: Event) -> None:
        for task in self._known(event):
            task.claimed_at = None
        self.tally(event, "returned", len(event["tasks"]))

    def apply_task_succeeded(self, event: Event) -> None:
        task = self.open.pop(event["task_id"], None)
        self._attempt(event, task, event["outcome"], event["duration_s"])
        self.tally(event, "succeeded")
        for one in self.dependents.pop(event["task_id"], ()):
            if waiting := self.open.get(one):
                waiting.unmet -= 1
                if waiting.unmet <= 0:
                    waiting.ready_at = event["timestamp"]
        self._settle(event, task, "survived")

    def apply_task_failed(self, event: Event) -> None:
        at, task = event["timestamp"], self.open.get(event["task_id"])
        began = task is None or task.claimed_at is not None
        fate = _fate(event, began=began)
        if began:
            self._attempt(event, task, event["outcome"], event["duration_s"])
        elif task and task.ready_at is not None:  # too late
            task.met(self.staffing.waited(task.ready_at))
        if fate == "worker":
            self.tally(event, "workers_lost")
        if task and fate in {"worker", "delivery"}:
            task.hit_at = at
            task.met(0.0)
        if event["retry_at"] is None:
            self._die(event, task)
            self._settle(event, task, "lost" if fate else None)
            return
        self.tally(event, "retried")
        if task:
            task.claimed_at, task.ready_at = None, max(at, event["retry_at"])

    def apply_task_cancelled(self, event: Event) -> None:
        task_id, at = event["task_id"], event["timestamp"]
        task = self.open.pop(task_id, None)
        self.dependents.pop(task_id, None)
        if task and task.claimed_at is not None:
            self._attempt(event, task, "cancelled", at - task.claimed_at)
        if task_id in self.dead:
            del self.dead[task_id]
            self.tally(event, "given_up")
        self.tally(event, "cancelled")

    def apply_task_requeued(self, event: Event) -> None:
        task = self.dead.pop(event["task_id"], None) or Pending(OTHER, "normal", None)
        fresh = Pending(task.runs, task.priority, event["timestamp"])
        self.open[event["task_id"]] = fresh
        self.tally(event, "requeued")

    # --- workers and pools -------------------------------------------------------------------

    def apply_session_joined(self, event: Event) -> None:
        self.staffing.joined(event["session"], event["timestamp"])
        self.tally(event, "sessions_joined")

    def apply_session_alive(self, event: Event) -> None:
        self.staffing.sign_of_life(event["session"], event["timestamp"])

    def apply_session_left(self, event: Event) -> None:
        self.staffing.left(event["session"], event["timestamp"])

    def apply_session_lost(self, event: Event) -> None:
        self.staffing.lost(event["session"])
        self.tally(event, "sessions_lost")

    def apply_pool_scaled(self, event: Event) -> None:
        moves = self.scalings.setdefault(self.label(event["pool"]), {"up": 0, "down": 0})
        moves["up" if event["capacity"] > event["was"] else "down"] += 1

    # --- queries -----------------------------------------------------------------------------

    def depth(self, now: float) -> Counter[str]:
        """How many tasks that have not ended are in which state."""
        found = Counter(dict.fromkeys(_STATES, 0))
        found.update(_state(task, now) for task in self.open.values())
        found["dead"] = len(self.dead)
        return found

    def families(self, now: float) -> Iterable[Family]:
        names, totals = _FAMILIES, self.totals
        yield counter(*names["submitted"], totals["submitted"])
        finished = {state: totals[state] for state in ("succeeded", "dead", "cancelled")}
        yield counters(*names["finished"], by("state", finished))
        for name in ("requeued", "retried", "workers_lost", "returned", "sessions_joined"):
            yield counter(*names[name], totals[name])
        yield counters(
            *names["attempts"],
            (
                ({"runs": runs, "outcome": outcome}, count)
                for runs, outcomes in self.attempts.items()
                for outcome, count in outcomes.items()
            ),
        )
        yield histograms(*names["waits"], (({"priority": p}, h) for p, h in self.waits.items()))
        yield histograms(*names["runs"], (({"runs": r}, h) for r, h in self.runs.items()))
        yield histograms(*names["outages"], (({"fate": f}, h) for f, h in self.outages.items()))
        yield gauges(*names["depth"], by("state", self.depth(now)))
        yield counters(
            *names["scalings"],
            (
                ({"pool": pool, "direction": way}, count)
                for pool, moves in self.scalings.items()
                for way, count in moves.items()
            ),
        )

    # --- below the face ----------------------------------------------------------------------

    def _runs(self, event: Event) -> str:
        payload = event.get("payload") or {}
        kind = next((kind for kind in ("skill", "call") if kind in payload), None)
        return self.label(f"{kind}:{payload[kind]}") if kind else "nothing"

    def _known(self, event: Event) -> list[Pending]:
        found = (self.open.get(task_id) for task_id in event["tasks"])
        return [task for task in found if task]

    def _attempt(self, event: Event, task: Pending | None, outcome: str, duration_s: float) -> None:
        """An attempt that began has ended; of a task whose beginning was pruned little is known."""
        runs = task.runs if task else OTHER
        outcomes = self.attempts.setdefault(runs, {})
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self.tally(event, f"attempts_{outcome}")
        self.runs.setdefault(runs, Histogram()).observe(duration_s)
        if task and task.claimed_at is not None and task.ready_at is not None:
            # Of tasks that were claimed together, later ones began later.
            began = max(event["timestamp"] - duration_s, task.claimed_at)
            self.waits[task.priority].observe(began - task.ready_at)

    def _die(self, event: Event, task: Pending | None) -> None:
        self.open.pop(event["task_id"], None)
        self.tally(event, "dead")
        self.dead[event["task_id"]] = task or Pending(OTHER, "normal", None)
        if len(self.dead) > _DEAD_KEPT:
            del self.dead[next(iter(self.dead))]

    def _settle(self, event: Event, task: Pending | None, fate: str | None) -> None:
        """What came of an outage; a task that failed by itself says nothing about outages."""
        if task and fate and task.outage is not None:
            self.outages[fate].observe(task.outage)
            self.tally(event, f"{fate}_outage" if fate == "survived" else "lost_to_outage")


def _fate(event: Event, *, began: bool) -> str | None:
    """Which kind of outage an attempt failed by, or None."""
    kind = (event.get("error") or {}).get("type")
    if kind == "WorkerLost" and event["duration_s"] == 0:  # no error of a task comes so early
        return "worker"
    if event["outcome"] == "delivery_failed":
        return "delivery"
    return "late" if event["outcome"] == "blocked" and not began else None


def _state(task: Pending, now: float) -> str:
    if task.claimed_at is not None:
        return "running"
    if task.ready_at is None:
        return "waiting"
    return "delayed" if task.ready_at > now else "ready"


_FAMILIES = {
    "submitted": ("dino_tasks_submitted_total", "Tasks put into the queue."),
    "finished": ("dino_tasks_finished_total", "Tasks that came to an end, by which."),
    "requeued": ("dino_tasks_requeued_total", "Dead letters put back into the queue."),
    "retried": ("dino_task_retries_total", "Attempts after which another one was due."),
    "workers_lost": (
        "dino_task_workers_lost_total",
        "Attempts that ended because their worker did.",
    ),
    "returned": (
        "dino_task_claims_returned_total",
        "Tasks that were claimed and given back before they began.",
    ),
    "sessions_joined": ("dino_sessions_joined_total", "Processes that came to work."),
    "attempts": ("dino_task_attempts_total", "Attempts that began and ended, by outcome."),
    "waits": (
        "dino_task_queue_wait_seconds",
        "From when a task could start until it did, of attempts that ended.",
    ),
    "runs": ("dino_task_run_seconds", "How long attempts took."),
    "outages": (
        "dino_task_outage_seconds",
        "The longest outage of each task that met one, by whether the task was done in the end.",
    ),
    "depth": ("dino_tasks", "Tasks that are not done, by state."),
    "scalings": ("dino_pool_scalings_total", "How often a pool was made larger or smaller."),
}
