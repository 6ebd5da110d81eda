"""`AgentCore`: ask a language model, the same inside a sandbox and outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dino_os import inside
from dino_os.errors import Denied
from dino_os.face import Face
from dino_os.secret import Secret


class AgentCore(Face):
    """
    Language models, by default those of `llm.providers`, in their order.

    Args:
        provider: Only that one: its name in the settings, or with *api_key* or *base_url* one that
            is not in them.
        model: Instead of the one in the settings.
        api_key: Held here and sent to the provider, and nowhere else.
        base_url: Where the provider is, as "http://127.0.0.1:8080/v1".

    Inside a sandbox only the providers of the settings are asked, under the permission `api_call`.
    """

    _part = "agent_core"

    def __init__(
        self,
        provider: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self._provider, self._model = provider, model
        self._key = Secret(api_key) if api_key else None
        self._url = base_url

    def run(self, prompt: str, **kw: Any) -> str:
        """
        The answer to *prompt*.

        Args:
            kw: system, max_tokens, temperature, local_only, labels.

        Raises:
            ModelUnavailable: No model can be asked now.
            ModelTimedOut: None answered in time.
            BudgetSpent: There is nothing left to spend.
            ModelError: What came back is of no use.
        """
        return str(self._call("run", prompt=prompt, **self._options(kw)))

    def run_stream(self, prompt: str, **kw: Any) -> Iterator[str]:
        """The same, piece by piece; inside a sandbox as one piece."""
        if inside.connection():
            yield self.run(prompt, **kw)
        else:
            yield from self._local().stream(prompt, **self._options(kw))

    def chat(self, messages: Sequence[Mapping[str, Any]], **kw: Any) -> str:
        """The answer to the last of *messages*, each {"role", "content"}; else as `run`."""
        said = [dict(one) for one in messages]
        return str(self._call("chat", messages=said, **self._options(kw)))

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        if self._key or self._url:
            if inside.connection():
                raise Denied(
                    "a skill asks only the providers of the settings",
                    hint="leave out api_key and base_url; llm.providers names others",
                )
            return dict(options)
        own = {"provider": self._provider, "model": self._model}
        return {**{name: value for name, value in own.items() if value}, **options}

    def _local(self) -> Any:
        if not (self._key or self._url):
            return super()._local()
        from dino_os.agent_core.core import Core  # noqa: PLC0415  a face costs nothing to import
        from dino_os.agent_core.providers import given  # noqa: PLC0415  as above

        key = self._key.reveal() if self._key else None
        one = given(self._provider, self._model, self._url, key)
        return Core(self._workspace(), given=one)
