"""Who hears the bus durably: all subscriptions, and those of skills among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dino_os.message_bus.delivery_state import Subscription
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

    `state` is "live", "idle" (nobody takes part in it now), "orphaned" (its skill is gone, or
    hears something else now) or "not begun".
    """
    wanted = {name: on for name, _, on in skills_that_hear(workspace.plugins.skills())}
    found = [_shown(workspace, own, wanted) for own in workspace.deliveries.subscriptions()]
    there = {one["name"] for one in found}
    new = [_row(name, subject, "not begun") for name, subject in wanted.items()]
    return found + [one for one in new if one["name"] not in there]


def _shown(workspace: Workspace, own: Subscription, wanted: Iterable[str]) -> dict[str, Any]:
    live = sum(map(workspace.deliveries.is_alive, own.members.values()))
    state = "live" if live else "idle"
    if skill_of(own.name) and own.name not in wanted:
        state = "orphaned"
    waiting = workspace.bus.messages.count_after(own.taken_to, own.subject)
    return _row(own.name, own.subject, state) | {
        "group": own.group,
        "members": live,
        "waiting": waiting,
        "in_flight": len(own.unsettled),
        "acknowledged": own.acked,
        "dead": len(own.dead),
    }


def _row(name: str, subject: str, state: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("members", "waiting", "in_flight", "acknowledged", "dead"), 0)
    more = {"skill": skill_of(name), "group": None, "state": state}
    return {"name": name, "subject": subject, **more, **numbers}
