"""
What a service does for its entities between tasks: one turn, in which nothing waits.

    what ended since → its outcome, and what follows from it
    what is due      → decided in the entities' journal first, then submitted as a task
    what is down     → probed beside the turn; back when it answers

A run's task has an id that follows from the entity and the run's number, and a task is taken once.
So whatever dies between the two journals, the next turn submits what was decided, and no run is
lost or doubled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.entities.alerts import send_alerts
from dino_os.entities.inbox import Inbox
from dino_os.entities.offline import Offline
from dino_os.entities.quiet import Quiet
from dino_os.entities.routes import Dial, Target, dial, targets_of
from dino_os.entities.settling import Settling, at_place
from dino_os.errors import InvalidInput, UnknownSkill
from dino_os.work.duty import Duty
from engines.entity_manager import HEARTBEAT_LIMIT_S, Entity, EntityState, Run, Work

if TYPE_CHECKING:
    from dino_os.plugins import SkillTable
    from dino_os.workspace import Workspace
    from engines.resource_engine import Task

_HEARTBEAT_S = HEARTBEAT_LIMIT_S / 3


class EntityDuty(Duty):
    """
    The entities of *workspace*, as a duty of a service.

    Args:
        dial: Connects to (host, port) within so many seconds, or raises OSError.
    """

    def __init__(self, workspace: Workspace, *, dial: Dial = dial) -> None:
        self._workspace = workspace
        self._manager = workspace.entities
        self._tasks = workspace.resources
        self._skills: SkillTable | None = None  # as they are in this turn
        bus = workspace.memory / "bus.jsonl"
        self._inbox = Inbox(bus)
        self._sealed = -1  # what the bus may lose, as of this turn
        self._offline = Offline(workspace.config.settings.entities, self._manager.clock, dial)
        self._quiet = Quiet(self._manager, self._tasks, self._inbox, self._offline.prober)
        self._began = False
        self.watches: Sequence[Path] = [
            workspace.memory / "entities.jsonl",
            bus,
            workspace.memory / "engine_state.jsonl",  # whoever runs the tasks
        ]

    def turn(self) -> float | None:
        """Do what is due; when to come again, in seconds since the epoch."""
        self._tasks.refresh()
        if not self._quiet:
            bus = self._quiet.begin()
            self._quiet.end(bus, self._take_turn())
        return self._quiet.until

    def _take_turn(self) -> float | None:
        manager = self._manager
        self._skills = None
        self._sealed = self._inbox.sealed()
        with manager.deciding():
            manager.heartbeats(self._looked_after(), at_least_s=_HEARTBEAT_S)
            settling = Settling(manager, self._tasks, self._offline, self._targets)
            unsubmitted = [entity for entity in manager.list_entities() if settling.settle(entity)]
            planned = [entity for entity in manager.list_entities() if self._plan(entity)]
        again = bool(manager.monitor_health())
        manager.reconcile()
        self._began = settling.retried or any(one.run for one in (*unsubmitted, *planned))
        again |= self._submit([*unsubmitted, *planned])
        for entity in manager.list_entities(EntityState.OFFLINE_ADAPTING):
            again |= self._look_after_offline(entity)
        send_alerts(manager, self._workspace.bus)
        return manager.clock() if again else self._next_turn()

    def finish(self) -> bool:
        """
        For whoever takes a turn and goes, from cron for example: wait for the probes that are out,
        no longer than one may take, and draw the conclusions.

        Returns:
            Whether something came of it that could be done now.
        """
        self._offline.prober.wait()
        self._began = False
        when = self.turn()
        return self._began or (when is not None and when <= self._manager.clock())

    # --- what is due -------------------------------------------------------------------------

    def _looked_after(self) -> list[str]:
        """Those whose heart is this duty; others have programs of their own that beat it."""
        active = self._manager.list_entities(EntityState.ACTIVE)
        return [entity.entity_id for entity in active if entity.work]

    def _plan(self, entity: Entity) -> bool:
        """Decide the entity's next run where one is due."""
        work = entity.work
        if work is None or entity.state is not EntityState.ACTIVE or entity.run:
            return False
        message = None
        if work.channel is not None:
            message = self._next_message(entity, work.channel)
            if message is None:
                return False
        elif (entity.next_due or 0.0) > self._manager.clock():
            return False
        return self._manager.plan_run(entity.entity_id, message=message) is not None

    def _next_message(self, entity: Entity, channel: str) -> int | None:
        """The seq of the message that it is to deal with next."""
        entity_id, inbox = entity.entity_id, self._inbox
        event = inbox.next(entity_id, channel, entity.position)
        if gone := inbox.gone(entity_id, entity.position):
            self._manager.lose_messages(entity_id, *gone)
        if event is not None:
            return int(event["seq"])
        # Else pruning what was read, and was nothing to it, would look like a loss.
        if entity.position < self._sealed <= inbox.read_to(entity_id):
            self._manager.read_on(entity_id, self._sealed)
        return None

    def _submit(self, entities: list[Entity]) -> bool:
        """
        Submit the runs that were decided.

        Returns:
            Whether one could not be, which is a failure of its entity.
        """
        refused: dict[str, InvalidInput] = {}
        tasks = {}
        # Another service may have been faster, and have come to its end.
        runs = [(entity, entity.run) for entity in entities if entity.run]
        for entity, run in runs:
            try:
                tasks[entity.entity_id] = self._task(entity, run)
            except InvalidInput as error:
                refused[entity.entity_id] = error
        try:
            self._tasks.submit_tasks(tasks.values())
        except InvalidInput:  # of one of them: none was taken
            for entity_id, task in tasks.items():
                try:
                    self._tasks.submit_task(task)
                except InvalidInput as error:
                    refused[entity_id] = error
        for entity, run in runs:
            if why := refused.get(entity.entity_id):
                told = at_place(why.code, _place(entity, run))
                self._manager.end_run(entity.entity_id, run.number, "error", error=told)
        return bool(refused)

    def _task(self, entity: Entity, run: Run) -> Task:
        from dino_os.work.tasks import skill_task  # noqa: PLC0415  where there is something to do

        if entity.work is None:
            raise InvalidInput(f"entity {entity.entity_id!r} runs no skill")
        holder = f"entity:{entity.entity_id}"
        return skill_task(
            self._workspace,
            entity.work.skill,
            self._params(entity, entity.work, run),
            task_id=f"{holder}#{run.number}",
            source=holder,
            limits={holder: 1},
        )

    def _params(self, entity: Entity, work: Work, run: Run) -> dict[str, Any]:
        """The entity's own, and what it is told by the message that the run is for."""
        own = dict(work.params)
        if run.message is None:
            return own
        event = self._inbox.message(entity.entity_id, run.message)
        if event is None:
            raise InvalidInput(f"message {run.message} is not in the record any more")
        skill = self._table().find(work.skill)
        if skill.takes_any or any(p.name == "message" for p in skill.parameters):
            return {**own, "message": event["message"]}
        if not isinstance(event["message"], dict):
            raise InvalidInput(
                f"skill {work.skill!r} has no parameter 'message', and message {run.message} "
                "is no object whose members could be its parameters"
            )
        return {**own, **event["message"]}

    # --- routes, and when to come again ------------------------------------------------------

    def _look_after_offline(self, entity: Entity) -> bool:
        """Bring it back where it can reach its hosts; whether that was so."""
        try:
            if entity.work:
                self._table().find(entity.work.skill)
        except InvalidInput as error:
            self._without_skill(entity, error)
            return False
        back = self._offline.is_back(entity.entity_id, self._targets(entity))
        return back and self._manager.back_online(entity.entity_id)

    def _without_skill(self, entity: Entity, error: InvalidInput) -> None:
        """Nobody knows the hosts of an offline entity: no knocking will bring it back."""
        if isinstance(error, UnknownSkill) and not self._table().quarantined:
            self._manager.give_up(entity.entity_id, at_place(error.code, _place(entity)))
        else:  # it may be in a file that cannot be read just now
            self._offline.put_off(entity.entity_id)

    def _targets(self, entity: Entity) -> list[Target]:
        """What the entity's skill reaches, as it declares."""
        if entity.work is None:
            return []
        try:
            return targets_of(self._table().find(entity.work.skill).permissions.get("reaches", ()))
        except InvalidInput:
            return []

    def _table(self) -> SkillTable:
        if self._skills is None:
            self._skills = self._workspace.plugins.skills()
        return self._skills

    def _next_turn(self) -> float | None:
        entities = self._manager.list_entities()
        offline = [e.entity_id for e in entities if e.state is EntityState.OFFLINE_ADAPTING]
        times = [time for entity in entities for time in _times(entity)]
        return min(
            (t for t in (*times, self._offline.next_look(offline)) if t is not None), default=None
        )


def _place(entity: Entity, run: Run | None = None) -> str:
    """Where it failed that a run could not begin."""
    skill = f"skill {entity.work.skill!r}" if entity.work else ""
    return f"{skill}, message {run.message}" if run and run.message is not None else skill


def _times(entity: Entity) -> list[float | None]:
    """When something is to be done for *entity*."""
    if entity.state is not EntityState.ACTIVE:
        return [entity.recover_at]
    beat = entity.last_heartbeat + (_HEARTBEAT_S if entity.work else HEARTBEAT_LIMIT_S + 1)
    return [beat, None if entity.run else entity.next_due]
