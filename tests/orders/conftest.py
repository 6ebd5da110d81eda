"""Orders in memory with a clock of their own, and a payment provider that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from dino_os.orders.till import Till
from dino_os.payments.over_http import HttpProvider
from dino_os.secret import Secret
from engines.orders import Orders
from tests.orders.payment_server import KEY, PaymentServer

NOON = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _home_of_our_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vaults' keys lie there, and not with those of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def orders(clock: Clock) -> Orders:
    numbers = count(1)
    return Orders(clock=clock, new_id=lambda: f"o{next(numbers)}")


@pytest.fixture
def server() -> Iterator[PaymentServer]:
    with PaymentServer() as running:
        yield running


def provider_at(server: PaymentServer, *, tries: int = 3, timeout_s: float = 5.0) -> HttpProvider:
    return HttpProvider(
        server.url,
        Secret(KEY),
        timeout_s=timeout_s,
        key_life_s=86400.0,
        tries=tries,
        pause=lambda seconds: None,
    )


@pytest.fixture
def till(orders: Orders, server: PaymentServer) -> Till:
    """Pays through the server, trying once."""
    provider = provider_at(server, tries=1)
    return Till(orders, lambda name: provider, lambda name: False)
