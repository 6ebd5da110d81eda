"""One call of one provider's model: what becomes of it, and how that is recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from dino_os.agent_core.context import as_json, text_tokens
from dino_os.agent_core.failures import Failure, cause_of, failure_of
from dino_os.agent_core.providers import Provider
from dino_os.errors import Denied, DinoError, ModelError

if TYPE_CHECKING:
    from dino_os.agent_core.attempts import Attempts


class Attempt:
    """
    A call of one provider's model, which is on record.

    Attributes:
        reads: How many tokens the server reads; 0 where that is not known.
    """

    def __init__(
        self, attempts: Attempts, provider: Provider, model: Model, call: str, *, reads: int
    ) -> None:
        self._attempts = attempts
        self.provider = provider
        self.model = model
        self.call = call
        self._reads = reads
        self._began = time.monotonic()
        # Before this call: its own end is no reason for itself.
        self._tried = [
            {"provider": one.name, "reason": f"{failure.kind}: {failure.why}"}
            for one, failure in attempts.tried
        ]

    @property
    def settings(self) -> ModelSettings:
        return self._attempts.settings_for(self.provider)

    def answered(self, response: ModelResponse, *, outcome: str = "ok") -> None:
        """It did; also in part, where whoever asked has left."""
        terms, usage = self._attempts.terms, response.usage
        terms.health.answered(self.provider.url)
        self._record(outcome, response)
        if self._reads and usage.input_tokens + usage.output_tokens >= self._reads:
            terms.note(
                f"{self.provider.name}: {self._reads:,} tokens is all that it reads, and they are "
                "full: the prompt or the answer may be cut off"
            )
        elif response.finish_reason == "length":
            most = self.settings["max_tokens"]
            terms.note(f"{self.provider.name}: the answer is cut off at {most:,} tokens")

    def failed(self, error: BaseException, partial: ModelResponse | None = None) -> Failure:
        """
        It did not, or not to the end.

        Raises:
            BaseException: No other provider is to be asked: what is to be said instead.
        """
        task = asyncio.current_task()
        if task and task.cancelling():  # whatever the libraries made of it
            self._record("cancelled", partial)
            raise asyncio.CancelledError from error
        failure = failure_of(error, self.provider)
        if failure is None:
            ours = cause_of(error, DinoError)
            self._record(_ours(error), partial, why=ours.message if ours else "")
            raise ours or error
        terms = self._attempts.terms
        if failure.makes_ill:
            for_s = failure.after_s
            terms.health.failed(self.provider.url, failure.kind, failure.why, for_s=for_s)
        outcome = "timeout" if failure.kind == "timeout" else "error"
        self._record(outcome, partial, why=f"{failure.kind}: {failure.why}")
        self._attempts.failed(self.provider, failure)
        if failure.final:
            raise ModelError(f"{self.provider.name}: {failure.why}") from None
        return failure

    def _record(self, outcome: str, response: ModelResponse | None, why: str = "") -> None:
        attempts, provider = self._attempts, self.provider
        asked, said = attempts.tokens, 0
        if response is not None:
            usage = response.usage
            told = bool(usage.input_tokens or usage.output_tokens)
            asked = usage.input_tokens if told else asked
            said = usage.output_tokens if told else sum(map(_said, response.parts))
        elif outcome != "ok" and why.startswith(("refused", "unreachable", "elsewhere")):
            asked = 0  # nobody read it
        new = attempts.messages[attempts.recorded :]
        attempts.recorded = len(attempts.messages) + bool(response and response.parts)
        attempts.terms.log.called(
            self.call,
            outcome=outcome,
            input_tokens=asked,
            output_tokens=said,
            money=provider.money(asked, said),
            duration_s=time.monotonic() - self._began,
            why=why or _why(self._tried),
            tried=self._tried,
            request=as_json(new),
            response=as_json([response]) if response and response.parts else None,
        )


def _why(tried: Sequence[dict[str, str]]) -> str:
    return "the first that could be asked" if tried else "the first in llm.providers"


def _said(part: Any) -> int:
    content = getattr(part, "content", None) or getattr(part, "args", None) or ""
    return text_tokens(str(content)) if content else 0


def _ours(error: BaseException) -> str:
    if cause_of(error, Denied):
        return "denied"
    return "error" if isinstance(error, Exception) else "cancelled"
