"""What a skill is called with when it hears a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dino_os.message_bus.stored import Stored
    from dino_os.skill_index import Skill


def heard_by(skill: Skill, stored: Stored) -> dict[str, Any]:
    """
    The arguments of *skill* for a message: its first parameter is the message, and those that are
    called `channel`, `message_id` and `headers` are what they say.

    The id is the publisher's, else the message's number.
    """
    facts = {
        "channel": stored.channel,
        "message_id": stored.id or str(stored.seq),
        "headers": dict(stored.headers or {}),
    }
    names = {parameter.name for parameter in skill.parameters}
    told = {name: fact for name, fact in facts.items() if name in names}
    if parameter := skill.message_parameter:
        return {parameter.name: stored.message, **told}
    return {"message": stored.message, **facts} if skill.takes_any else told
