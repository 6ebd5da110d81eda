"""
The record of models at work.

    begun ──▶ model called, skills called ──▶ ended, in one outcome
                 │  ▲ resumed, by whoever decided what it waits for
                 ▼  │
               parked

A call of a model is recorded before its first byte leaves, under the lock, and only where it fits
the budget together with all that is spent and all that others have reserved: limits fail closed,
however many processes ask at once.  What is said lies in the journal while it is short, else in
`transcripts/` beside it, by hash.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import uuid4

from engines import checks
from engines.agent_log.errors import BudgetSpent, WrongState
from engines.agent_log.fold import Reserved, day_of
from engines.agent_log.model import (
    OUTCOMES,
    AgentRun,
    Approval,
    Budget,
    Kind,
    Spent,
    State,
    arguments_sha256,
)
from engines.agent_log.reading import AgentReadings
from engines.errors import InvalidInput
from engines.liveness import this_boot

_RESERVED_S = 3600.0
_OF_A_GOAL = _OF_AN_ERROR = _OF_A_REASON = 300  # characters


class AgentLog(AgentReadings):
    """
    The runs of the models of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
        clean: What may be kept of a JSON value that a model or a skill made.
    """

    # --- commands: the run -------------------------------------------------------------------

    def begin(
        self,
        kind: Kind | str,
        goal: str,
        *,
        model_wanted: str | None = None,
        skills: Collection[str] = (),
        limits: Mapping[str, Any] | None = None,
        actor: str,
        door: str,
        parent_run: str | None = None,
    ) -> str:
        """
        Begin a run, which this process has until it parks or finishes it; its id.

        Raises:
            InvalidInput: There is no such kind.
        """
        if kind not in {*Kind}:
            raise InvalidInput(f"no kind of run {kind!r}{checks.did_you_mean(kind, [*Kind])}")
        run, goal = uuid4().hex, str(self._clean(goal))
        self._files.sweep()
        self._hold(run)
        try:
            with self.deciding():
                self._places[run] = self.journal.end
                long = len(goal) > _OF_A_GOAL
                whole = self._contents.keep("whole_goal", goal) if long else {}
                self.record(
                    "agent_run_started",
                    run=run,
                    kind=Kind(kind).value,
                    goal=goal[:_OF_A_GOAL],
                    model_wanted=model_wanted,
                    skills=list(skills),
                    limits=dict(limits or {}),
                    actor=actor,
                    door=door,
                    parent_run=parent_run,
                    pid=os.getpid(),
                    boot=this_boot(),
                    **whole,
                )
        except BaseException:
            self._files.drop(run)
            raise
        return run

    def park(self, run: str, messages: Any, *, sealed: Any = None) -> None:
        """
        Let go of a run until people have decided.

        Args:
            messages: What it goes on from (JSON).
            sealed: What else it needs then, which nobody reads who looks at the record (JSON).

        Raises:
            WrongState: It is not under way.
        """
        with self.deciding():
            self._under_way(run)
            kept = self._kept("messages", messages) | self._contents.keep("sealed", sealed)
            self.record("agent_run_parked", run=run, **kept)
        self._files.drop(run)

    def resume(self, run: str) -> None:
        """
        Take a parked run, or one whose process was killed after it took it: of several who try, one
        gets it.

        Raises:
            WrongState: It was not parked, another process has it, or it has ended.
        """
        with self.deciding():
            found = self._seen(self._known(run))
            lost = found.state is State.INTERRUPTED and run in self._parked
            if found.state is not State.PARKED and not lost:
                raise WrongState(f"run {run} is not parked: it is {found.state.value}")
            self._hold(run)
            self.record("agent_run_resumed", run=run, pid=os.getpid(), boot=this_boot())

    def finish(self, run: str, outcome: str, output: Any = None, error: str | None = None) -> None:
        """
        Record how a run ended, once and for all.

        Raises:
            InvalidInput: There is no such outcome.
            WrongState: It has ended already.
        """
        said = None if error is None else str(self._clean(error))[:_OF_AN_ERROR]
        with self.deciding():
            self._not_ended(run)
            self.record(
                "agent_run_finished",
                run=run,
                outcome=_checked(outcome),
                error=said,
                **self._kept("output", output),
            )
        self._files.drop(run)

    # --- commands: calls of models -----------------------------------------------------------

    def reserve(
        self,
        run: str,
        provider: str,
        model: str,
        *,
        tokens: int,
        money: float,
        budget: Budget | None = None,
    ) -> str:
        """
        Record that a model is about to be asked; the id of the call.

        Args:
            tokens: As many as it may take, question and answer together; `money` as much.
            budget: What it must fit into together with what is spent, and what calls that have not
                ended have reserved within the last hour; None has no limits.

        Raises:
            BudgetSpent: It does not fit; the call must not be made.
            WrongState: The run is not under way.
        """
        checks.at_least(tokens, 0, "tokens")
        checks.at_least(money, 0, "money")
        with self.deciding():
            found, now = self._under_way(run), self.clock()
            amounts = {"calls": 1, "tokens": tokens, "money": money}
            if budget:
                _fit(amounts, budget.of_day(), self._taken_of_day(now), "day")
                _fit(amounts, budget.of_run(), self._taken_of_run(now, found), "run")
            call = uuid4().hex
            facts = {"provider": provider, "model": model, "tokens": tokens, "money": money}
            self.record("model_call_started", run=run, call=call, **facts)
        return call

    def called(
        self,
        call: str,
        *,
        outcome: str,
        input_tokens: int = 0,
        output_tokens: int = 0,
        money: float = 0.0,
        duration_s: float = 0.0,
        why: str = "",
        tried: Iterable[Mapping[str, str]] = (),
        request: Any = None,
        response: Any = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> None:
        """
        Record what became of a call that was reserved, also of one whose run has ended since.

        Args:
            request: The messages that are new since the run's last call, JSON, screened.
            response: What came back, likewise.
            provider: Who answered, where that is another than was reserved; `model` likewise.

        Raises:
            WrongState: No such call is open.
        """
        for name, amount in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
            checks.at_least(amount, 0, name)
        checks.at_least(money, 0, "money")
        with self.deciding():
            begun = self._reserved.get(call)
            if begun is None:
                raise WrongState(f"no call {call} of a model is open")
            self.record(
                "model_call_finished",
                run=begun.run,
                call=call,
                **{name: said for name, said in (("provider", provider), ("model", model)) if said},
                outcome=_checked(outcome),
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                money=money,
                duration_s=round(duration_s, 6),
                why=str(self._clean(why))[:_OF_A_REASON],
                tried=[dict(one) for one in tried],
                **self._kept("request", request),
                **self._kept("response", response),
            )

    # --- commands: calls of skills -----------------------------------------------------------

    def tool_called(
        self,
        run: str,
        call_id: str,
        skill: str,
        *,
        arguments: Any,
        outcome: str,
        result: Any = None,
        skill_run: str | None = None,
        untrusted: bool = True,
        duration_s: float = 0.0,
    ) -> None:
        """
        Record a call of a skill, also one that was refused.

        Args:
            call_id: The model's name for the call.
            arguments: As the model wrote them, pseudonyms in place of secrets.
            skill_run: The run of the skill, where there was one.
            untrusted: Whether the result is text that nobody vouches for.

        Raises:
            WrongState: The run is not under way.
        """
        with self.deciding():
            self._under_way(run)
            self.record(
                "agent_tool_called",
                run=run,
                call_id=call_id,
                skill=skill,
                outcome=_checked(outcome),
                skill_run=skill_run,
                untrusted=untrusted,
                duration_s=round(duration_s, 6),
                **self._kept("arguments", arguments),
                **self._kept("result", result),
            )

    def taint(self, run: str, source: str) -> None:
        """
        Record that a run has taken in text that nobody vouches for, other than by a call.

        Raises:
            WrongState: The run is not under way.
        """
        with self.deciding():
            self._under_way(run)
            self.record(
                "agent_run_tainted", run=run, source=str(self._clean(source))[:_OF_A_REASON]
            )

    def ask_approval(
        self,
        run: str,
        call_id: str,
        skill: str,
        arguments: Any,
        why: str,
        *,
        source_sha256: str | None = None,
    ) -> str:
        """
        Ask people whether *skill* may be called with exactly these arguments; the approval's id.

        One that waits for the same already is not asked for again.

        Args:
            source_sha256: Of the skill's source as it is.

        Raises:
            WrongState: The run is not under way.
        """
        shown = self._clean(arguments)
        covers = arguments_sha256(skill, shown)
        with self.deciding():
            self._under_way(run)
            for one in self._approvals.values():
                same = (one.run, one.call_id, one.covers) == (run, call_id, covers)
                if same and one.approved is None and one.source_sha256 == source_sha256:
                    return one.id
            approval = uuid4().hex[:12]
            self.record(
                "approval_asked",
                run=run,
                approval=approval,
                call_id=call_id,
                skill=skill,
                covers=covers,
                source_sha256=source_sha256,
                why=str(self._clean(why))[:_OF_A_REASON],
                **self._contents.keep("arguments", shown),
            )
        return approval

    def decide(
        self,
        approval: str,
        approved: bool,  # noqa: FBT001  it is what is decided
        *,
        by: str,
        door: str,
    ) -> Approval:
        """
        Allow a call, or refuse it, once.

        Raises:
            NoSuchApproval: Nothing of that id waits: or its run has ended.
            WrongState: It was decided already.
        """
        with self.deciding():
            one = self._approval(approval)
            if one.approved is not None:
                word = "allowed" if one.approved else "refused"
                raise WrongState(f"approval {approval} was {word} by {one.by} already")
            # `by` in a line is who wrote it.
            facts = {"approved": approved, "decided_by": by, "door": door}
            self.record("approval_decided", run=one.run, approval=approval, **facts)
            return self._approvals[approval]

    def use(
        self, approval: str, skill: str, arguments: Any, *, source_sha256: str | None = None
    ) -> None:
        """
        Record that the call that people allowed is about to be made: durable before it is.

        What they allowed is this skill, in this source, with these arguments, once.

        Raises:
            NoSuchApproval: There is none, or its run has ended.
            WrongState: They did not allow it, it was used, or the call has become another since.
        """
        covers = arguments_sha256(skill, self._clean(arguments))
        with self.deciding():
            one = self._approval(approval)
            self._under_way(one.run)
            if not one.approved:
                raise WrongState(f"approval {approval} was not given")
            if one.used:
                raise WrongState(f"approval {approval} was for one call, which was begun")
            if one.covers != covers:
                raise WrongState(f"approval {approval} is for other arguments, or another skill")
            if one.source_sha256 != source_sha256:
                raise WrongState(f"the source of skill {skill!r} has changed since it was approved")
            self.record("approval_used", run=one.run, approval=approval)

    # --- below the face ----------------------------------------------------------------------

    def _kept(self, name: str, value: Any) -> dict[str, Any]:
        return self._contents.keep(name, self._clean(value))

    def _under_way(self, run: str) -> AgentRun:
        found = self._known(run)
        if found.state is not State.RUNNING:
            raise WrongState(f"run {run} is not under way: it is {found.state.value}")
        return found

    def _not_ended(self, run: str) -> None:
        if self._known(run).state is State.ENDED:
            raise WrongState(f"run {run} has ended already")

    def _hold(self, run: str) -> None:
        if self._files.is_free(run):  # of a process that was killed
            self._files.drop(run)
        self._files.hold(run)

    def _taken_of_day(self, now: float) -> dict[str, float]:
        day = day_of(now)
        return _taken(self._days.get(day, Spent()), (r for r in self._open(now) if r.day == day))

    def _taken_of_run(self, now: float, run: AgentRun) -> dict[str, float]:
        return _taken(run.spent, (r for r in self._open(now) if r.run == run.id))

    def _open(self, now: float) -> list[Reserved]:
        # One of the future is a clock's that was set back: it counts.
        return [one for one in self._reserved.values() if now - one.at < _RESERVED_S]


def _taken(spent: Spent, reserved: Iterable[Reserved]) -> dict[str, float]:
    """What is spent or reserved; calls are spent once they are reserved."""
    total = spent
    for one in reserved:
        total = total.plus(tokens=one.tokens, money=one.money)
    return total.as_dict()


def _checked(outcome: str) -> str:
    if outcome not in OUTCOMES:
        raise InvalidInput(f"no outcome {outcome!r}{checks.did_you_mean(outcome, OUTCOMES)}")
    return outcome


def _fit(
    wanted: Mapping[str, float],
    limits: Mapping[str, float | None],
    taken: Mapping[str, float],
    per: str,
) -> None:
    for what, limit in limits.items():
        # Sums of prices are a little off what their parts add up to.
        if limit is not None and round(taken[what] + wanted[what] - limit, 9) > 0:
            raise BudgetSpent(what, per, limit=limit, taken=taken[what], wanted=wanted[what])
