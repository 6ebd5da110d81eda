"""Asks what waits in the queue, one question after the other, one process at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dino_os.agent_core.core import wanted
from dino_os.agent_core.queue import Queued
from dino_os.agent_core.session import Session
from dino_os.errors import (
    DinoError,
    ModelNotReady,
    ModelTimedOut,
    ModelUnavailable,
    SecurityError,
)
from dino_os.process_lock import ProcessLock
from engines.agent_log import BudgetSpent, NoSuchRun

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_LATER = (ModelUnavailable, ModelTimedOut, ModelNotReady, SecurityError, BudgetSpent)
"""Of which a later time may make something else, or people: a vault that nobody has opened."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a pass came to; `waiting` is all that is queued behind it."""

    answered: int
    failed: int
    given_up: int
    waiting: int

    def as_dict(self) -> dict[str, int]:
        return {
            "answered": self.answered,
            "failed": self.failed,
            "given_up": self.given_up,
            "waiting": self.waiting,
        }


def send(workspace: Workspace, *, wait_s: float = 0.0, all_: bool = False) -> Sent:
    """
    Ask what is due, or with *all_* all that waits.

    Where nobody can be asked the rest waits too: they would be told the same.

    Raises:
        Busy: Another process is at it.
    """
    lock = ProcessLock(
        workspace.memory / "llm_queue.lock", by=workspace.operator, what="asking what was queued"
    )
    with lock.held(wait_s):
        queue = workspace.llm_queue
        queue.refresh()
        count = {"answered": 0, "failed": 0, "given_up": 0}
        for one in queue.waiting() if all_ else queue.due(queue.clock()):
            state = _ask(workspace, one)
            count["failed" if state == "waiting" else state] += 1
            if state == "waiting":
                break
        return Sent(**count, waiting=len(queue.waiting()))


def _ask(workspace: Workspace, one: Queued) -> str:
    """Try it; the state that it is in then."""
    queue = workspace.llm_queue
    if answer := _answer_on_record(workspace, one):
        queue.answered(one.id, answer)
        return "answered"
    try:
        with Session(
            workspace, "queued", one.prompt, wanted(one.options), actor=one.by, parent=one.run
        ) as session:
            queue.begin(one.id, session.run)
            answer = session.say(one.prompt)
    except _LATER as error:
        queue.failed(one.id, error.message)
    except DinoError as error:
        queue.failed(one.id, error.message, for_good=True)
    else:
        queue.answered(one.id, answer)
    return queue.find(one.id).state


def _answer_on_record(workspace: Workspace, one: Queued) -> str | None:
    """The answer of an attempt that nobody lived to tell of here."""
    if one.run is None:
        return None
    try:
        run = workspace.agent_log.run(one.run)
    except NoSuchRun:
        return None
    found = workspace.agent_log.output(one.run) if run.outcome == "ok" else None
    return str(found) if found is not None else None
