"""A model that takes what it is asked as it is."""

from __future__ import annotations

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings


class Unprepared(Model):
    """Prepares nothing for a provider: whoever answers in the end has a profile of its own."""

    @property
    def system(self) -> str:
        return "dino"

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        return model_settings, model_request_parameters

    def prepare_messages(
        self,
        messages: list[ModelMessage],
        model_request_parameters: ModelRequestParameters | None = None,
    ) -> list[ModelMessage]:
        del model_request_parameters
        return messages
