"""
A run gone through again: the loop of today, with the model, the skills and the people on record.

It finds out whether the record is whole, and whether this version of Dino would ask the same, call
the same and come to the same end.  No model is asked, and no skill runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_ai import exceptions

from dino_os.agent.endings import ending_of, outcome_of
from dino_os.agent.limits import Limits
from dino_os.agent.loop import Loop
from dino_os.agent.posture import Marking
from dino_os.agent.recorded import (
    Decided,
    NoAnswer,
    RecordedModel,
    RecordedTools,
    StillWaiting,
    difference,
    turns_of,
)
from dino_os.agent.schema import tool_name
from dino_os.agent_core.screening import Screen
from dino_os.errors import DinoError, InvalidInput, ReplayDiffers
from dino_os.skill_index import Skill
from engines.agent_log import AgentLog, AgentRun, Kind, State

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_UNANSWERED = "unanswered"
_WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    A run that went the same way.

    Attributes:
        steps: How often the model was asked.
        end: Its outcome; "waiting" or "unanswered" where it has none, or none that came of it.
    """

    run: str
    steps: int
    calls: int
    end: str

    def as_dict(self) -> dict[str, Any]:
        told = {"run": self.run, "same": True, "steps": self.steps}
        return told | {"calls": self.calls, "end": self.end}


def replay(workspace: Workspace, run: str) -> Replayed:
    """
    Go through *run* again.

    Raises:
        NoSuchRun: There is none.
        InvalidInput: The model had no skills in it, or what it said is not on record.
        ReplayDiffers: It goes another way; says where.
        FiledBroken: A part of the record is not there, or was altered.
    """
    log = workspace.agent_log
    then, steps = log.run(run), log.steps(run)
    if then.kind != Kind.RUN:
        raise InvalidInput(f"{run} is no run with skills: it is of the kind {then.kind!r}")
    turns = turns_of(steps)
    if not turns:
        raise InvalidInput(f"no call of a model is on record for run {run}: nothing to go through")
    # What was recorded was screened; looking again for what has the form of a secret changes it as
    # it was changed then.
    personal = workspace.config.settings.llm.pseudonyms == "all"
    screen = Screen(workspace, personal=personal, vault=False)
    marking = Marking(workspace.gate_keys.pseudonyms(), run)
    model = RecordedModel(turns, screen)
    tools = RecordedTools(steps, turns, marking, model)
    shadow = AgentLog()
    loop = Loop(
        shadow,
        shadow.begin(Kind.RUN, then.goal, actor="", door="replay"),
        model,
        tools=tools,
        skills={tool_name(name): _stub(name) for name in then.skills},
        calls=tools,
        limits=Limits.of(then.limits),
        screen=screen,
        marking=marking,
        by="@replay",
        watch=Decided(tools),
    )
    end, output = _end(loop, log.goal(run), tools)
    if end not in {_UNANSWERED, _WAITING} and then.state is not State.ENDED:
        raise ReplayDiffers(f"it comes to an end ({end}), and on record it is {then.state.value}")
    if where := difference(*_ends(then, log.output(run), end, output, model), "the end"):
        raise ReplayDiffers(f"step {model.step}: {where}")
    return Replayed(run, model.step, len(tools.made), end)


def _end(loop: Loop, goal: str, tools: RecordedTools) -> tuple[str, str | None]:
    """How the loop ends, and with which answer."""
    try:
        output = asyncio.run(loop.work(goal))
    except StillWaiting:
        return _WAITING, None
    except NoAnswer:
        return _UNANSWERED, None
    except ReplayDiffers:
        raise
    except (DinoError, exceptions.AgentRunError) as failure:
        return ending_of(failure)[0], None
    return outcome_of(tools.made)[0], output


def _ends(
    then: AgentRun, said: Any, end: str, output: str | None, model: RecordedModel
) -> tuple[list[Any], list[Any]]:
    """The end on record and that of now, to be compared."""
    if end == _UNANSWERED:  # which can come of anything but an answer
        well = then.outcome in {"ok", "ok_no_action"}
        return ["answered" if well else end, model.is_at_end], [end, True]
    if end == _WAITING:
        return [then.outcome], [None if then.state is not State.ENDED else then.outcome]
    return [then.outcome, said], [end, output]


def _stub(name: str) -> Skill:
    return Skill(name, Path(), 0, "", "", takes_any=True)
