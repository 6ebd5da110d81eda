"""The skills of a run as the tools of a pydantic-ai agent.  Imported by the first run."""

from __future__ import annotations

from typing import Any

from pydantic_ai import AbstractToolset, ApprovalRequired, ModelRetry, RunContext, ToolDefinition
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.toolsets import ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from dino_os.agent.calls import BadArguments, Calls, NeedsApproval, NotDone
from dino_os.agent.offer import FIND_SKILL, Offer
from dino_os.agent.schema import description, parameters_schema

TRIES = 2
"""So often a model may correct itself in a row: arguments that do not fit, names that are none."""
# Only that they are JSON by name: the rest is checked where it is for `dino run`.
BY_NAME = SchemaValidator(core_schema.dict_schema(core_schema.str_schema()))
_FIND = ToolDefinition(
    name=FIND_SKILL,
    description="Find more tools by what they do. Those found can be called from the next step on.",
    parameters_json_schema={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "A few words."}},
        "required": ["query"],
        "additionalProperties": False,
    },
)


class SkillTools(AbstractToolset[None]):
    """
    The skills of *offer*, called by *calls*.

    A call blocks the event loop: skills run one after another, and Ctrl-C ends the one that runs.
    """

    def __init__(self, offer: Offer, calls: Calls) -> None:
        self._offer = offer
        self._calls = calls

    @property
    def id(self) -> str:
        return "skills"

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        del ctx
        tools = [
            ToolDefinition(
                name=name,
                description=self._calls.shown(description(skill)),
                parameters_json_schema=self._calls.shown(parameters_schema(skill)),
            )
            for name in self._offer.shown
            if (skill := self._offer.skills[name])
        ]
        return {
            tool.name: ToolsetTool(
                toolset=self, tool_def=tool, max_retries=TRIES, args_validator=BY_NAME
            )
            for tool in [*tools, *([_FIND] if self._offer.finds else [])]
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[None], tool: ToolsetTool[None]
    ) -> Any:
        del tool
        if name == FIND_SKILL and self._offer.finds:
            return self._find(tool_args)
        self._offer.use(name)
        try:
            return self._calls.call(
                self._offer.skills[name],
                tool_args,
                ctx.tool_call_id or "",
                approved=ctx.tool_call_approved,
            )
        except BadArguments as error:
            raise ModelRetry(str(error)) from None
        except NeedsApproval as error:
            raise ApprovalRequired({"why": str(error)}) from None
        except NotDone as error:
            raise ToolFailed(str(error)) from None

    def _find(self, given: dict[str, Any]) -> Any:
        query = given.get("query")
        if not isinstance(query, str) or not query.strip():
            raise ModelRetry("find_skill needs 'query', a few words")
        return self._offer.find(query) or "no skill fits these words"
