"""Who hears the bus durably: all subscriptions, and those of skills among them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace

_SKILL = "skill:"


def skills_that_hear(skills: Iterable[Skill]) -> Iterator[tuple[str, Skill, str]]:
    """For each skill and each of its subjects the name of that subscription, skill and subject."""
    for skill in skills:
        for subject in skill.on:
            # A subject can be no part of a name; of another subject it is another subscription.
            digest = hashlib.sha256(subject.encode()).hexdigest()[:8]
            yield f"{_SKILL}{skill.name}:{digest}", skill, subject


def skill_of(subscription: str) -> str | None:
    """The skill whose subscription has that name; None where it is nobody's."""
    if not subscription.startswith(_SKILL):
        return None
    return subscription.removeprefix(_SKILL).partition(":")[0]


def hearers(workspace: Workspace) -> list[dict[str, Any]]:
    """
    All durable subscriptions and queue groups, and those of skills that no service has seen yet.

    As `Bus.subscriptions` has them, with `skill`, and `state`: "live", "idle" (nobody takes part in
    it now), "orphaned" (its skill is gone, or hears something else now), or "not begun".
    """
    wanted = {name: on for name, _, on in skills_that_hear(workspace.plugins.skills())}
    found = [_with_state(one, wanted) for one in workspace.bus.subscriptions()]
    there = {one["name"] for one in found}
    return found + [
        _not_begun(name, subject) for name, subject in wanted.items() if name not in there
    ]


def _with_state(one: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    skill = skill_of(one["name"])
    state = "live" if one["members"] else "idle"
    if skill and one["name"] not in wanted:
        state = "orphaned"
    return one | {"skill": skill, "state": state}


def _not_begun(name: str, subject: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("members", "backlog", "in_flight", "acknowledged", "dead_letters"), 0)
    kind = {"group": None, "durable": True, "skill": skill_of(name), "state": "not begun"}
    return {"name": name, "subject": subject, **kind, **numbers}
