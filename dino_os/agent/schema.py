"""
What a model is told of a skill: a name it can write, a few words, and the types of the parameters.

All of it comes from the static index: nothing of the skill is imported.  Two skills that would get
one name are refused, never renamed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from dino_os.errors import SkillConflict
from dino_os.skill_index import Parameter, Skill

_LONGEST_NAME = 64  # with letters, digits, _ and -: what every provider takes
_LONGEST_DESCRIPTION = 300
_unfit = re.compile(r"[^a-zA-Z0-9_-]")
_TYPES = {
    "str": "string",
    "Path": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


def tool_name(skill: str) -> str:
    """What a model calls *skill*: `ns.skill` is `ns__skill`; what no provider takes gets a hash."""
    name = skill.replace(".", "__")
    if not _unfit.search(name) and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(skill.encode()).hexdigest()[:8]
    return f"{_unfit.sub('_', name)[: _LONGEST_NAME - len(digest) - 1]}_{digest}"


def by_tool_name(skills: Iterable[Skill], *, taken: str = "") -> dict[str, Skill]:
    """
    The skills by the names that a model has for them.

    Args:
        taken: A name that is a tool of ours.

    Raises:
        SkillConflict: Two of them would have one.
    """
    found: dict[str, Skill] = {}
    for skill in skills:
        name = tool_name(skill.name)
        if name == taken or name in found:
            other = repr(found[name].name) if name in found else "a tool of Dino's"
            raise SkillConflict(
                f"a model would call both {other} and the skill {skill.name!r} {name!r}",
                hint="rename one of them, or name the skills that it is to have with --skills",
            )
        found[name] = skill
    return found


def description(skill: Skill) -> str:
    """The first paragraph of the docstring, on one line."""
    paragraph = " ".join(skill.doc.partition("\n\n")[0].split())
    return paragraph[:_LONGEST_DESCRIPTION] or skill.name.replace("_", " ")


def parameters_schema(skill: Skill) -> dict[str, Any]:
    """The JSON schema of what *skill* takes."""
    return {
        "type": "object",
        "properties": {p.name: _property(p) for p in skill.parameters},
        "required": [p.name for p in skill.parameters if p.required],
        "additionalProperties": skill.takes_any,
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if parameter.kind == "choice":
        told["enum"] = list(parameter.choices)
    elif named := _TYPES.get(parameter.kind):
        told["type"] = named
    if parameter.kind == "list":
        told["items"] = {"type": _TYPES[parameter.item]} if parameter.item in _TYPES else {}
        if parameter.choices:
            told["items"] = {"enum": list(parameter.choices)}
    if parameter.help:
        told["description"] = parameter.help
    # The index keeps the source text of a default that is no literal, which looks like a string.
    if not parameter.required and isinstance(parameter.default, bool | int | float):
        told["default"] = parameter.default
    return told
