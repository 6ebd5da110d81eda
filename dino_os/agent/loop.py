"""
The loop: the model is asked, the skills it wants are called, and it is asked again, until it has an
answer, a limit is reached, or people are to decide something and nobody is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import pydantic_ai
from pydantic_ai import (
    AbstractToolset,
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    ToolDenied,
)
from pydantic_ai.messages import INVALID_JSON_KEY, ModelMessage, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage, UsageLimits

from dino_os.agent.interrupts import interruptible
from dino_os.agent.offer import FIND_SKILL
from dino_os.agent.toolset import TRIES
from dino_os.agent.watching import Watch
from dino_os.agent_core.context import as_json

if TYPE_CHECKING:
    from pydantic_ai.run import AgentRunResult

    from dino_os.agent.limits import Limits
    from dino_os.agent.pending import Settled
    from dino_os.agent.posture import Marking
    from dino_os.agent_core.screening import Screen
    from dino_os.skill_index import Skill
    from engines.agent_log import AgentLog, Approval, ToolCall

pydantic_ai.BANNER_ENABLED = False  # what is shown on this terminal is ours
_LONGEST_NAME = 64
INSTRUCTIONS = """\
You work for the operator of this machine and reach a goal with tools, which are programs here.
Before you call tools, say in one sentence what you are about to do.
If a call fails or is refused, try another way or say so; never say that something was done \
which no tool did.
End with a short answer."""


class Decisions(Protocol):
    """What is told of the decisions of people about calls."""

    def source_of(self, skill: Skill) -> str:
        """The hash of the text that would run."""

    def approve(self, approval: Approval) -> None:
        """The call that *approval* covers is to be made."""

    def refused(self, approval: Approval, by: str, *, again: bool = False) -> str:
        """It is not; what the model is told."""

    def recall(self, approval: Approval, made: ToolCall | None) -> None:
        """It was begun by a process that was killed, and ended so."""


class Loop:
    """
    One run.

    Args:
        tools: What the model has; *skills* are those behind their names.
        by: Who decides on this terminal, and through which door.
    """

    def __init__(
        self,
        log: AgentLog,
        run: str,
        model: Model,
        *,
        tools: AbstractToolset[None],
        skills: Mapping[str, Skill],
        calls: Decisions,
        limits: Limits,
        screen: Screen,
        marking: Marking,
        by: str,
        watch: Watch,
    ) -> None:
        self._log = log
        self._run = run
        self._skills = skills
        self._calls = calls
        self._screen = screen
        self._by = by
        self._watch = watch
        self._agent = Agent(
            model,
            instructions=f"{INSTRUCTIONS}\n{marking.rule}",
            toolsets=[tools],
            output_type=[str, DeferredToolRequests],
            retries=TRIES,
        )
        self._limits = UsageLimits(
            request_limit=limits.max_steps, total_tokens_limit=limits.max_tokens
        )
        self._usage = RunUsage()
        self.steps = 0

    async def work(self, goal: str) -> str | None:
        """Work towards *goal*; the answer, or None where the run was parked."""
        return await self._work(goal, [], None)

    async def go_on(
        self, messages: Sequence[ModelMessage], waited: Sequence[Settled]
    ) -> str | None:
        """Go on behind *messages*, the last calls of which *waited* and were decided."""
        results = DeferredToolResults()
        for approval, made in waited:
            results.approvals[approval.call_id] = self._settled(approval, made)
        for message in messages:
            if isinstance(message, ModelResponse):
                self.steps += 1
                self._usage.incr(message.usage)
        self._usage.requests = self.steps
        return await self._work(None, messages, results)

    async def _work(
        self,
        goal: str | None,
        messages: Sequence[ModelMessage],
        results: DeferredToolResults | None,
    ) -> str | None:
        while True:
            output, messages = await self._until_output(goal, messages, results)
            if isinstance(output, str):
                return output
            asked = [
                self._put(call.tool_name, call.args_as_dict(), call.tool_call_id, output)
                for call in output.approvals
            ]
            if not self._watch.answers:
                kept = as_json(self._screen.messages([*messages]))
                beside = {
                    "approvals": [approval.id for approval in asked],
                    "secrets": self._screen.kept(self._run),
                }
                self._log.park(self._run, kept, sealed=beside)
                return None
            goal, results = None, self._decided(asked)

    async def _until_output(
        self,
        goal: str | None,
        messages: Sequence[ModelMessage],
        results: DeferredToolResults | None,
    ) -> tuple[str | DeferredToolRequests, Sequence[ModelMessage]]:
        async with self._agent.iter(
            goal,
            message_history=messages,
            deferred_tool_results=results,
            usage_limits=self._limits,
            usage=self._usage,
        ) as going:
            answers = False  # what was left to do of a stored answer was shown before
            async for node in going:
                if Agent.is_call_tools_node(node) and answers:
                    self._show(node.model_response)
                answers = Agent.is_model_request_node(node)
                if answers:
                    self._watch.asking(self.steps + 1)
            self._usage = going.usage
            result = cast("AgentRunResult[str | DeferredToolRequests]", going.result)
        return result.output, result.all_messages()

    def _show(self, response: ModelResponse) -> None:
        self.steps += 1
        spent = self._log.run(self._run).spent
        self._watch.spent(self.steps, spent.tokens, spent.money)
        if response.tool_calls and response.text:
            self._watch.said(response.text)
        for name in {part.tool_name for part in response.tool_calls} - {*self._skills, FIND_SKILL}:
            self._watch.invalid(name[:_LONGEST_NAME], "there is no such tool")
        for part in response.tool_calls:
            if INVALID_JSON_KEY in part.args_as_dict() and part.tool_name in self._skills:
                self._watch.invalid(part.tool_name, "its arguments are no JSON object")

    def _put(
        self, tool: str, arguments: dict[str, Any], call_id: str, output: DeferredToolRequests
    ) -> Approval:
        skill = self._skills[tool]
        asked = self._log.ask_approval(
            self._run,
            call_id,
            skill.name,
            arguments,
            output.metadata[call_id]["why"],
            source_sha256=self._calls.source_of(skill),
        )
        return self._log.approval(asked)

    def _settled(self, approval: Approval, made: ToolCall | None) -> bool | ToolDenied:
        """What a call that waited has come to, for the model."""
        if not approval.approved:
            by = f"{approval.by}@{approval.door}"
            return ToolDenied(self._calls.refused(approval, by, again=made is not None))
        if approval.used:  # by a process that was killed then
            self._calls.recall(approval, made)
        else:
            self._calls.approve(approval)
        return True

    def _decided(self, asked: Sequence[Approval]) -> DeferredToolResults:
        results = DeferredToolResults()
        by, _, door = self._by.rpartition("@")
        for approval in asked:
            with interruptible():
                approved = self._watch.ask(approval)
            one = self._log.decide(approval.id, approved, by=by, door=door)
            if approved:
                self._calls.approve(one)
                results.approvals[one.call_id] = True
            else:
                told = self._calls.refused(one, "the operator")
                results.approvals[one.call_id] = ToolDenied(told)
        return results
