"""Whether the providers are there: each is asked what models it has, which costs no tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from dino_os.agent_core.context import ollama_reads
from dino_os.agent_core.failures import cause_of
from dino_os.agent_core.health import Health
from dino_os.agent_core.providers import Provider
from dino_os.agent_core.transport import (
    ANYWHERE,
    NEAR,
    Elsewhere,
    Unusable,
    addresses_of,
    client_for,
    is_near,
)
from dino_os.errors import DinoError

_NO_KEY = frozenset({401, 403})
_FAULT = 500
_MOST_S = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a provider said of itself.

    Attributes:
        near: Whether it is on this machine or its network; None where it was not found.
        has_model: Whether it names the model that is asked; None where it does not tell.
        reads: How many tokens it reads, as far as it says so.
    """

    provider: Provider
    ok: bool
    why: str
    near: bool | None = None
    has_model: bool | None = None
    reads: int = 0
    took_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider.name,
            "ok": self.ok,
            "why": self.why or None,
            "near": self.near,
            "model": self.provider.model,
            "has_model": self.has_model,
            "reads_tokens": self.reads or None,
            "took_s": round(self.took_s, 3),
        }


def check(providers: Sequence[Provider], health: Health, *, near_only: bool) -> list[Found]:
    """Ask all *providers* at once; what they answer is remembered as their health."""

    async def all_of() -> list[Found]:
        return await asyncio.gather(*(_one(one, near_only=near_only) for one in providers))

    found = asyncio.run(all_of())
    for one in found:
        if one.ok:
            health.answered(one.provider.url)
    return found


async def _one(provider: Provider, *, near_only: bool) -> Found:
    began = time.monotonic()
    near: bool | None = None
    try:
        async with asyncio.timeout(min(provider.timeout_s, _MOST_S)):
            near = is_near(await addresses_of(*provider.host, provider.connect_s))
            clear = provider.key and not provider.encrypted
            kinds = NEAR if near_only or clear else ANYWHERE
            why = "only this machine and its network may be asked"
            if clear:
                why = "its key would be sent in clear; use https"
            async with client_for(provider, kinds, why, clean=str) as client:
                found = await _asked(provider, client)
                return replace(found, near=near, took_s=time.monotonic() - began)
    except (DinoError, OSError, httpx2.HTTPError, TimeoutError) as error:
        took_s = time.monotonic() - began
        return Found(provider, ok=False, why=_why(error), near=near, took_s=took_s)


async def _asked(provider: Provider, client: httpx2.AsyncClient) -> Found:
    answer = await client.get(f"{provider.url}/models")
    status = answer.status_code
    if status in _NO_KEY or status >= _FAULT:
        why = "it refused the key" if status in _NO_KEY else "its own fault"
        return Found(provider, ok=False, why=f"{why} ({status})")
    has = _has(answer, provider.model)
    reads = provider.context_tokens
    if provider.kind == "ollama" and not reads:
        reads = await ollama_reads(provider, client)
    missing = f"it has no model {provider.model!r}" if has is False else ""
    return Found(provider, has is not False, missing, has_model=has, reads=reads)


def _has(answer: httpx2.Response, model: str) -> bool | None:
    try:
        names = {one["id"] for one in answer.json()["data"]}
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return bool(names & {model, f"{model}:latest"})


def _why(error: BaseException) -> str:
    if ours := cause_of(error, Elsewhere) or cause_of(error, DinoError):
        return ours.message
    if unusable := cause_of(error, Unusable):
        return str(unusable)
    if cause_of(error, ConnectionRefusedError):
        return "nobody listens there"
    if cause_of(error, TimeoutError) or isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or "it cannot be reached"
