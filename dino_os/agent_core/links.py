"""From a provider to a model of the library, over our own transport."""

from __future__ import annotations

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider

from dino_os.agent_core.providers import Provider

_NO_KEY = (
    "-"  # the library wants one, also where the environment has another; the transport's counts
)


def model_of(provider: Provider, client: httpx2.AsyncClient) -> Model:
    """The model of *provider*, asked by *client*; it tries nothing twice by itself."""
    openai = AsyncOpenAI(api_key=_NO_KEY, base_url=provider.url, max_retries=0, http_client=client)
    # Else it starts a thread to find out what its headers say of this machine, and nobody sends.
    openai._platform = "Unknown"  # noqa: SLF001
    if provider.kind == "ollama":
        return OllamaModel(
            provider.model, provider=OllamaProvider(openai_client=openai), profile=_OTHERS
        )
    profile = _OPENAI if provider.host[0] == "api.openai.com" else _OTHERS
    return OpenAIChatModel(
        provider.model, provider=OpenAIProvider(openai_client=openai), profile=profile
    )


# How much a model reads is looked for in no list: the settings or the server say so.
_OPENAI = OpenAIModelProfile(context_window=None)
# What only OpenAI's own server understands.
_OTHERS = OpenAIModelProfile(
    context_window=None,
    openai_chat_supports_max_completion_tokens=False,
    openai_supports_strict_tool_definition=False,
)
