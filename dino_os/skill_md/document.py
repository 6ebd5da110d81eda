"""
SKILL.md: front matter in YAML between two lines of dashes, and instructions in Markdown.

The rules are those of agentskills.io/specification; fields that it does not name are let be.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from dino_os.errors import InvalidInput
from dino_os.typed_files import Document

FILE = "SKILL.md"
_LONGEST_FRONT = 16_384
_name_fits = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch
_front = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)(.*)", re.DOTALL)


class FrontMatter(Struct, frozen=True):
    """What a skill says of itself."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    description: Annotated[str, Meta(min_length=1, max_length=1024)]
    license: str = ""
    compatibility: Annotated[str, Meta(max_length=500)] = ""
    metadata: dict[str, Any] = {}
    allowed_tools: str | list[str] = field(name="allowed-tools", default="")


def read(text: str, folder: str | None) -> FrontMatter:
    """
    The front matter of *text*.

    Args:
        folder: What the skill's folder is called, which must be its name; None where it has none.

    Raises:
        InvalidInput: It is no SKILL.md.
    """
    found = _front.match(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    if found is None:
        raise InvalidInput(f"{FILE}: no front matter between two lines of ---")
    if len(found[1]) > _LONGEST_FRONT:
        raise InvalidInput(f"{FILE}: the front matter has more than {_LONGEST_FRONT:,} characters")
    front = Document(f"\n{found[1]}", FILE).convert(FrontMatter)
    if not _name_fits(front.name):
        raise InvalidInput(
            f"{FILE}: name: {front.name[:80]!r} is none for a skill",
            hint="small letters and digits, joined by single hyphens: pdf-processing",
        )
    if not front.description.strip():
        raise InvalidInput(f"{FILE}: description: it is empty")
    if folder is not None and folder != front.name:
        raise InvalidInput(
            f"{FILE}: name: {front.name!r}, and its folder is called {folder!r}",
            hint="the two are the same in this format",
        )
    return front


def written(front: dict[str, Any], body: str) -> str:
    """A SKILL.md."""
    import yaml  # noqa: PLC0415  where one is written

    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{head}---\n\n{body.strip()}\n"
