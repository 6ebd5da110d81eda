"""Which durable subscriptions there are, those of skills among them, and which of these nobody serves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
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
