"""One skill's subscription to one subject: its messages, in their order, become tasks."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dino_os.errors import InvalidInput, NotFound
from dino_os.message_bus.claims import Claimed, Settled
from dino_os.message_bus.hearing import heard_by
from dino_os.message_bus.terms import Refusal, Terms

if TYPE_CHECKING:
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_AT_ONCE = 256
_MOST_OPEN = 1000
"""Tasks of one skill that wait or run; its other messages wait where they are, on record."""
_FOR_EVER = 10**9
_LOOK_AGAIN_S = 1.0
_ACK_WAIT_S = 300.0  # that a member is gone its lock tells sooner


class HandOver:
    """
    Hands the messages of a durable subscription to a skill.

    Args:
        name: The subscription's.
        after: Behind which line of the bus it begins, where it is new.
        upto: Messages behind that line are left to others.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        subject: str,
        after: Callable[[], int],
        upto: float = math.inf,
    ) -> None:
        self._workspace = workspace
        self._name = name
        self._subject = subject
        terms = Terms(
            subject,
            durable=name,
            retries=_FOR_EVER,
            ack_wait_s=_ACK_WAIT_S,
            max_in_flight=_AT_ONCE,
        )
        self._claims = workspace.bus.consumers.claims(terms, after, upto=upto)
        self._joined = False
        self._held: list[Claimed] = []  # not submitted, or not acknowledged, for all we know
        self._open: dict[str, None] = {}  # tasks that may not have ended yet

    def turn(self, skill: Skill) -> float:
        """
        Submit what waits, as far as there is room in the queue.

        Returns:
            In how many seconds there may be more to do without anybody writing.
        """
        try:
            return self._turn(skill)
        except NotFound:  # it was forgotten, or this process slept for too long
            self._joined = False
            return self._turn(skill)

    def _turn(self, skill: Skill) -> float:
        if not self._joined:
            self._join(skill)
        budget = _MOST_OPEN
        claimed = self._held or self._claims.exchange(Settled(), self._room(budget))
        while claimed:
            self._held = claimed
            settled = self._submit(skill, claimed)
            budget -= len(claimed)
            claimed = self._claims.exchange(settled, self._room(budget))
            self._held = []
        room = self._room(_MOST_OPEN)
        if budget <= 0 < room:
            return 0.0
        return math.inf if room and self._is_settled() else _LOOK_AGAIN_S

    def _join(self, skill: Skill) -> None:
        is_new = self._workspace.deliveries.place(self._name) is None
        self._claims.join()
        self._joined, self._held = True, []
        source = _source(skill)
        self._open = {task.task_id: None for task in self._workspace.resources.tasks(source=source)}
        if is_new:
            _say(f"skill {skill.name!r} hears {self._subject!r} from now on")

    def _is_settled(self) -> bool:
        """Whether nobody has a message: another process may not live to settle what it has."""
        with contextlib.suppress(NotFound):
            return not self._workspace.deliveries.find(self._name).unsettled
        return True

    def _room(self, budget: int) -> int:
        """How many messages to claim."""
        from engines.resource_engine import FINISHED  # noqa: PLC0415  where a skill subscribes

        if len(self._open) > _MOST_OPEN - _AT_ONCE:
            resources = self._workspace.resources
            resources.refresh()
            known = {task_id: resources.known(task_id) for task_id in self._open}
            self._open = {
                task_id: None
                for task_id, task in known.items()
                if task is not None and task.state not in FINISHED
            }
        return max(min(_MOST_OPEN - len(self._open), _AT_ONCE, budget), 0)

    # --- tasks -------------------------------------------------------------------------------

    def _submit(self, skill: Skill, claimed: Sequence[Claimed]) -> Settled:
        """What became of the messages: there is a task for each now, or there can be none."""
        settled = Settled()
        tasks: list[tuple[Claimed, Task]] = []
        for one in claimed:
            try:
                tasks.append((one, self._task(skill, one)))
            except InvalidInput as error:
                settled.refused.append(_given_up(one, error))
        try:
            self._workspace.resources.submit_tasks([task for _, task in tasks])
            submitted = tasks
        except InvalidInput:  # of one of them: none was taken
            submitted = []
            for one, task in tasks:
                try:
                    self._workspace.resources.submit_task(task)
                    submitted.append((one, task))
                except InvalidInput as error:
                    settled.refused.append(_given_up(one, error))
        settled.acked += [one.claim for one, _ in submitted]
        self._open |= {task.task_id: None for _, task in submitted}
        if settled.refused:
            self._tell(skill, settled.refused)
        return settled

    def _task(self, skill: Skill, one: Claimed) -> Task:
        from dino_os.work.tasks import task_of  # noqa: PLC0415  where there is a message

        source = _source(skill)
        # The key outlasts the id, and a crash may be mended late.
        name = f"{source}#{one.stored.seq}"
        params = heard_by(skill, one.stored)
        task = task_of(self._workspace, skill, params, task_id=name, key=name, source=source)
        payload = {**task.payload, "depth": one.stored.depth}
        if trace := one.stored.headers.get("traceparent"):
            payload["traceparent"] = trace
        return replace(task, payload=payload)

    def _tell(self, skill: Skill, refused: Sequence[Refusal]) -> None:
        first = refused[0].claim.seq
        more = f", nor {len(refused) - 1} more" if refused[1:] else ""
        # Why quotes the message, which may say anything; the record of it has been cleaned.
        _say(
            f"skill {skill.name!r} cannot take message {first} of {self._subject!r}{more}; "
            f"`dino bus dead {self._name}` says why"
        )


def _given_up(one: Claimed, error: InvalidInput) -> Refusal:
    return Refusal(one.claim, 0.0, error.message, final=True)


def _source(skill: Skill) -> str:
    return f"bus:{skill.name}"


def _say(text: str) -> None:
    print(f"dino: {text}", file=sys.stderr)  # noqa: T201  to whoever looks after the service
