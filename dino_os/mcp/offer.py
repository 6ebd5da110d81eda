"""
Which skills a client may call, and as what tools.

A skill that asks for nothing, or to read, is offered.  One that also writes, reaches a host or uses
a key is offered where the operator granted it that, or names it with `--allow`; and whatever is
offered runs only as far as it was granted.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dino_os.agent.schema import by_tool_name, parameters_schema
from dino_os.errors import DinoError, UnknownSkill
from dino_os.skill_index import Skill
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from mcp_types import Tool

    from dino_os.workspace import Workspace

PLAN_CYCLE = "plan-cycle"
_ACTS = ("writes", "reaches", "keys")
_LONGEST_DESCRIPTION = 2_000


class Offer:
    """
    What of *workspace* is offered.

    Args:
        only: Names of skills, and `plan-cycle`; none stands for all.
        allow: Those that may act, and `plan-cycle` where it may record.

    Raises:
        UnknownSkill: There is none of a name.
        SkillConflict: Two skills would be one tool.
    """

    def __init__(
        self, workspace: Workspace, only: Sequence[str] = (), allow: Sequence[str] = ()
    ) -> None:
        self._workspace = workspace
        self._only = frozenset(only)
        self._allow = frozenset(allow)
        known = {PLAN_CYCLE, *(skill.name for skill in workspace.plugins.skills())}
        for name in (*only, *allow):
            if name not in known:
                raise UnknownSkill(
                    f"no skill named {name!r}{did_you_mean(name, known)}",
                    hint="`dino list` shows the skills there are",
                )
        self.skills()

    @property
    def plans(self) -> bool:
        """Whether cycles may be rehearsed."""
        return not self._only or PLAN_CYCLE in self._only

    @property
    def records(self) -> bool:
        """Whether a cycle may be recorded."""
        return self.plans and PLAN_CYCLE in self._allow

    @property
    def left_out(self) -> list[str]:
        """What was named, and is not offered as it acts."""
        offered = {skill.name for skill in self.skills().values()}
        return sorted(self._only - offered - {PLAN_CYCLE})

    def skills(self) -> dict[str, Skill]:
        """The skills by their tools' names, as they are on the disk now."""
        offered = [skill for skill in self._workspace.plugins.skills() if self._is_offered(skill)]
        return by_tool_name(offered, taken="plan_cycle" if self.plans else "")

    def _is_offered(self, skill: Skill) -> bool:
        if self._only and skill.name not in self._only:
            return False
        return not _acts(skill) or skill.name in self._allow or self._is_granted(skill)

    def _is_granted(self, skill: Skill) -> bool:
        admission = self._workspace.admission
        try:
            request, _ = admission.request(skill)
        except DinoError:  # whoever runs it is told why it cannot be
            return False
        return admission.covers(request)


def _acts(skill: Skill) -> bool:
    return any(name in skill.permissions for name in _ACTS)


@functools.lru_cache(maxsize=256)
def _described(doc: str) -> str:
    return doc.partition("Args:\n")[0].strip()[:_LONGEST_DESCRIPTION]


def as_tool(name: str, skill: Skill) -> Tool:
    """What a client is told of *skill*: all of it from its source, which is not run."""
    from mcp_types import Tool, ToolAnnotations  # noqa: PLC0415  where something is served

    acts = _acts(skill)
    hints = ToolAnnotations(
        read_only_hint=not acts,
        destructive_hint=acts,  # that it only adds nobody can know
        idempotent_hint=bool(skill.options.get("idempotent")),
        open_world_hint="reaches" in skill.permissions,
    )
    return Tool(
        name=name,
        description=_described(skill.doc) or skill.name.replace("_", " "),
        input_schema=parameters_schema(skill),
        annotations=hints,
    )
