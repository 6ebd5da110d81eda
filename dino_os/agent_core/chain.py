"""
All providers as one model of pydantic-ai: whoever uses a model takes this one.

The order of the settings, fallback, health, budgets, where servers may be, what is kept out of
prompts and the record are in here.  A stream that ends before its first piece is another provider's
turn; one that ends later is an error, as somebody has seen what it said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from pydantic_ai.messages import (
    BaseToolCallPart,
    FilePart,
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    TextPart,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext

from dino_os.agent_core.attempt import Attempt
from dino_os.agent_core.attempts import Attempts
from dino_os.agent_core.providers import Provider
from dino_os.agent_core.terms import Terms
from dino_os.agent_core.unprepared import Unprepared
from dino_os.errors import ModelError


class Chain(Unprepared):
    """
    The *providers*, tried in their order, each request anew.

    Attributes:
        answered_by: The provider of the last answer, for those who show it.
    """

    def __init__(self, providers: Sequence[Provider], terms: Terms) -> None:
        super().__init__()
        self.providers = list(providers)
        self.terms = terms
        self.answered_by: Provider | None = None
        self._recorded: int | None = None

    @property
    def model_name(self) -> str:
        return ",".join(one.model for one in self.providers)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """
        The answer of the first that gives one.

        Raises:
            DinoError: None does.
        """
        attempts = self._attempts(messages, model_settings, model_request_parameters)
        while True:
            attempt = await attempts.next()
            try:
                async with asyncio.timeout(attempt.provider.timeout_s):
                    response = await attempt.model.request(
                        attempts.messages_for(attempt), attempt.settings, attempts.params
                    )
                _check_said(response)
            except BaseException as error:  # noqa: BLE001  recorded, and raised again if not its own
                attempt.failed(error)
                continue
            attempt.answered(response)
            self._done(attempts, attempt)
            return response

    @contextlib.asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """
        The stream of the first whose first piece comes.

        Raises:
            DinoError: None comes; or, once it is read: it ended in the middle.
        """
        attempts = self._attempts(messages, model_settings, model_request_parameters)
        while True:
            attempt = await attempts.next()
            async with contextlib.AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(attempt.provider.timeout_s):
                        streamed = await stack.enter_async_context(
                            attempt.model.request_stream(
                                attempts.messages_for(attempt),
                                attempt.settings,
                                attempts.params,
                                run_context,
                            )
                        )
                        pieces = _Pieces(aiter(streamed), attempt.provider.timeout_s)
                        if not await pieces.look():
                            _check_said(streamed.get())
                except BaseException as error:  # noqa: BLE001  as above
                    attempt.failed(error)
                    continue
                # What it hands out when it is iterated; the library has no other way to put a piece
                # back, and its own fallback does the same.
                streamed._event_iterator = pieces  # noqa: SLF001
                try:
                    yield streamed
                except BaseException as error:
                    self._ended_early(attempts, attempt, streamed.get(), error, pieces)
                    raise
                found = streamed.get()
                attempt.answered(found, outcome="ok" if found.state == "complete" else "cancelled")
                self._done(attempts, attempt)
                return

    def _ended_early(
        self,
        attempts: Attempts,
        attempt: Attempt,
        found: ModelResponse,
        error: BaseException,
        pieces: _Pieces,
    ) -> None:
        if error is not pieces.error:  # whoever reads it has left, or came upon something else
            attempt.answered(found, outcome="cancelled")
            self._done(attempts, attempt)
            return
        failure = attempt.failed(error, found)
        self._done(attempts, attempt)
        raise ModelError(
            f"{attempt.provider.name} ended in the middle of its answer: {failure.why}",
            hint="what was shown is all there is of it",
        ) from None

    def _attempts(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        params: ModelRequestParameters,
    ) -> Attempts:
        if self._recorded is None:  # a run that goes on has some on record
            log, run = self.terms.log, self.terms.run
            self._recorded = len(log.messages(run)) if log.run(run).spent.calls else 0
        return Attempts(
            self.terms, self.providers, messages, settings, params, recorded=self._recorded
        )

    def _done(self, attempts: Attempts, attempt: Attempt) -> None:
        self._recorded = attempts.recorded
        self.answered_by = attempt.provider


class _Pieces:
    """
    The events of a stream, of which the first was looked at; each comes within *timeout_s*.

    Attributes:
        error: What ended them.
    """

    def __init__(self, events: AsyncIterator[ModelResponseStreamEvent], timeout_s: float) -> None:
        self._events = events
        self._timeout_s = timeout_s
        self._first: ModelResponseStreamEvent | None = None
        self.error: BaseException | None = None

    async def look(self) -> bool:
        """Wait for the first; whether there is one."""
        self._first = await anext(self._events, None)
        return self._first is not None

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            async with asyncio.timeout(self._timeout_s):
                return await anext(self._events)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


class _NothingSaid(ValueError):
    """An answer without text and without a call of a tool."""


def _check_said(response: ModelResponse) -> None:
    """What was filtered away is an answer too: no other provider is asked in its place."""
    if response.finish_reason in {"content_filter", "length"}:
        return
    for part in response.parts:
        if isinstance(part, BaseToolCallPart | FilePart):
            return
        if isinstance(part, TextPart) and part.content.strip():
            return
    raise _NothingSaid
