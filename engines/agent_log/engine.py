"""
The record of models at work.

    begun ──▶ model called, skills called ──▶ ended, in one outcome
                 │  ▲ resumed, by whoever decided what it waits for
                 ▼  │
               parked

What is said lies in the journal while it is short, else in `transcripts/` beside it, by hash.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from engines import checks
from engines.agent_log.errors import WrongState
from engines.agent_log.model import Approval, Kind, State, arguments_sha256
from engines.agent_log.spending import OF_A_REASON, AgentSpending, checked
from engines.errors import InvalidInput
from engines.liveness import this_boot

_OF_A_GOAL = _OF_AN_ERROR = 300  # characters


class AgentLog(AgentSpending):
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
            self.commit_so_far()  # before it is let go, and both before anybody can take it
            self._files.drop(run)

    def resume(self, run: str, parked: int | None = None) -> None:
        """
        Take a parked run, or one whose process was killed after it took it: of several who try, one
        gets it.

        Args:
            parked: What `parked` said before it was read what the run goes on from.

        Raises:
            WrongState: It was not parked, another process has it, it has ended, or it has gone on
                since and was parked anew.
        """
        with self.deciding():
            found = self._seen(self._known(run))
            if parked not in {None, self.parked(run)}:
                raise WrongState(f"run {run} has gone on meanwhile, in another process")
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
                outcome=checked(outcome),
                error=said,
                **self._kept("output", output),
            )
        self._files.drop(run)

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
                outcome=checked(outcome),
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
            self.record("agent_run_tainted", run=run, source=str(self._clean(source))[:OF_A_REASON])

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
                why=str(self._clean(why))[:OF_A_REASON],
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

    def _not_ended(self, run: str) -> None:
        if self._known(run).state is State.ENDED:
            raise WrongState(f"run {run} has ended already")

    def _hold(self, run: str) -> None:
        if self._files.is_free(run):  # of a process that was killed
            self._files.drop(run)
        self._files.hold(run)
