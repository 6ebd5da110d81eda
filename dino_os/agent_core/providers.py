"""
The servers that may be asked: from the settings, or from what a program gave.

Pure: nothing is dialled here, and nothing says yet whether a server is near.  That is what its
address turns out to be (`transport.py`), never what it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from dino_os.errors import ConfigError, InvalidInput, NotFound
from dino_os.secret import Secret
from dino_os.web_calls import checked_url
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.config import Config
    from dino_os.config.llm import Price
    from dino_os.config.llm import Provider as Setting

FindKey = Callable[[], Secret]

# Where those are that have one address for everybody, so that their name alone will do.
KNOWN = {
    "ollama": "http://127.0.0.1:11434/v1",
    "llama.cpp": "http://127.0.0.1:8080/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "minimax": "https://api.minimax.io/v1",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """
    A server, and what is asked of it.

    Attributes:
        kind: "ollama" or "openai", the shape that the others have too.
        url: Where its paths begin, as "http://127.0.0.1:11434/v1".
        key: Finds the key, where it needs one.
        timeout_s: Until the first token, and between one piece and the next.
        connect_s: Of that, for the connection.
        context_tokens: How much it reads; 0 where only it knows.
        max_tokens: The longest answer that is asked for.
        price: Of a million tokens; None where nobody said.
    """

    name: str
    kind: str
    url: str
    model: str
    key: FindKey | None = None
    timeout_s: float = 120.0
    connect_s: float = 3.0
    context_tokens: int = 0
    max_tokens: int = 2048
    price: Price | None = None

    @property
    def host(self) -> tuple[str, int]:
        parts = checked_url(self.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def encrypted(self) -> bool:
        return self.url.startswith("https:")

    def money(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost; nothing where nobody said a price."""
        if self.price is None:
            return 0.0
        return (input_tokens * self.price.input + output_tokens * self.price.output) / 1e6


def providers_of(config: Config, key: Callable[[str], str]) -> list[Provider]:
    """
    Those of the settings, in the order in which they are tried.

    Args:
        key: Name of a key → its value.

    Raises:
        ConfigError: Two have one name, or an address is none.
    """
    found: list[Provider] = []
    for place, setting in enumerate(config.settings.llm.providers):
        path = ("llm", "providers", place)
        if any(setting.name == other.name for other in found):
            raise config.error_at((*path, "name"), f"there is a provider {setting.name!r} already")
        try:
            found.append(_provider(setting, key))
        except InvalidInput as error:
            raise config.error_at((*path, "base_url"), error.message) from None
    return found


def _provider(setting: Setting, key: Callable[[str], str]) -> Provider:
    name = setting.key
    find = cache(lambda: Secret(key(name)))  # each time is recorded, and may be refused
    return Provider(
        name=setting.name,
        kind=setting.kind,
        url=_address(setting.name, setting.kind, setting.base_url),
        model=setting.model,
        key=find if name else None,
        timeout_s=setting.timeout_s,
        connect_s=min(setting.connect_s, setting.timeout_s),
        context_tokens=setting.context_tokens,
        max_tokens=setting.max_tokens,
        price=setting.price,
    )


def given(
    name: str | None, model: str | None, base_url: str | None, api_key: str | None
) -> Provider:
    """
    The one that a program names itself.

    Raises:
        InvalidInput: It does not say which model, or the address is none.
    """
    if not model:
        raise InvalidInput("a provider that is not in the settings is asked for a model: model=…")
    called = name or "given"
    secret = Secret(api_key) if api_key else None
    return Provider(
        name=called,
        kind="ollama" if called == "ollama" else "openai",
        url=_address(called, "openai", base_url or ""),
        model=model,
        key=(lambda: secret) if secret else None,
    )


def chosen(
    providers: Sequence[Provider], provider: str | None, model: str | None
) -> list[Provider]:
    """
    *providers*, or only that one; with another *model* where one is named.

    Raises:
        NotFound: None of them has that name.
        InvalidInput: A model is named, and more than one server might have it.
    """
    if not providers:
        raise ConfigError(
            "no language model is configured", hint="`dino config show` lists llm.providers"
        )
    if provider is not None:
        named = [one for one in providers if one.name == provider]
        if not named:
            names = [one.name for one in providers]
            raise NotFound(
                f"no provider named {provider!r}{did_you_mean(provider, names)}",
                hint=f"llm.providers has {', '.join(names)}",
            )
        providers = named
    if model is None:
        return list(providers)
    if len(providers) > 1:
        raise InvalidInput(f"which provider has the model {model!r}?", hint="name it: --provider")
    return [replace(providers[0], model=model)]


def _address(name: str, kind: str, base_url: str) -> str:
    url = base_url or KNOWN.get(name) or (KNOWN["ollama"] if kind == "ollama" else "")
    if not url:
        known = ", ".join(KNOWN)
        raise InvalidInput(f"where is {name!r}? It is none of those with a known address: {known}")
    parts = checked_url(url)
    if parts.query or parts.fragment:
        raise InvalidInput(f"an address without ? and #, found {url!r}")
    path = parts.path.rstrip("/")
    return parts._replace(path=path or "/v1").geturl()
