"""The section `llm`: which language models are asked, in which order, and what they may cost."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from dino_os.config.bounds import Above0, Count, Positive, Seconds

_Text = Annotated[str, Meta(min_length=1)]
# How keys of providers begin; and what is long and mixed is hardly a name.
_A_KEY = re.compile(
    r"(?i)(?:sk|pk|rk|gsk|xai|hf|key)[-_]|bearer |AIza|eyJ|(?=.*\d)(?=.*[a-z]).{32}"
)


class Price(Struct, forbid_unknown_fields=True, frozen=True):
    """Of a million tokens, in the currency of the budget."""

    input: Seconds = 0.0
    output: Seconds = 0.0


class Provider(Struct, forbid_unknown_fields=True, frozen=True):
    """
    A server of models.

    Whether it is on this machine or its network is what its address says when it is dialled.
    """

    name: Annotated[str, Meta(pattern=r"^[\w.-]{1,64}$")]
    model: _Text
    kind: Literal["openai", "ollama"] = "openai"
    base_url: str = ""
    key: str = ""
    timeout_s: Above0 = 120.0
    connect_s: Above0 = 3.0
    context_tokens: Count = 0
    max_tokens: Positive = 2048
    price: Price | None = None
    api_key: str = ""  # nobody may set it

    def __post_init__(self) -> None:
        if self.api_key:
            raise ValueError("api_key: no file holds keys; `dino keys set NAME`, then `key: NAME`")
        if _A_KEY.match(self.key):
            raise ValueError(
                "key: names a key in the vault, and this looks like the key itself; "
                "`dino keys set NAME` puts it there"
            )


class Spending(Struct, forbid_unknown_fields=True, frozen=True):
    """What may be spent; 0 is no limit."""

    calls: Count = 0
    tokens: Count = 0
    money: Seconds = 0.0


class Remembering(Struct, forbid_unknown_fields=True, frozen=True):
    """What is remembered of runs; a *ttl_s* of 0 is for good."""

    always: bool = False
    ttl_s: Seconds = 0.0
    recalled: Count = 4


class Llm(Struct, forbid_unknown_fields=True, frozen=True):
    """The language models, and what they may be told and cost."""

    providers: list[Provider] = msgspec.field(
        default_factory=lambda: [Provider("ollama", "phi4-mini", "ollama")]
    )
    budget: Spending = Spending()
    run_budget: Spending = Spending()
    local_only: bool = False
    private_to_local: list[str] = msgspec.field(default_factory=lambda: ["private"])
    pseudonyms: Literal["secrets", "all"] = "secrets"
    queue_offline: bool = False
    memory: Remembering = Remembering()
    retries: Count = 1
