"""A run of questions and answers: begun before the first, ended in one recorded outcome."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dino_os.agent_core.opening import asked, open_chain, require_library, screen_of
from dino_os.agent_core.waiting import Tell, pieces
from dino_os.errors import Denied, DinoError, ModelError, ModelTimedOut

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import StreamedResponse

    from dino_os.agent_core.providers import Provider
    from dino_os.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Whom to ask, and how.

    Attributes:
        provider: Only that one; with another model, where one is named.
        system: What stands before the first question.
        max_tokens: Of an answer; temperature as providers understand it.
        local_only: Only servers of this machine and its network.
        labels: Of what is said.
        given: Ask this one instead of those of the settings.
    """

    provider: str | None = None
    model: str | None = None
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    local_only: bool = False
    labels: Collection[str] = ()
    given: Provider | None = None

    @property
    def model_wanted(self) -> str | None:
        if self.given:
            return f"{self.given.name}/{self.given.model}"
        return "/".join(part for part in (self.provider, self.model) if part) or None

    def settings(self) -> Any:
        found = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a model said.

    Attributes:
        model: As the server calls it.
        money: By the provider's price, in the currency of the budget.
    """

    text: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    money: float
    duration_s: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "answer": self.text,
            "provider": self.provider,
            "model": self.model,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "money": self.money,
            "duration_s": round(self.duration_s, 3),
        }


class Session:
    """
    The run; its id is `run` once it is entered.

    Args:
        kind: What it is called in the record: ask, chat, skill or queued.
        goal: What it is about, for people.
        history: What was said before.
        parent: The run that asks.
        until: When to stop waiting, on the monotonic clock.
        note: Is told what somebody should know, though there is an answer.

    Raises:
        ModelUnavailable: On entering: what it takes is not installed.
        ConfigError: Likewise: no provider is configured, or one is wrong.
    """

    def __init__(
        self,
        workspace: Workspace,
        kind: str,
        goal: str,
        wanted: Wanted,
        *,
        actor: str | None = None,
        history: Sequence[ModelMessage] = (),
        parent: str | None = None,
        until: float = math.inf,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._workspace = workspace
        self._kind, self._goal, self._wanted = kind, goal, wanted
        self._actor = actor
        self._parent = parent
        self._until = until
        self._note = note
        self.history = list(history)
        self.answer: Answer | None = None
        self.run = ""

    def __enter__(self) -> Self:
        require_library()
        wanted = self._wanted
        # Without any it is no run.
        providers = asked(self._workspace, wanted.provider, wanted.model, wanted.given)
        screen = screen_of(self._workspace)
        who, _, door = self._workspace.operator.partition("@")
        self.run = self._workspace.agent_log.begin(
            self._kind,
            screen.outgoing(self._goal),
            model_wanted=wanted.model_wanted,
            actor=self._actor or who,
            door=door,
            parent_run=self._parent,
        )
        self._chain = open_chain(
            self._workspace,
            run=self.run,
            local_only=wanted.local_only,
            labels=wanted.labels,
            among=providers,
            screen=screen,
            note=self._note,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        outcome = _outcome(error)
        why = error.message if isinstance(error, DinoError) else kind.__name__ if kind else None
        said = self.answer.text if self.answer else None
        self._workspace.agent_log.finish(self.run, outcome, said, why)

    def say(self, text: str) -> str:
        """
        The answer to *text*, which follows all that was said before.

        Raises:
            DinoError: There is none, and why.
        """
        return "".join(self._turn(text, streams=False))

    def stream(self, text: str) -> Iterator[str]:
        """The same, piece by piece as it comes; raises also in the middle."""
        return self._turn(text, streams=True)

    def _turn(self, text: str, *, streams: bool) -> Iterator[str]:
        from dino_os.agent_core.messages import question  # noqa: PLC0415  with the library

        system = None if self.history else self._wanted.system
        self.history.append(question(text, system))
        return self.go_on(streams=streams)

    def go_on(self, *, streams: bool) -> Iterator[str]:
        """The answer to what was said last, in pieces or as one."""
        began = time.monotonic()
        self._partly: ModelResponse | None = None
        try:
            response = yield from pieces(lambda tell: self._ask(tell, streams=streams))
        except BaseException:
            # What somebody has seen was said; what was not answered was not asked.
            if self._partly and self._partly.parts:
                self.history.append(self._partly)
            else:
                self.history.pop()
            raise
        self.history.append(response)
        self.answer = self._answer(response, time.monotonic() - began)
        if not streams:
            yield self.answer.text

    async def _ask(self, tell: Tell, *, streams: bool) -> ModelResponse:
        from pydantic_ai.models import ModelRequestParameters  # noqa: PLC0415  with the library

        left = self._until - time.monotonic()
        asked_for = self._chain, self.history, self._wanted.settings(), ModelRequestParameters()
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                chain, *request = asked_for
                if not streams:
                    response = await chain.request(*request)
                else:
                    async with chain.request_stream(*request) as streamed:
                        await self._read(streamed, tell)
                    response = streamed.get()
        except TimeoutError:
            raise ModelTimedOut("the run that asked a model has no time left") from None
        return _checked(response, chain.answered_by)

    async def _read(self, streamed: StreamedResponse, tell: Tell) -> None:
        from pydantic_ai.messages import (  # noqa: PLC0415  with the library
            PartDeltaEvent,
            PartStartEvent,
            TextPart,
            TextPartDelta,
        )

        try:
            async for event in streamed:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    tell(event.part.content)
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    tell(event.delta.content_delta)
        except BaseException:
            self._partly = streamed.get()
            raise

    def _answer(self, response: ModelResponse, duration_s: float) -> Answer:
        from dino_os.agent_core.messages import text_of  # noqa: PLC0415  with the library

        provider, usage = self._chain.answered_by, response.usage
        assert provider is not None  # noqa: S101  somebody answered
        return Answer(
            text_of(response),
            provider.name,
            response.model_name or provider.model,
            usage.input_tokens,
            usage.output_tokens,
            provider.money(usage.input_tokens, usage.output_tokens),
            duration_s,
        )


def _checked(response: ModelResponse, provider: Provider | None) -> ModelResponse:
    """An answer, unless it is none: what was filtered away is the provider's last word."""
    if response.finish_reason == "content_filter" and not any(
        getattr(part, "content", "") for part in response.parts
    ):
        name = provider.name if provider else "the model"
        raise ModelError(f"{name} would not answer: its content filter says no")
    return response


def _outcome(error: BaseException | None) -> str:
    from engines.agent_log import BudgetSpent  # noqa: PLC0415  where a run is

    if error is None:
        return "ok"
    if isinstance(error, Denied | BudgetSpent):
        return "denied"
    if isinstance(error, ModelTimedOut):
        return "timeout"
    return "error" if isinstance(error, Exception) else "cancelled"
