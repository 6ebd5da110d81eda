"""
The calls of skills that a model wants: judged, put to people where they must be, made on the one
path through the door "model", and recorded.

What comes back is data for the model, never instructions: it is bounded, stands between marks that
whoever wrote it cannot know, and is text that nobody vouches for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from dino_os import run_context
from dino_os.agent.interrupts import interruptible
from dino_os.agent.policy import Policy, Verdict, Word
from dino_os.arguments import bind
from dino_os.errors import Denied, DinoError, InvalidInput, NotConfined
from dino_os.json_value import to_text
from dino_os.run_context import RunContext
from engines.agent_log import ToolCall, WrongState
from engines.trace import context_in

if TYPE_CHECKING:
    from dino_os.agent.posture import Marking
    from dino_os.agent.watching import Watch
    from dino_os.agent_core.screening import Screen
    from dino_os.runner import Run
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace
    from engines.agent_log import AgentLog, Approval

T = TypeVar("T")
MOST_TOLD = 16_384  # characters of one result; more would drown a small model
_MOST_PRINTED = 2_048
_MOST_GIVEN = 2**20  # bytes
NOT_RUN = "not run: "
"""So begins what a model is told of a call that was refused: our own words, not data."""
LOOKING = frozenset({"memory_get", "bus_read", "schedule_read", "tool_sandbox", "provenance_tap"})
"""What skills may be lent that reaches no further than the run: nobody remembers or hears it."""


class BadArguments(Exception):
    """They do not fit the signature; the text says why, and the model may try again."""


class NeedsApproval(Exception):
    """People are to decide; the text says why."""


class NotDone(Exception):
    """The call was refused, or failed; the text says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made or refused, in this process or before the run was parked."""

    skill: str
    arguments: Mapping[str, Any]
    outcome: str
    duration_s: float = 0.0
    skill_run: str | None = None

    @classmethod
    def of(cls, call: ToolCall) -> Self:
        return cls(call.skill, call.arguments, call.outcome, call.duration_s, call.skill_run)

    def as_dict(self) -> dict[str, Any]:
        return {
            "skill": self.skill,
            "arguments": dict(self.arguments),
            "outcome": self.outcome,
            "duration_s": round(self.duration_s, 6),
            "run_id": self.skill_run,
        }


class Calls:
    """
    The calls of one run.

    Args:
        workspace: In which they are made: one whose door is "model".
        run: The run of the model, to which those of the skills belong.
        timeout_s: Of each, where its own is longer.
    """

    def __init__(
        self,
        workspace: Workspace,
        log: AgentLog,
        run: str,
        *,
        policy: Policy,
        screen: Screen,
        marking: Marking,
        watch: Watch,
        timeout_s: float | None = None,
    ) -> None:
        self._workspace = workspace
        self._log = log
        self._run = run
        self._policy = policy
        self._screen = screen
        self._marking = marking
        self._watch = watch
        self._timeout_s = timeout_s
        self._context = RunContext(run, str(context_in(run, None)))
        self._approved: dict[str, Approval] = {}
        self._recalled: dict[str, dict[str, Any]] = {}
        self.made = [Made.of(s) for s in log.steps(run) if isinstance(s, ToolCall)]

    def approve(self, approval: Approval) -> None:
        """Let the call that *approval* covers be made."""
        self._approved[approval.call_id] = approval

    def recall(self, approval: Approval, made: ToolCall | None) -> None:
        """
        Have a call of a process that was killed answered, not made again.

        Args:
            made: How it ended; None where it was begun, and nobody knows what became of it.
        """
        if made is None:
            arguments = approval.arguments
            cut_off = Made(approval.skill, arguments, "error")
            told: Any = {
                "error": "it was begun, and its process was killed: whether it did what it does "
                "is not known, and it was not made again"
            }
            self._record(cut_off, approval.call_id, told, untrusted=False)
            self._recalled[approval.call_id] = told
        else:
            self._recalled[approval.call_id] = made.result

    def shown(self, value: T) -> T:
        """What a model may be told of a skill: docstrings and defaults hold secrets at times."""
        return self._screen.texts(value)

    def call(self, skill: Skill, arguments: dict[str, Any], call_id: str, *, approved: bool) -> str:
        """
        Make the call, and hand out what the model is told of it.

        Args:
            arguments: As the model wrote them.
            call_id: The model's name for the call.
            approved: Whether it comes back from those who were to decide.

        Raises:
            BadArguments: They do not fit.
            NeedsApproval: It was not made yet.
            NotDone: It was refused, or did not succeed.
        """
        if call_id in self._recalled:
            return self._if_done(skill, self._recalled.pop(call_id))
        try:
            to_text(arguments, "what it was given", _MOST_GIVEN)
            bound = bind(skill, arguments)
        except InvalidInput as error:
            why = error.message[:_MOST_PRINTED]  # it holds what the model wrote
            self._watch.invalid(skill.name, why)
            raise BadArguments(why) from None
        verdict = self._judged(skill)
        if verdict.word is Word.DENY:
            self._refuse(skill, arguments, call_id, verdict.why)
        if approved:
            self._use(skill, arguments, call_id)
        elif verdict.word is Word.ASK:
            raise NeedsApproval(verdict.why)
        return self._make(skill, arguments, bound, call_id, approved=approved)

    def _judged(self, skill: Skill) -> Verdict:
        try:
            return self._policy.judge(skill, tainted=self._log.run(self._run).tainted)
        except InvalidInput as error:
            return Verdict(Word.DENY, error.message)

    def source_of(self, skill: Skill) -> str:
        """The hash of the text that runs."""
        return self._workspace.admission.request(skill)[0].sha256

    def _use(self, skill: Skill, arguments: dict[str, Any], call_id: str) -> None:
        """Use up the approval: durable before the call, so that it is never made twice by it."""
        approval = self._approved.pop(call_id, None)
        try:
            if approval is None:
                raise WrongState("nobody approved this call")
            source = self.source_of(skill)
            self._log.use(approval.id, skill.name, arguments, source_sha256=source)
        except DinoError as error:
            self._refuse(skill, arguments, call_id, error.message)

    def _make(
        self,
        skill: Skill,
        arguments: dict[str, Any],
        bound: dict[str, Any],
        call_id: str,
        *,
        approved: bool,
    ) -> str:
        self._watch.calling(skill.name, arguments)
        began = time.monotonic()
        run, outcome, told = None, "error", {"error": "it did not come to an end"}
        unseen = not approved and self._log.run(self._run).tainted
        lent = frozenset(self._workspace.config.settings.sandbox.skill_permissions)
        self._workspace.withheld = lent - LOOKING if unseen else frozenset()
        try:
            with run_context.within(self._context), interruptible():
                # The one place where what stands for a secret becomes the secret again.
                params = self._screen.restored(bound, skill)
                run = self._workspace.runner.run(skill, params, timeout_s=self._timeout_of(skill))
            outcome, told = run.outcome, self._told(run)
        except DinoError as error:
            outcome = "denied" if isinstance(error, Denied | NotConfined) else "error"
            told = {"error": error.message}
        except KeyboardInterrupt:
            outcome, told = "cancelled", {"error": "interrupted"}
            raise
        finally:
            taken_s, skill_run = time.monotonic() - began, run.run_id if run else None
            made = Made(skill.name, arguments, outcome, taken_s, skill_run)
            self._record(made, call_id, told, untrusted=run is not None)
        return self._if_done(skill, told)

    def _if_done(self, skill: Skill, told: dict[str, Any]) -> str:
        said = self._marking.marked(told, skill.name)
        if "error" in told:
            raise NotDone(said)
        return said

    def _timeout_of(self, skill: Skill) -> float | None:
        if self._timeout_s is None:
            return None
        return min(self._timeout_s, skill.timeout_s or self._workspace.limits.timeout_s)

    def _told(self, run: Run) -> dict[str, Any]:
        """What the model is told of a run: bounded, and without secrets."""
        beginning = self._screen.beginning
        printed = {"printed": beginning(run.output, _MOST_PRINTED)} if run.output else {}
        if run.outcome != "ok":
            kind, text = run.error.get("type"), run.error.get("message")
            error = f"{kind}: {text}" if kind else str(text)
            return {"error": beginning(error, _MOST_PRINTED), **printed}
        text = json.dumps(run.result, ensure_ascii=False)
        if len(text) <= MOST_TOLD:
            return {"data": self._screen.outgoing(run.result), **printed}
        left_out = len(text) - MOST_TOLD
        return {"data": beginning(text, MOST_TOLD), **printed, "left_out_characters": left_out}

    def refused(self, approval: Approval, by: str, *, again: bool = False) -> str:
        """
        Record that people refused a call; what the model is told.

        Args:
            again: It is recorded already, by a process that was killed then.
        """
        text = f"{NOT_RUN}{by} refused it"
        if not again:
            made = Made(approval.skill, approval.arguments, "denied")
            self._record(made, approval.call_id, {"error": text}, untrusted=False)
        return text

    def _refuse(self, skill: Skill, arguments: dict[str, Any], call_id: str, why: str) -> NoReturn:
        text = f"{NOT_RUN}{why}"
        made = Made(skill.name, arguments, "denied")
        self._record(made, call_id, {"error": text}, untrusted=False)
        raise NotDone(text)

    def _record(self, made: Made, call_id: str, told: Any, *, untrusted: bool) -> None:
        self.made.append(made)
        self._log.tool_called(
            self._run,
            call_id,
            made.skill,
            arguments=made.arguments,
            outcome=made.outcome,
            result=told,
            skill_run=made.skill_run,
            untrusted=untrusted,
            duration_s=made.duration_s,
        )
        self._watch.called(made.skill, made.outcome, told, made.duration_s)
