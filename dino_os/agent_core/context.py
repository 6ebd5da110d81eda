"""
Whether a prompt fits what a model reads.

Ollama cuts off what is beyond its context without a word, and its OpenAI-compatible paths take no
`num_ctx`: by default it reads 4,096 tokens of whatever length a model was made for.  So a prompt
that may be too long is held against what the server says of itself (`/api/ps`, `/api/show`), and is
not sent where it does not fit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from pydantic_ai.models import ModelRequestParameters

from dino_os.agent_core.providers import Provider

OLLAMA_READS = 4096
# No tokenizer is at hand.  English prose has about 4.5 bytes a token, code and JSON about 3.
_BYTES = 3.5
_FRAME = 4  # tokens around each message
_MOST_S = 10.0  # for a server to say how much it reads
_num_ctx = re.compile(r"(?m)^\s*num_ctx\s+(\d{1,9})\s*$")


def estimated_tokens(messages: Sequence[ModelMessage], params: ModelRequestParameters) -> int:
    """About how many tokens a request has: its messages, and the tools that it offers."""
    size = sum(_size(part) for message in messages for part in _parts(message))
    tools = [*params.function_tools, *params.output_tools]
    size += sum(
        len(tool.name) + len(tool.description or "") + len(json.dumps(tool.parameters_json_schema))
        for tool in tools
    )
    instructions = params.instruction_parts or []
    size += sum(len(part.content.encode()) for part in instructions)
    return int(size / _BYTES) + _FRAME * (len(messages) + 1)


def text_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return int(len(text.encode()) / _BYTES) + 1


def as_json(messages: Sequence[ModelMessage]) -> list[Any]:
    """*messages* as they are recorded."""
    found: list[Any] = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")
    return found


async def ollama_reads(provider: Provider, client: httpx2.AsyncClient) -> int:
    """
    How many tokens that server reads of a prompt for that model.

    What is loaded counts most, then what its Modelfile says; an older server tells neither, and
    then it is the default, as it is where it does not say so in time.
    """
    root = provider.url.removesuffix("/v1")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(provider.timeout_s, _MOST_S)):
            loaded = await _asked(client, "GET", f"{root}/api/ps")
            if reads := _reads_of(provider.model, loaded.get("models")):
                return reads
            shown = await _asked(client, "POST", f"{root}/api/show", {"model": provider.model})
            if found := _num_ctx.search(str(shown.get("parameters") or "")):
                return int(found[1])
    return OLLAMA_READS


def _reads_of(model: str, loaded: Any) -> int:
    """What a server says that the *loaded* model reads; 0 where it does not."""
    names = model, f"{model}:latest"
    for one in loaded if isinstance(loaded, list) else ():
        if isinstance(one, dict) and (one.get("name") in names or one.get("model") in names):
            reads = one.get("context_length")
            if isinstance(reads, int) and reads > 0:
                return reads
    return 0


async def _asked(
    client: httpx2.AsyncClient, method: str, url: str, body: Any = None
) -> Mapping[str, Any]:
    try:
        answer = await client.request(method, url, json=body)
        found = answer.json() if answer.is_success else {}
    except (httpx2.HTTPError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _parts(message: ModelMessage) -> Sequence[Any]:
    instructions = getattr(message, "instructions", None)
    return [*message.parts, *([instructions] if instructions else [])]


def _size(part: Any) -> int:
    if isinstance(part, str):
        return len(part.encode())
    content = getattr(part, "content", None)
    if isinstance(content, str):
        return len(content.encode())
    arguments = getattr(part, "args", None)
    what = content if content is not None else arguments
    if what is None:
        return 0
    return len(what.encode()) if isinstance(what, str) else len(json.dumps(what, default=str))
