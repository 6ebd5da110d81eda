"""Runs of models, from their beginning to one recorded end; or parked, and gone on with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_ai import exceptions
from pydantic_ai.messages import ModelMessagesTypeAdapter

from dino_os.agent.calls import Calls, Made
from dino_os.agent.endings import Ended, ending_of, outcome_of
from dino_os.agent.limits import Limits
from dino_os.agent.loop import Loop
from dino_os.agent.memory import Recalled, recall, remember
from dino_os.agent.offer import Offer
from dino_os.agent.pending import settled, tool_calls
from dino_os.agent.policy import Policy, speaks_for_others
from dino_os.agent.posture import Marking
from dino_os.agent.toolset import SkillTools
from dino_os.agent.watching import Watch
from dino_os.agent_core.opening import screen_of
from dino_os.agent_core.screening import Screen
from dino_os.errors import AgentFailed, DinoError, InvalidInput
from dino_os.upkeep import after_writing
from dino_os.workspace import Workspace
from engines.agent_log import Kind

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class MakeModel(Protocol):
    """
    Makes the model of a run, which is asked with what *screen* lets out.

    *note* is told what somebody should know, though there is an answer.
    """

    def __call__(
        self, run: str, *, screen: Screen, local_only: bool, note: Callable[[str], None]
    ) -> Model: ...


def run_goal(
    workspace: Workspace,
    goal: str,
    *,
    model: MakeModel | None = None,
    skills: Sequence[str] = (),
    limits: Limits | None = None,
    watch: Watch | None = None,
) -> Ended:
    """
    Have a model work towards *goal* with *skills*, or with all there are.

    Args:
        model: None is the providers of the settings.
        limits: None are those of the settings.
        watch: Is told what happens, and asked; None is nobody.

    Raises:
        InvalidInput: There is no goal, a skill that is named is not there, or two have one name for
            a model.
        KeyboardInterrupt: It was stopped; that is recorded.
    """
    if not goal.strip():
        raise InvalidInput("a goal is a text, and not an empty one")
    table = workspace.plugins.skills()
    chosen = [table.find(name) for name in dict.fromkeys(skills)] or list(table)
    if not chosen:
        raise InvalidInput(
            "there is no skill that a model could call",
            hint="docs/skills.md shows how to write one; `dino ask` needs none",
        )
    limits = limits or Limits(workspace.config.settings.agent.max_steps)
    offer = Offer(chosen, goal)
    screen = screen_of(workspace)
    found = recall(workspace, goal) if limits.remember else Recalled()
    # What was recalled is of the goal on record, so that a replay has it too.
    goal = found.behind(screen.outgoing(goal))
    actor, _, door = workspace.operator.rpartition("@")
    run = workspace.agent_log.begin(
        Kind.RUN,
        goal,
        skills=[skill.name for skill in chosen],
        limits=limits.as_dict(),
        actor=actor,
        door=door,
    )
    if found.entries:
        workspace.agent_log.taint(run, "memory")
    if any(map(speaks_for_others, {skill.file for skill in chosen})):
        workspace.agent_log.taint(run, "descriptions that others wrote")
    going = _Going(workspace, run, offer, screen, limits=limits, watch=watch, model=model)
    ended = going.end(lambda loop: loop.work(goal))
    return _remembered(workspace, goal, ended, limits, found)


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
    before, parked = log.run(run), log.parked(run)
    messages = ModelMessagesTypeAdapter.validate_python(log.messages(run))
    beside = log.sealed(run) or {}
    waited, lost = settled(log.steps(run), beside.get("approvals", ()))
    if lost:
        raise AgentFailed(
            f"run {run} was interrupted after it had gone on and called {lost.skill!r}: "
            "it cannot go on from where it was parked without doing that again",
            hint=f"`dino agent show {run}` tells what was done; then begin a new run",
        )
    limits = Limits.of(before.limits)
    chosen = [skill for skill in workspace.plugins.skills() if skill.name in before.skills]
    offer = Offer(chosen, before.goal, used=[part.tool_name for part in tool_calls(messages)])
    screen = screen_of(workspace)
    screen.take_up(run, beside.get("secrets"))
    going = _Going(workspace, run, offer, screen, limits=limits, watch=watch, model=model)
    log.resume(run, parked)
    ended = going.end(lambda loop: loop.go_on(messages, waited))
    goal = log.goal(run)
    found = recall(workspace, goal) if limits.remember else Recalled()
    return _remembered(workspace, goal, ended, limits, found)


def _remembered(
    workspace: Workspace, goal: str, ended: Ended, limits: Limits, found: Recalled
) -> Ended:
    """*ended*, kept in memory where that was wanted and it has ended."""
    if limits.remember and ended.outcome:
        remember(
            workspace,
            ended.run,
            prompt=goal,
            answer=ended.output,
            outcome=ended.outcome,
            recalled=found,
            untrusted=workspace.agent_log.run(ended.run).tainted,
        )
    return ended


class _Going:
    """A run that this process has: `end` brings it to one outcome, whatever happens, or parks."""

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
        self._workspace = workspace
        self._log = workspace.agent_log
        self._run = run
        self._offer = offer
        self._screen = screen
        self._limits = limits
        self._watch = watch or Watch()
        self._make = model or partial(_chain, workspace)
        self._marking = Marking(workspace.gate_keys.pseudonyms(), run)

    def end(self, work: Callable[[Loop], Coroutine[Any, Any, str | None]]) -> Ended:
        """Do *work*; the run has then ended, or waits for people."""
        loop, made, output, error = None, list[Made](), None, None
        try:
            with self._acting() as acting:
                calls = self._calls(acting)
                made = calls.made
                loop = self._loop(calls)
                output = asyncio.run(work(loop))
            if output is None:
                return self._ended(loop, made, None)
            outcome, error = outcome_of([call.outcome for call in made])
        except (KeyboardInterrupt, exceptions.RunCancelled):
            self._log.finish(self._run, "cancelled", error="interrupted")
            raise KeyboardInterrupt from None
        except (DinoError, exceptions.AgentRunError) as failure:
            outcome, error = ending_of(failure)
        except BaseException as failure:
            self._log.finish(self._run, "error", error=type(failure).__name__)
            raise
        self._log.finish(self._run, outcome, output, error=error.message if error else None)
        return self._ended(loop, made, outcome, output or "", error)

    @contextlib.contextmanager
    def _acting(self) -> Iterator[Workspace]:
        """The workspace through the door of models, whoever began the run."""
        acting = Workspace(self._workspace.root, door="model")
        acting.stays, acting.near_only = True, self._limits.local_only
        acting.config, acting.plugins = self._workspace.config, self._workspace.plugins
        acting.ask_passphrase = self._workspace.ask_passphrase
        try:
            yield acting
        finally:
            if "sandbox" in vars(acting):  # it was made, by the first call
                acting.sandbox.close()
            acting.settle()
            after_writing(acting)

    def _calls(self, acting: Workspace) -> Calls:
        return Calls(
            acting,
            self._log,
            self._run,
            policy=_policy(acting, ask_each=self._limits.ask_each),
            screen=self._screen,
            marking=self._marking,
            watch=self._watch,
            timeout_s=self._limits.timeout_s,
        )

    def _loop(self, calls: Calls) -> Loop:
        limits, watch = self._limits, self._watch
        model = self._make(
            self._run, screen=self._screen, local_only=limits.local_only, note=watch.note
        )
        watch.began(self._run)
        return Loop(
            self._log,
            self._run,
            model,
            tools=SkillTools(self._offer, calls),
            skills=self._offer.skills,
            calls=calls,
            limits=limits,
            screen=self._screen,
            marking=self._marking,
            by=self._workspace.operator,
            watch=watch,
        )

    def _ended(
        self,
        loop: Loop | None,
        made: Sequence[Made],
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
            tuple(made),
            tuple(self._log.approval(one.id) for one in waiting),
            loop.steps if loop else 0,
            self._log.run(self._run).spent,
        )


def _chain(
    workspace: Workspace, run: str, *, screen: Screen, local_only: bool, note: Callable[[str], None]
) -> Model:
    from dino_os.agent_core import open_chain  # noqa: PLC0415  not where another model is given

    return open_chain(workspace, run=run, local_only=local_only, screen=screen, note=note)


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
