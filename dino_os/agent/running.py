"""Runs of models, from their beginning to one recorded end; or parked, and gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic_ai import DeferredToolResults, ToolDenied, exceptions
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
)

from dino_os.agent.calls import Calls
from dino_os.agent.endings import Ended, ending_of, outcome_of
from dino_os.agent.limits import Limits
from dino_os.agent.loop import Loop
from dino_os.agent.offer import Offer
from dino_os.agent.policy import Policy
from dino_os.agent.posture import Marking
from dino_os.agent.screening import Screen
from dino_os.agent.watching import Watch
from dino_os.errors import AgentFailed, DinoError, InvalidInput
from dino_os.upkeep import after_writing
from dino_os.workspace import Workspace
from engines.agent_log import Approval, Kind, ToolCall

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class MakeModel(Protocol):
    """Makes the model of a run, which is asked with what *screen* lets out."""

    def __call__(self, run: str, *, screen: Screen, local_only: bool) -> Model: ...


def run_goal(
    workspace: Workspace,
    goal: str,
    *,
    model: MakeModel | None = None,
    skills: Sequence[str] = (),
    limits: Limits | None = None,
    watch: Watch | None = None,
    kind: Kind = Kind.RUN,
    parent_run: str | None = None,
) -> Ended:
    """
    Have a model work towards *goal* with *skills*, or with all there are.

    Args:
        model: None is the providers of the settings.
        limits: None are those of the settings.
        watch: Is told what happens, and asked; None is nobody.

    Raises:
        InvalidInput: A skill that is named is not there, or two have one name for a model.
        KeyboardInterrupt: It was stopped; that is recorded.
    """
    table = workspace.plugins.skills()
    chosen = [table.find(name) for name in dict.fromkeys(skills)] or list(table)
    if not chosen:
        raise InvalidInput(
            "there is no skill that a model could call",
            hint="docs/skills.md shows how to write one; `dino ask` needs none",
        )
    limits = limits or Limits(workspace.config.settings.agent.max_steps)
    offer = Offer(chosen, goal)
    screen = Screen(workspace)
    goal = screen.outgoing(goal)
    actor, _, door = workspace.operator.rpartition("@")
    run = workspace.agent_log.begin(
        kind,
        goal,
        skills=[skill.name for skill in chosen],
        limits=limits.as_dict(),
        actor=actor,
        door=door,
        parent_run=parent_run,
    )
    with _Going(workspace, run, offer, screen, limits=limits, watch=watch, model=model) as going:
        return going.end(lambda loop: loop.work(goal))


def go_on(
    workspace: Workspace,
    run: str,
    *,
    model: MakeModel | None = None,
    watch: Watch | None = None,
) -> Ended:
    """
    Go on with a run for which people have decided what it waited for.

    Raises:
        WrongState: It is not parked: another process has it, or it has ended.
        AgentFailed: It was interrupted after it had gone on: nobody knows what it did since.
        KeyboardInterrupt: It was stopped; that is recorded.
    """
    log = workspace.agent_log
    before = log.run(run)
    messages = ModelMessagesTypeAdapter.validate_python(log.messages(run))
    pending = _pending(messages)
    steps = log.steps(run)
    known = {part.tool_call_id for part in _tool_calls(messages)}
    if lost := [s for s in steps if isinstance(s, ToolCall) and s.id not in known]:
        raise AgentFailed(
            f"run {run} was interrupted after it had gone on and called {lost[0].skill!r}: "
            "it cannot go on from where it was parked without doing that again",
            hint=f"`dino agent show {run}` tells what was done; then begin a new run",
        )
    limits = Limits.of(before.limits)
    chosen = [skill for skill in workspace.plugins.skills() if skill.name in before.skills]
    offer = Offer(chosen, before.goal, used=[part.tool_name for part in _tool_calls(messages)])
    log.resume(run)
    screen = Screen(workspace)
    screen.take_up(run, log.sealed(run))
    with _Going(workspace, run, offer, screen, limits=limits, watch=watch, model=model) as going:
        results = DeferredToolResults()
        for approval in (s for s in steps if isinstance(s, Approval) and s.call_id in pending):
            made = [s for s in steps if isinstance(s, ToolCall) and s.id == approval.call_id]
            results.approvals[approval.call_id] = going.settled(approval, made)
        return going.end(lambda loop: loop.go_on(messages, results))


class _Going:
    """A run that this process has: ended in one outcome, whatever happens, or parked."""

    def __init__(
        self,
        workspace: Workspace,
        run: str,
        offer: Offer,
        screen: Screen,
        *,
        limits: Limits,
        watch: Watch | None,
        model: MakeModel | None,
    ) -> None:
        watch = watch or Watch()
        self._log = workspace.agent_log
        self._run = run
        self._by = workspace.operator.rpartition("@")[::2]
        # What skills do for a model they do through its door, whoever began the run.
        self._acting = Workspace(workspace.root, door="model")
        self._acting.stays = True
        self._acting.ask_passphrase = workspace.ask_passphrase
        marking = Marking(workspace.gate_keys.pseudonyms(), run)
        self._calls = Calls(
            self._acting,
            self._log,
            run,
            policy=_policy(self._acting, ask_each=limits.ask_each),
            screen=screen,
            marking=marking,
            watch=watch,
            timeout_s=limits.timeout_s,
        )
        make = model or partial(_chain, workspace)
        self._model = partial(make, run, screen=screen, local_only=limits.local_only)
        self._loop = partial(
            Loop,
            self._log,
            run,
            offer=offer,
            calls=self._calls,
            limits=limits,
            screen=screen,
            marking=marking,
            by=self._by,
            watch=watch,
        )
        watch.began(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if "sandbox" in vars(self._acting):  # it was made, by the first call
            self._acting.sandbox.close()
        self._acting.settle()
        after_writing(self._acting)

    def settled(self, approval: Approval, made: Sequence[ToolCall]) -> bool | ToolDenied:
        """What a call that waited has come to, for the model."""
        if approval.approved is False:
            by = f"{approval.by}@{approval.door}"
            return ToolDenied(self._calls.refused(approval, by, again=bool(made)))
        if approval.used:  # by a process that was killed then
            self._calls.recall(approval, made[-1] if made else None)
        else:
            self._calls.approve(approval)
        return True

    def end(self, work: Callable[[Loop], Coroutine[Any, Any, str | None]]) -> Ended:
        """Do *work*; the run has then ended, or waits for people."""
        loop, output, error = None, None, None
        try:
            loop = self._loop(self._model())
            output = asyncio.run(work(loop))
            if output is None:
                return self._ended(loop, None)
            outcome, error = outcome_of([made.outcome for made in self._calls.made])
        except (KeyboardInterrupt, exceptions.RunCancelled):
            self._log.finish(self._run, "cancelled", error="interrupted")
            raise KeyboardInterrupt from None
        except (DinoError, exceptions.AgentRunError) as failure:
            outcome, error = ending_of(failure)
        except BaseException as failure:
            self._log.finish(self._run, "error", error=type(failure).__name__)
            raise
        self._log.finish(self._run, outcome, output, error=error.message if error else None)
        return self._ended(loop, outcome, output or "", error)

    def _ended(
        self,
        loop: Loop | None,
        outcome: str | None,
        output: str = "",
        error: DinoError | None = None,
    ) -> Ended:
        waiting = [one for one in self._log.waiting() if one.run == self._run]
        return Ended(
            self._run,
            outcome,
            output,
            error,
            tuple(self._calls.made),
            tuple(self._log.approval(one.id) for one in waiting),
            loop.steps if loop else 0,
            self._log.run(self._run).spent,
        )


def _chain(workspace: Workspace, run: str, *, screen: Screen, local_only: bool) -> Model:
    from dino_os.agent_core import open_chain  # noqa: PLC0415  not where another model is given

    return open_chain(workspace, run=run, local_only=local_only, screen=screen)


def _policy(workspace: Workspace, *, ask_each: bool) -> Policy:
    settings = workspace.config.settings

    def besides(skill: str) -> set[str]:
        held = workspace.security.get_permissions(f"skill:{skill}")
        lent = {*settings.sandbox.skill_permissions}
        return {name for name in held if name not in lent and not name.startswith("key:")}

    return Policy(
        settings.agent.skills,
        request=lambda skill: workspace.admission.request(skill)[0],
        covers=workspace.admission.covers,
        besides=besides,
        ask_each=ask_each,
    )


def _tool_calls(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    answers = (message for message in messages if isinstance(message, ModelResponse))
    return [part for answer in answers for part in answer.tool_calls]


def _pending(messages: Sequence[ModelMessage]) -> set[str]:
    """The names of the calls that have no result yet."""
    parts = [part for message in messages for part in message.parts]
    done = {part.tool_call_id for part in parts if isinstance(part, ToolReturnPart)}
    return {part.tool_call_id for part in parts if isinstance(part, ToolCallPart)} - done
