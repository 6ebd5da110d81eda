"""Scripted models whose calls are on record as those of the chain are."""

from __future__ import annotations

import json
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from dino_os.agent_core.context import as_json
from dino_os.agent_core.screening import Screen
from dino_os.workspace import Workspace
from engines.agent_log import AgentLog
from tests.agent.kit import Script, Turn


class Recording(WrapperModel):
    """Asks *model*, and keeps what left in *bodies*."""

    def __init__(
        self, model: Model, log: AgentLog, run: str, screen: Screen, bodies: list[str]
    ) -> None:
        super().__init__(model)
        self._log, self._run, self._screen, self._bodies = log, run, screen, bodies
        self._recorded = len(log.messages(run)) if log.run(run).spent.calls else 0

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        sent = self._screen.messages(messages)
        self._bodies.append(json.dumps(as_json(sent)))
        call = self._log.reserve(self._run, "scripted", "m", tokens=0, money=0)
        response = await super().request(sent, model_settings, model_request_parameters)
        new = as_json(sent[self._recorded :])
        self._log.called(call, outcome="ok", request=new, response=as_json([response]))
        self._recorded = len(sent) + 1
        return response


class Recorded(Script):
    """As `Script`, on the record of *home*."""

    def __init__(self, home: Workspace, *turns: Turn) -> None:
        super().__init__(*turns)
        self._home = home
        self.bodies: list[str] = []

    def __call__(self, run: str, **terms: Any) -> Recording:  # type: ignore[override]
        model = super().__call__(run, **terms)
        return Recording(model, self._home.agent_log, run, terms["screen"], self.bodies)
