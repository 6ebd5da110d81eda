"""Workspaces with scripted servers as their providers, and a name that stands for any address."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestParameters

from dino_os.agent_core import open_chain
from dino_os.agent_core.chain import Chain
from dino_os.agent_core.messages import question, text_of
from dino_os.workspace import Workspace

NOBODY = "http://127.0.0.1:9/v1"  # discard: no service of a test's machine listens there


def provider(name: str, url: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "model": f"{name}-model", "base_url": url, **more}


def desk(folder: Path, *providers: Mapping[str, Any], **llm: Any) -> Workspace:
    """A workspace with these *providers*, in this order."""
    settings = {"llm": {"providers": [*providers], "retries": 0, **llm}}
    (folder / "config.yaml").write_text(json.dumps(settings))
    return Workspace(folder)


def stands_for(**names: str) -> Any:
    """What looks up these names (underscores are dots), and no others."""
    known = {name.replace("_", "."): address for name, address in names.items()}

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]

    return look_up


def calls(workspace: Workspace, run: str | None = None) -> list[tuple[str, str | None]]:
    """Provider and outcome of each call of a run, or of the last."""
    log = workspace.agent_log
    found = log.steps(run or log.runs(1)[0].id)
    return [(step.provider, step.outcome) for step in found]  # type: ignore[union-attr]


def chain_of(workspace: Workspace, *, run: str | None = None, **terms: Any) -> Chain:
    """A chain of a new run, with other *terms*."""
    log = workspace.agent_log
    run = run or log.begin("ask", "a test", actor="tester", door="script")
    found = open_chain(
        workspace,
        run=run,
        **{name: terms.pop(name) for name in ("local_only", "labels") if name in terms},
    )
    found.terms = replace(found.terms, **terms)
    return found


def said(chain: Chain, prompt: str = "hi", *, streams: bool = False) -> str:
    """What the chain answers, all of it."""

    async def ask() -> ModelResponse:
        request = [question(prompt)], None, ModelRequestParameters()
        if not streams:
            return await chain.request(*request)
        async with chain.request_stream(*request) as streamed:
            async for _ in streamed:
                pass
        return streamed.get()

    return text_of(asyncio.run(ask()))
