"""Many processes at once, and processes that are killed: one order, one charge, one refund."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os.orders import OrdersDuty
from dino_os.orders.tasks import ASK_PROVIDER
from dino_os.work.service import Service
from dino_os.workspace import Workspace
from engines.orders import Orders, OrderState
from tests.conftest import Dino
from tests.orders.payment_server import KEY, PaymentServer

Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def shop(workspace: Path, server: PaymentServer) -> Workspace:
    """A workspace that pays over HTTP."""
    (workspace / "config.yaml").write_text(
        f"orders: {{provider: http, http: {{url: '{server.url}', tries: 1}}}}\n"
    )
    site = Workspace(workspace)
    site.security.set_key("payments", KEY)
    return site


def seen(shop: Workspace, order_id: str) -> Any:
    return Workspace(shop.root).orders.order(order_id)


def test_eight_processes_with_one_key_make_one_order(workspace: Path, started: Started) -> None:
    """Each is told the same order; the ones with other content are told that it is another."""
    create = ("orders", "create", "--customer", "C-1", "--key", "cart-7", "--json")
    processes = [started(*create, "12.50" if n % 4 else "13", "EUR") for n in range(8)]
    ends = [(p.communicate(timeout=60), p.returncode) for p in processes]
    made = {json.loads(out)["id"] for (out, _), code in ends if code == 0}
    refused = [json.loads(err)["code"] for (_, err), code in ends if code]
    assert len(made) == 1
    assert len(refused) in {2, 6}
    assert set(refused) == {"key_reused"}
    assert [order.id for order in Workspace(workspace).orders.orders()] == list(made)


def test_processes_that_pay_one_order_charge_it_once(
    shop: Workspace, server: PaymentServer, started: Started
) -> None:
    order = shop.orders.create(1250, "EUR")
    processes = [started("orders", "pay", order.id, "--json") for _ in range(4)]
    codes = [p.communicate(timeout=60) and p.returncode for p in processes]
    assert 0 in codes
    assert set(codes) <= {0, 1}  # who comes late is told that it is paid
    assert (server.charged, len(server.payments)) == (1250, 1)
    assert seen(shop, order.id).paid == 1250


def killed_while_it_asks(server: PaymentServer, started: Started, *command: str) -> None:
    """The provider has done its work when `kill -9` takes whoever asked."""
    running: list[subprocess.Popen[str]] = []
    server.faults = [lambda: os.kill(running[0].pid, signal.SIGKILL)]
    running.append(started(*command))
    running[0].communicate(timeout=60)
    assert running[0].returncode == -signal.SIGKILL


def test_killed_before_the_answer_it_is_settled_and_charged_once(
    shop: Workspace, server: PaymentServer, started: Started, dino: Dino
) -> None:
    """The provider has done its work when `kill -9` takes whoever asked."""
    order = shop.orders.create(1250, "EUR")
    killed_while_it_asks(server, started, "orders", "pay", order.id)
    between = seen(shop, order.id)
    assert (between.state, between.open_payment.state) == ("created", "asked")
    assert server.charged == 1250
    assert dino("orders", "settle", "--json").json["asked"] == [order.id]
    after = seen(shop, order.id)
    assert (after.state, after.paid) == (OrderState.CONFIRMED, 1250)
    assert (server.charged, len(server.payments)) == (1250, 1)
    assert len({key for method, _, key in server.requests if method == "POST"}) == 1


def test_killed_before_a_refunds_answer_it_is_given_back_once(
    shop: Workspace, server: PaymentServer, started: Started, dino: Dino
) -> None:
    order = shop.orders.create(1250, "EUR")
    dino("orders", "pay", order.id)
    killed_while_it_asks(server, started, "orders", "refund", order.id, "4.50")
    assert seen(shop, order.id).refunded == 0
    assert server.given_back == 450
    dino("orders", "settle")
    dino("orders", "settle", "--all")
    assert seen(shop, order.id).refunded == server.given_back == 450
    assert len(server.refunds) == 1


def test_offline_a_payment_waits_and_is_made_once(
    shop: Workspace, server: PaymentServer, dino: Dino
) -> None:
    """Accepted, not finished: 75; settled when the provider is there again."""
    order = shop.orders.create(1250, "EUR")
    nowhere = {"DINO_ORDERS__HTTP__URL": "http://127.0.0.1:9"}
    waiting = dino("orders", "pay", order.id, "--json", code=75, env=nowhere).json
    assert (waiting["payments"][0]["state"], server.charged) == ("unsent", 0)
    assert dino("orders", "settle", "--all", "--json").json["asked"] == [order.id]
    assert seen(shop, order.id).paid == server.charged == 1250


def test_killed_and_then_offline_it_is_not_taken_for_unsent(
    shop: Workspace, server: PaymentServer, started: Started, dino: Dino
) -> None:
    """That the second process heard nobody says nothing about the first, which did the charge."""
    order = shop.orders.create(1250, "EUR")
    killed_while_it_asks(server, started, "orders", "pay", order.id)
    nowhere = {"DINO_ORDERS__HTTP__URL": "http://127.0.0.1:9"}
    dino("orders", "settle", "--all", env=nowhere)
    dino("orders", "cancel", order.id, "--reason", "no", code=75)
    assert (seen(shop, order.id).state, server.charged) == ("created", 1250)
    dino("orders", "settle", "--all")
    assert seen(shop, order.id).state is OrderState.CANCELLED
    assert (server.charged, server.given_back) == (1250, 1250)


def test_without_a_key_nothing_is_begun(workspace: Path, server: PaymentServer, dino: Dino) -> None:
    (workspace / "config.yaml").write_text(f"orders: {{http: {{url: '{server.url}'}}}}\n")
    order = dino("orders", "create", "5", "EUR", "--json").json["id"]
    refused = dino("orders", "pay", order, "--provider", "http", "--json", code=2).error
    assert refused["hint"] == "`dino keys set payments` puts it there"
    assert dino("orders", "show", order, "--json").json["payments"] == []
    unknown = dino("orders", "pay", order, "--provider", "htp", "--json", code=2).error
    assert "did you mean 'http'" in unknown["message"]


def test_the_key_is_found_nowhere(shop: Workspace, server: PaymentServer, dino: Dino) -> None:
    """Not in what is printed, and not in the record, though the server repeats it."""
    order = shop.orders.create(1250, "EUR")
    server.faults = ["429"]
    told = dino("orders", "pay", order.id, code=75)
    assert "is busy" in told.out
    shown = dino("orders", "show", order.id)
    assert KEY not in told.out + told.err + shown.out
    for file in (shop.root / "memory").rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_in_a_service_a_worker_asks_the_provider(
    shop: Workspace, server: PaymentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The duty waits for no network: it hands a task to a worker process, which pays."""
    config = (shop.root / "config.yaml").read_text()
    (shop.root / "config.yaml").write_text(
        f"{config}resources: {{functions: ['{ASK_PROVIDER}']}}\n"
    )
    monkeypatch.setenv("DINO_HOME", str(shop.root))
    minutes_ago = Orders(shop.journal("orders"), clock=lambda: time.time() - 120)
    order = minutes_ago.create(1250, "EUR")
    minutes_ago.want_payment(order.id, "http", live=True)
    site = Workspace(shop.root)
    Service(site, [OrdersDuty(site)], workers=1).run(once=True)
    assert seen(shop, order.id).paid == server.charged == 1250
