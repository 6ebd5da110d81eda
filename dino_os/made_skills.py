"""
Files of skills that are made from what others say: looked at before they are written, and what they
were granted taken back with them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.agent.schema import tool_name
from dino_os.errors import InvalidInput, NotFound, SkillConflict
from dino_os.skill_index import UnreadableSkill, read_skills

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


def check_made(workspace: Workspace, file: Path, text: str) -> None:
    """
    Whether *text* may stand in *file*, as skills of *workspace*.

    Raises:
        InvalidInput: It is no list of skills.
        SkillConflict: One of them would have the name of another, for people or for models.
    """
    with tempfile.TemporaryDirectory() as beside:
        made = Path(beside, file.name)
        made.write_text(text, encoding="utf-8")
        try:
            names = {tool_name(skill.name) for skill in read_skills(made, "made")}
        except UnreadableSkill as error:
            raise InvalidInput(f"no skills can be made of it: {error}") from None
    for skill in workspace.plugins.skills():
        if tool_name(skill.name) in names and skill.file != file:
            raise SkillConflict(f"there is a skill {skill.name!r} already, in {skill.file}")


def take_back(workspace: Workspace, skills: Iterable[str]) -> None:
    """Revoke what *skills* were granted, as far as that was said by command."""
    for skill in skills:
        with suppress(InvalidInput, NotFound):  # by the settings, or not at all
            workspace.admission.revoke(skill, by=workspace.operator)
