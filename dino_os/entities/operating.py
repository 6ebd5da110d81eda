"""
What an operator does with entities: the manager's commands, with reasons where they are refused.

Also checks what only the operating system knows: whether the skill is there and takes such
parameters, and which messages there were before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dino_os.arguments import bind
from dino_os.entities.inbox import Inbox
from dino_os.entities.routes import targets_of
from dino_os.errors import EntityError, InvalidInput, NotFound, ResourcesTaken
from engines.checks import did_you_mean
from engines.entity_manager import (
    Command,
    Entity,
    EntityState,
    RestartLimits,
    Work,
    is_legal,
    why_not,
)

if TYPE_CHECKING:
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace


def spawn(
    workspace: Workspace,
    entity_id: str,
    entity_type: str,
    needs: Mapping[str, int],
    *,
    skill: str | None = None,
    params: Mapping[str, Any] | None = None,
    every_s: float | None = None,
    channel: str | None = None,
    from_now: bool = False,
    from_start: bool = False,
    limits: RestartLimits | None = None,
) -> Entity:
    """
    Make an entity that hibernates.

    Args:
        from_start: Its messages are all that are on record, not only those from now on.

    Raises:
        InvalidInput: The id was used, or a value does not fit.
        UnknownSkill: There is none of that name.
    """
    if skill is not None:
        work = Work(skill, dict(params or {}), every_s, channel)
        _check_skill(workspace.plugins.skills().find(skill), work.params, channel)
    entity = workspace.entities.spawn(
        entity_id,
        entity_type,
        needs,
        skill=skill,
        params=params,
        every_s=every_s,
        channel=channel,
        from_now=from_now,
        position=_behind(workspace, channel, from_start=from_start),
        limits=limits,
    )
    if entity is None:
        raise InvalidInput(
            f"the id {entity_id!r} was used before", hint="`dino entity list` shows all there were"
        )
    return entity


def awaken(workspace: Workspace, entity_id: str) -> Entity:
    """
    Wake a hibernating entity.

    Raises:
        EntityError: It does not hibernate.
        ResourcesTaken: What it needs is not free.
    """
    entity = _able(workspace, entity_id, Command.AWAKEN)
    from_now = entity.work and entity.work.from_now
    position = _last_message(workspace) if from_now else None
    if not workspace.entities.awaken(entity_id, position=position):
        _refused(entity, Command.AWAKEN)
    return entity


def move(workspace: Workspace, entity_id: str, command: Command, reason: str = "") -> Entity:
    """
    Have an entity hibernate, recover, go offline, come back, or end.

    Raises:
        EntityError: It is in no state for that.
    """
    entity, manager = _able(workspace, entity_id, command), workspace.entities
    done = {
        Command.HIBERNATE: lambda: manager.hibernate(entity_id, reason=reason),
        Command.DEACTIVATE: lambda: manager.deactivate(entity_id, reason=reason),
        Command.OFFLINE_ADAPT: lambda: manager.offline_adapt(entity_id, reason=reason),
        Command.BACK_ONLINE: lambda: manager.back_online(entity_id),
        Command.RECOVER: lambda: manager.recover(entity_id),
    }[command]()
    if not done:
        _refused(entity, command)
    return entity


def find(workspace: Workspace, entity_id: str) -> Entity:
    """
    The entity of that id.

    Raises:
        NotFound: There is none.
    """
    entity = workspace.entities.get_entity(entity_id)
    if entity is None:
        known = [one.entity_id for one in workspace.entities.list_entities()]
        raise NotFound(
            f"no entity {entity_id!r}{did_you_mean(entity_id, known)}",
            hint="`dino entity list` shows all there are",
        )
    return entity


def _able(workspace: Workspace, entity_id: str, command: Command) -> Entity:
    entity = find(workspace, entity_id)
    if not is_legal(entity.state, command):
        _refused(entity, command)
    return entity


def _refused(entity: Entity, command: Command) -> None:
    """Say why, from the state in which the entity was left."""
    if command is Command.AWAKEN and entity.state is EntityState.HIBERNATING and entity.reason:
        raise ResourcesTaken(
            f"entity {entity.entity_id!r} stays hibernating: {entity.reason}",
            hint="`dino engine status` shows the pools",
        )
    raise EntityError(f"entity {entity.entity_id!r}: {why_not(entity.state, command)}")


def _check_skill(skill: Skill, params: dict[str, Any], channel: str | None) -> None:
    targets_of(skill.permissions.get("reaches", ()))
    if channel is None:
        bind(skill, params)
        return
    from dino_os.message_bus.subject import check_subject  # noqa: PLC0415

    check_subject(channel)
    # What else it needs comes with the message.
    given = [replace(p, required=False) for p in skill.parameters]
    bind(replace(skill, parameters=tuple(given)), params)


def _behind(workspace: Workspace, channel: str | None, *, from_start: bool) -> int:
    """The last line that is nothing to a new entity."""
    if channel is None:
        return -1
    return _inbox(workspace).first() - 1 if from_start else _last_message(workspace)


def _last_message(workspace: Workspace) -> int:
    return _inbox(workspace).last()


def _inbox(workspace: Workspace) -> Inbox:
    return Inbox(workspace.memory / "bus.jsonl")
