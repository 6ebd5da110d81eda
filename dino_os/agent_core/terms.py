"""What holds for all requests of a run: where they are recorded, and what they may cost."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestParameters

from dino_os.agent_core.health import Health
from dino_os.agent_core.transport import Clean
from dino_os.tool_sandbox.egress.lookup import Resolve
from engines.agent_log import AgentLog, Budget


class Screen(Protocol):
    """What keeps secrets out of prompts."""

    def messages(self, messages: list[ModelMessage]) -> list[ModelMessage]: ...

    def parameters(self, params: ModelRequestParameters) -> ModelRequestParameters: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What holds for all requests of a run.

    Attributes:
        run: Its id in *log*.
        near_only: Only servers of this machine and its network are asked.
        retries: How often all are asked again that failed only for the moment.
        clean: A text without the secrets in it: the last look at what leaves.
        note: Is told what somebody should know, though there is an answer.
    """

    run: str
    log: AgentLog
    health: Health
    budget: Budget | None = None
    near_only: bool = False
    retries: int = 1
    screen: Screen | None = None
    clean: Clean = str
    note: Callable[[str], object] = len
    resolve: Resolve = socket.getaddrinfo
    sleep: Callable[[float], Any] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
