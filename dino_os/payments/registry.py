"""
Which payment providers a workspace has: `sandbox`, `http`, and those of plugins.

Each is made when it is used; `http` then takes its key from the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dino_os.errors import InvalidInput, NotFound
from dino_os.payments.model import PaymentProvider
from dino_os.secret import Secret
from dino_os.web_calls import fits_header
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


class Providers:
    """The providers of *workspace*, by name."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._made: dict[str, PaymentProvider] = {}
        self._brought: Mapping[str, PaymentProvider] | None = None

    def names(self) -> list[str]:
        return sorted(self._makers())

    def get(self, name: str) -> PaymentProvider:
        """
        The provider of that name.

        Raises:
            NotFound: There is none.
            DinoError: Its settings or its key are missing or wrong.
        """
        makers = self._makers()
        if name not in makers:
            raise NotFound(
                f"no payment provider {name!r}{did_you_mean(name, makers)}",
                hint=f"there are {', '.join(sorted(makers))}",
            )
        if name not in self._made:
            self._made[name] = makers[name]()
        return self._made[name]

    def is_local(self, name: str) -> bool:
        """Whether it answers without a network; asks the vault for nothing."""
        brought = self._from_plugins()
        return name == "sandbox" or (name in brought and brought[name].local)

    def webhook_key(self) -> Secret:
        """The key that webhooks are signed with."""
        return self._key("webhook_key")

    def _makers(self) -> Mapping[str, Callable[[], PaymentProvider]]:
        theirs = {
            name: (lambda provider=provider: provider)
            for name, provider in self._from_plugins().items()
        }
        return {**theirs, "sandbox": self._sandbox, "http": self._http}

    def _from_plugins(self) -> Mapping[str, PaymentProvider]:
        if self._brought is None:  # each is asked once
            self._brought = self._workspace.plugins.payment_providers()
        return self._brought

    def _sandbox(self) -> PaymentProvider:
        from dino_os.payments.sandbox import SandboxProvider  # noqa: PLC0415

        return SandboxProvider(self._workspace.sandbox_payments)

    def _http(self) -> PaymentProvider:
        from dino_os.payments.over_http import HttpProvider  # noqa: PLC0415

        settings = self._workspace.config.settings.orders.http
        if not settings.url:
            raise InvalidInput(
                "the provider http has no address",
                hint="dino config set orders.http.url https://pay.example",
            )
        return HttpProvider(
            settings.url,
            self._key("key"),
            timeout_s=settings.timeout_s,
            key_life_s=settings.key_life_s,
            tries=settings.tries,
        )

    def _key(self, setting: str) -> Secret:
        """The key that `orders.http.SETTING` names."""
        name: str = getattr(self._workspace.config.settings.orders.http, setting)
        value = self._workspace.key(name)
        if not fits_header(value):
            raise InvalidInput(f"the key {name!r} holds what no header can carry")
        return Secret(value)
