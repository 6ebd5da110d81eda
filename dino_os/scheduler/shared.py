"""
Due times that nodes of a cluster share: what is asked of whoever keeps them, and the answers.

A job is the same on all nodes that have it under the same name with the same definition.  For each
of its due times one node holds the claim, which is asked for before anything is decided here and
confirmed, once that is recorded, before anything is submitted: a claim that was taken over in
between is found out by the node that lost it, and never runs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from dino_os.scheduler.due import Decision, Row, Run, Times, just_after
from dino_os.scheduler.model import ALONE, HELD
from dino_os.scheduler.policies import Policies

Time = tuple[str, float]
"""A job, by its definition, and one of its due times."""

WINDOW_S = 2 * 86_400.0
"""What was missed longer ago than this is not made good: claims are not kept for ever."""

_MOST_LOOKED_UP = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Who has a due time.

    Attributes:
        node: Which other node; None: this one.
        why: What became of it there, where it did not run: skipped.
        alone: Nobody could be asked, and the settings say to go on.
    """

    node: str | None = None
    why: str | None = None
    alone: bool = False

    @property
    def is_claim(self) -> bool:
        """Whether this node holds it against the others."""
        return self.node is None and not self.alone


@dataclass(slots=True)
class Question:
    """
    What is to be asked.

    Attributes:
        claims: Due times that would run here.
        missed: From when to when nobody was here for a job.
    """

    claims: list[Time] = field(default_factory=list)
    missed: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.claims or self.missed)


class Occurrences(Protocol):
    """
    Who runs which due time, among the nodes of a cluster.

    What cannot be answered, for want of a connection or because it is not settled yet, is not in
    the answer; it is asked again after `pause_s`.  Nothing here raises for want of a connection.
    """

    def look(self, serves: Collection[str]) -> bool:
        """Take part with these jobs; whether anything can be decided now."""

    def time(self, job: str, now: float) -> float:
        """What time it is for that job, where it is *now* by our clock: never later than that."""

    def ask(self, question: Question) -> Mapping[Time, Verdict] | None:
        """Claim what may be claimed; also who had which of what was missed.  None: all waits."""

    def confirm(self, held: Collection[Time], dropped: Collection[Time]) -> Mapping[Time, Verdict]:
        """Make claims final before they run, or because they do not; who has them."""

    def release(self) -> None:
        """Take no part any more, for now."""

    def pause_s(self, *, waiting: bool) -> float | None:
        """When it wants to be asked again, *waiting* for an answer or not; None: when need be."""


@dataclass(frozen=True, slots=True)
class Answers:
    """
    What was answered to *question*.

    Attributes:
        verdicts: None: nothing could be asked.
        time: As `Occurrences.time`.
    """

    question: Question
    verdicts: Mapping[Time, Verdict] | None
    time: Callable[[str, float], float]

    @property
    def settle_something(self) -> bool:
        """Whether there is more to decide than there was without them."""
        missed_only = bool(self.question) and not self.question.claims
        return bool(self.verdicts) or (missed_only and self.verdicts is not None)


def bounded(policies: Policies) -> Policies:
    """*policies* of a job that is shared."""
    return replace(policies, catchup_window_s=min(policies.catchup_window_s, WINDOW_S))


def shared_out(decision: Decision, times: Times, known: Mapping[float, Verdict]) -> Decision:
    """
    What of *decision* is to be done here, up to the first run whose claim is not settled.

    Among its rows is then also what other nodes had.
    """
    rows = [part for row in decision.rows for part in _told_apart(row, times, known)]
    runs: list[Run] = []
    for run in decision.runs:
        verdict = known.get(run.due)
        if verdict is None:
            return Decision(run.due, [row for row in rows if row.last < run.due], runs)
        if verdict.node is None:
            runs.append(replace(run, claim=ALONE if verdict.alone else HELD))
        else:
            rows.append(Row(run.due, run.due, 1, verdict.why or "", why=run.why, node=verdict.node))
    return Decision(decision.next_run, rows, runs)


def _told_apart(row: Row, times: Times, known: Mapping[float, Verdict]) -> Iterator[Row]:
    """*row* as what other nodes had of it, and what nobody had."""
    theirs = any(row.first <= due <= row.last and known[due].node for due in known)
    if not theirs or row.more or row.count > _MOST_LOOKED_UP:
        yield row
        return
    whole: Row | None = None
    for due in times.within(row.first, just_after(row.last)):
        verdict = known.get(due, Verdict())
        reason = row.reason if verdict.node is None else verdict.why or ""
        if whole and (whole.node, whole.reason) == (verdict.node, reason):
            whole = replace(whole, last=due, count=whole.count + 1)
            continue
        if whole:
            yield whole
        whole = Row(due, due, 1, reason, why=row.why, node=verdict.node)
    if whole:
        yield whole
