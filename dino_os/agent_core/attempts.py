"""
One request, and those who are asked for it, one after the other.

Who is left out, and why, is decided here before a byte leaves: by where a server is, by its health,
its key, what the model reads, and the budget.  Every call that is made is recorded before it
begins and when it has ended, with the reasons of those who came before it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import httpx2
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from dino_os.agent_core.attempt import Attempt
from dino_os.agent_core.context import estimated_tokens, ollama_reads
from dino_os.agent_core.failures import LOUD, Failure
from dino_os.agent_core.links import model_of
from dino_os.agent_core.providers import Provider
from dino_os.agent_core.terms import Terms
from dino_os.agent_core.transport import (
    ANYWHERE,
    HERE,
    NEAR,
    Elsewhere,
    addresses_of,
    client_for,
    is_near,
    kind,
)
from dino_os.errors import (
    Denied,
    DinoError,
    InvalidInput,
    ModelError,
    ModelNotReady,
    ModelTimedOut,
    ModelUnavailable,
)
from engines.agent_log import BudgetSpent

if TYPE_CHECKING:
    from dino_os.tool_sandbox.egress.hosts import Address

_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_PASSES = frozenset(
    {
        *("refused", "unreachable", "offline", "timeout", "cut_off"),
        *("overloaded", "rate_limited", "server_error"),
    }
)
"""Kinds of failures of which a later time may make something else."""
_SURELY_FITS = 2048  # tokens: half of what a server reads at least, so that nobody has to be asked


class _LeftOut(Exception):
    """A provider is not asked; *failure* says why."""

    def __init__(self, kind: str, why: str) -> None:
        self.failure = Failure(kind, why)
        super().__init__(why)


class Attempts:
    """
    The attempts at one request.

    Args:
        recorded: How many of the messages are on record already.
    """

    def __init__(
        self,
        terms: Terms,
        providers: Sequence[Provider],
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        params: ModelRequestParameters,
        *,
        recorded: int = 0,
    ) -> None:
        self.terms = terms
        self.messages = terms.screen.messages(messages) if terms.screen else messages
        self.params = terms.screen.parameters(params) if terms.screen else params
        self.recorded = recorded if recorded <= len(messages) else 0
        self.tokens = estimated_tokens(self.messages, self.params)
        self._settings = settings
        self._left = list(providers)
        self._passing: list[Provider] = []  # those for which a moment may be all it takes
        self._knocks: list[Provider] = []  # those left out whom to ask costs nothing
        self._rounds = 0
        self._anew = False
        self._pause_s = 0.0
        self.tried: list[tuple[Provider, Failure]] = []
        self._spent: BudgetSpent | None = None

    async def next(self) -> Attempt:
        """
        The next one, reserved and on record.

        Raises:
            DinoError: There is none left; it says why of each.
        """
        while True:
            while self._left:
                if attempt := await self._begun(self._left.pop(0)):
                    return attempt
            if not await self._again():
                raise self._exhausted()

    def settings_for(self, provider: Provider) -> ModelSettings:
        found = ModelSettings(**(self._settings or {}))
        found["max_tokens"] = min(found.get("max_tokens", provider.max_tokens), provider.max_tokens)
        return found

    def messages_for(self, attempt: Attempt) -> list[ModelMessage]:
        return attempt.model.prepare_messages(self.messages, self.params)

    def failed(self, provider: Provider, failure: Failure) -> None:
        self.tried.append((provider, failure))
        if failure.may_pass:
            self._passing.append(provider)
            self._pause_s = max(self._pause_s, failure.after_s or 0.0)
        if failure.is_loud:
            self.terms.note(f"{provider.name}: {failure.why}")

    # --- who is asked ------------------------------------------------------------------------

    async def _begun(self, provider: Provider) -> Attempt | None:
        ill = self.terms.health.ill(provider.url)
        if ill and not self._anew:
            why = f"left out, as it failed a moment ago: {ill.why}"
            self.tried.append((provider, Failure(ill.kind, why)))
            if ill.is_cheap:
                self._knocks.append(provider)
            return None
        try:
            return await self._reserved(provider)
        except _LeftOut as error:
            if error.failure.makes_ill:
                self.terms.health.failed(provider.url, error.failure.kind, error.failure.why)
            self.failed(provider, error.failure)
        except BudgetSpent as error:
            self._spent = error
            self.failed(provider, Failure("budget", error.message))
        return None

    async def _reserved(self, provider: Provider) -> Attempt:
        found = await self._found(provider)
        kinds, why = self._allowed(provider)
        if not any(kind(address) in kinds for address in found):
            raise _LeftOut("offline" if kinds == HERE else "elsewhere", why)
        if near := is_near(found):  # what is decided for a near one holds for no other
            kinds, why = kinds & NEAR, why if kinds <= NEAR else "it was near a moment ago"
        _check_key(provider)
        client = client_for(
            provider, kinds, why, clean=self.terms.clean, resolve=self.terms.resolve
        )
        reads = await self._reads(provider, client)
        answer = self.settings_for(provider)["max_tokens"]
        if reads and self.tokens + min(answer, reads // 4) > reads:
            raise _LeftOut("context", _too_long(provider, self.tokens, reads))
        call = self._call(provider, answer, near=near)
        return Attempt(self, provider, model_of(provider, client), call, reads=reads)

    async def _found(self, provider: Provider) -> list[Address]:
        try:
            return await addresses_of(*provider.host, provider.connect_s, self.terms.resolve)
        except OSError as error:
            raise _LeftOut("unreachable", str(error) or type(error).__name__) from None
        except InvalidInput as error:
            raise _LeftOut("elsewhere", error.message) from None

    def _allowed(self, provider: Provider) -> tuple[frozenset[str], str]:
        """Kinds of addresses at which it may be asked, and what is told where it has none."""
        if os.environ.get("DINO_OFFLINE", "") not in {"", "0"}:
            return HERE, "it is not on this machine, and DINO_OFFLINE is set"
        if self.terms.near_only:
            return NEAR, "it is not on this machine or its network, and only those may be asked"
        if provider.key and not provider.encrypted:
            return NEAR, "its key would be sent in clear; use https"
        return ANYWHERE, "that is nobody's server"

    async def _reads(self, provider: Provider, client: httpx2.AsyncClient) -> int:
        if provider.context_tokens:
            return provider.context_tokens
        if provider.kind != "ollama" or self.tokens <= _SURELY_FITS:
            return 0
        try:
            return await ollama_reads(provider, client)
        except Elsewhere as error:  # its name has come to stand for something else
            raise _LeftOut("elsewhere", error.message) from None

    def _call(self, provider: Provider, answer: int, *, near: bool) -> str:
        budget = self.terms.budget
        unpriced = provider.price is None and not near
        if budget and unpriced and (budget.money is not None or budget.run_money is not None):
            raise _LeftOut("no_price", "nobody said its `price`, and there is a budget of money")
        return self.terms.log.reserve(
            self.terms.run,
            provider.name,
            provider.model,
            tokens=self.tokens + answer,
            money=provider.money(self.tokens, answer),
            budget=budget,
        )

    async def _again(self) -> bool:
        """Whether somebody is worth asking once more, and when that moment has come."""
        self._anew = True
        if self._knocks:
            self._left, self._knocks = self._knocks, []
            return True
        if not self._passing or self._rounds >= self.terms.retries:
            return False
        pause = self._pause_s or _PAUSE_S * 2**self._rounds * self.terms.rng.uniform(0.5, 1.5)
        if pause > _LONGEST_PAUSE_S:
            return False
        self._rounds += 1
        self._left, self._passing, self._pause_s = self._passing, [], 0.0
        await self.terms.sleep(pause)
        return True

    def _exhausted(self) -> DinoError:
        last = {provider.name: (provider, failure) for provider, failure in self.tried}
        kinds = {failure.kind for _, failure in last.values()}
        whys = "; ".join(f"{name}: {failure.why}" for name, (_, failure) in last.items())
        message = f"no language model answered: {whys}"
        if self._spent and kinds & {"budget"}:
            return self._spent
        if kinds == {"elsewhere"}:
            return Denied(message, hint="`dino llm providers` shows where each of them is")
        if kinds == {"context"}:
            return InvalidInput(message, hint="docs/agent.md says how to have more read")
        if kinds == {"timeout"}:
            return ModelTimedOut(message, hint="`timeout_s` of a provider in llm.providers")
        if kinds & _PASSES:
            hint = "`dino llm check` asks each of them; --queue sends it when one is there"
            return ModelUnavailable(message, hint=hint)
        kind_of = ModelNotReady if kinds & LOUD else ModelError
        return kind_of(message, hint="`dino llm check` asks each of them")


def _check_key(provider: Provider) -> None:
    """What is wrong with its key is said before anything is reserved."""
    try:
        if provider.key:
            provider.key()
    except DinoError as error:
        raise _LeftOut("no_key", error.message) from None


def _too_long(provider: Provider, tokens: int, reads: int) -> str:
    cut = "; Ollama would cut it off without a word" if provider.kind == "ollama" else ""
    return (
        f"the prompt has about {tokens:,} tokens, and {provider.model} reads {reads:,} there{cut}"
    )
