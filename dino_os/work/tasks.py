"""Tasks made of skills, with what their mark asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dino_os.arguments import bind
from dino_os.errors import InvalidInput
from engines.checks import did_you_mean
from engines.resource_engine import ResourceType, Task

if TYPE_CHECKING:
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace


def skill_task(
    workspace: Workspace,
    name: str,
    params: Mapping[str, Any],
    *,
    task_id: str | None = None,
    **options: Any,
) -> Task:
    """
    The task of running skill *name* with *params*.

    Pools, attempts and what becomes of it when its worker is lost come from the skill's mark, how
    many may run at once from `resources.skill_limits`; one that reads or writes files stays where
    they are.  *options* are Task's own and go before.

    Raises:
        UnknownSkill: There is none.
        InvalidInput: The parameters do not fit it, or it needs a pool that there is not.
    """
    skill = workspace.plugins.skills().find(name)
    return task_of(workspace, skill, params, task_id=task_id, **options)


def task_of(
    workspace: Workspace,
    skill: Skill,
    params: Mapping[str, Any],
    *,
    task_id: str | None = None,
    **options: Any,
) -> Task:
    """As `skill_task`, of a skill that was found already."""
    arguments = bind(skill, params)
    asked: dict[str, Any] = {
        "needs": _needs(skill),
        "max_attempts": 1 + int(skill.options.get("retries", 0)),
        "timeout_s": skill.timeout_s,
        "local": bool(skill.options.get("reads") or skill.options.get("writes")),
    }
    limits = dict(options.pop("limits", {}))
    if most := workspace.config.settings.resources.skill_limits.get(skill.name):
        limits[f"skill:{skill.name}"] = most
    payload = {"skill": skill.name, "params": arguments}
    made_up = uuid4().hex if task_id is None else task_id
    return Task(made_up, payload=payload, limits=limits, **{**asked, **options})


def _needs(skill: Skill) -> dict[ResourceType, int]:
    needs: dict[ResourceType, int] = {}
    for pool, amount in skill.options.get("needs", {}).items():
        try:
            needs[ResourceType(pool)] = amount
        except ValueError:
            known = [kind.value for kind in ResourceType]
            raise InvalidInput(
                f"skill {skill.name!r} needs {pool!r}, which is no pool{did_you_mean(pool, known)}",
                hint=f"there are {', '.join(known)}",
            ) from None
    return needs or {ResourceType.COMPUTE: 1}
