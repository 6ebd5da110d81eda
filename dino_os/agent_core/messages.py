"""Messages as programs write them, {"role", "content"}, and as the library has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)

from dino_os.errors import InvalidInput

_ROLES = ("system", "user", "assistant")


def question(text: str, system: str | None = None) -> ModelRequest:
    """What a user says; *system* stands before it."""
    first = [SystemPromptPart(system)] if system else []
    return ModelRequest(parts=[*first, UserPromptPart(text)])


def from_roles(messages: Sequence[Mapping[str, Any]]) -> list[ModelMessage]:
    """
    Messages of programs, the last of which is the user's.

    Raises:
        InvalidInput: They are none.
    """
    found: list[ModelMessage] = []
    role: Any = None
    for place, one in enumerate(messages):
        role, content = (one.get(name) for name in ("role", "content"))
        if role not in _ROLES or not isinstance(content, str):
            raise InvalidInput(
                f"messages[{place}]: expected a role ({', '.join(_ROLES)}) and a content of text"
            )
        if role == "assistant":
            found.append(ModelResponse(parts=[TextPart(content)]))
            continue
        part = SystemPromptPart(content) if role == "system" else UserPromptPart(content)
        if found and isinstance(found[-1], ModelRequest):
            found[-1] = ModelRequest(parts=[*found[-1].parts, part])
        else:
            found.append(ModelRequest(parts=[part]))
    if role != "user":
        raise InvalidInput("the last of the messages is to be a user's")
    return found


def from_record(messages: Any) -> list[ModelMessage]:
    """Messages as a run's record has them."""
    found: list[ModelMessage] = ModelMessagesTypeAdapter.validate_python(messages)
    return found


def text_of(response: ModelResponse) -> str:
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))
