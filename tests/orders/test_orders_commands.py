"""`dino orders` and `dino wealth` as an operator tries them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from dino_os import commands
from dino_os.orders import OrdersDuty
from dino_os.work.service import Service
from dino_os.workspace import Workspace
from engines.orders import Answer, Kind, Orders, Outcome
from tests.conftest import Dino, environment
from tests.conftest import Outcome as Ended
from tests.orders.conftest import Clock

NOTE = "sandbox: no money moves"
PACK = """
from dino_os import skill

@skill
def pack(order: dict) -> str:
    if order["customer"] == "C-lost":
        raise ValueError("no box left")
    return f"{order['amount']} {order['currency']} packed"
"""


@pytest.fixture
def dino(
    dino: Dino,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Dino:
    """`dino …` in this process, which is quicker; in one of its own where it gets variables."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.chdir(workspace)
    outside = dino

    def call(*args: object, code: int = 0, door: str = "dino", **more: Any) -> Ended:
        if more:
            return outside(*args, code=code, door=door, **more)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            getattr(commands, door)([str(arg) for arg in args], door)
        outcome = Ended(int(left.value.code or 0), *capsys.readouterr())
        assert outcome.code == code, outcome
        return outcome

    return call


@pytest.fixture
def shop(workspace: Path) -> Workspace:
    """Sells, and has a skill that packs."""
    (workspace / "config.yaml").write_text("orders: {fulfilment_skill: pack}\n")
    (workspace / "skills" / "pack.py").write_text(PACK)
    return Workspace(workspace)


def make(dino: Dino, *more: object, amount: str = "12.50") -> str:
    made: str = dino("orders", "create", amount, "EUR", *more, "--json").json["id"]
    return made


def test_an_order_from_its_creation_to_its_refund(dino: Dino) -> None:
    """Paid in the sandbox, which says everywhere that no money moves."""
    assert dino("orders").out.startswith("no orders yet")
    order = make(dino, "--customer", "C-1", "--item", "beans:2:6.25", "--key", "cart-1")
    assert make(dino, "--customer", "C-1", "--item", "beans:2:6.25", "--key", "cart-1") == order
    paid = dino("orders", "pay", order)
    assert paid.out == (
        f"order {order}: 12.50 EUR, confirmed ({NOTE})\n"
        f"payment 1, 12.50 EUR through sandbox: confirmed ({NOTE})\n"
    )
    assert "cannot be paid" in dino("orders", "pay", order, code=1).err
    assert dino("orders", "fulfil", order).out == f"order {order}: 12.50 EUR, fulfilled ({NOTE})\n"
    back = dino("orders", "refund", order, "2.50", "--key", "r", "--json").json
    again = dino("orders", "refund", order, "2.50", "--key", "r", "--json").json
    assert back["refunded_minor"] == again["refunded_minor"] == 250
    assert back["refunds"][0]["note"] == NOTE
    assert "10.00 EUR is left" in dino("orders", "refund", order, "10.01", code=1).err
    assert dino("orders", "refund", order, "--json").json["state"] == "refunded"
    shown = dino("orders", "show", order, "--json").json
    events = [step["event"] for step in shown["history"]]
    assert events[:4] == ["order_created", "payment_wanted", "payment_asked", "payment_answered"]
    assert events[-1] == "order_refunded"
    assert NOTE in dino("orders", "show", order).out
    assert NOTE in dino("orders", "list").out
    assert dino("orders", "list", "--state", "created", "--json").json == {"orders": []}


@pytest.mark.parametrize(
    ("customer", "code", "state"),
    [
        ("test-declined", 1, "declined"),
        ("test-pending", 75, "pending"),
        ("test-slow", 75, "pending"),
        ("test-unavailable", 75, "unsent"),
        ("test-lost", 75, "asked"),
    ],
)
def test_the_sandbox_answers_as_the_customer_says(
    dino: Dino, customer: str, code: int, state: str
) -> None:
    order = make(dino, "--customer", customer)
    paid = dino("orders", "pay", order, "--json", code=code).json
    assert (paid["payments"][0]["state"], paid["payments"][0]["note"]) == (state, NOTE)
    dino("orders", "settle", "--all")
    after = dino("orders", "show", order, "--json").json
    assert (after["state"] == "confirmed") == (customer in {"test-slow", "test-lost"})


def test_cash_is_confirmed_by_hand_with_who_took_it(dino: Dino) -> None:
    order = make(dino)
    paid = dino("orders", "confirm", order, "--method", "cash", "--json").json
    payment = paid["payments"][0]
    assert (payment["provider"], payment["who"], payment["note"]) == (
        "by-hand",
        "tester@script",
        "cash",
    )
    assert dino("orders", "cancel", order, "--reason", "sold out", "--json").json["state"] == (
        "cancelled"
    )
    (euro,) = dino("orders", "--json").json["revenue"]
    assert (euro["gross"], euro["refunded"], euro["net"]) == ("12.50", "12.50", "0.00")
    assert "EUR" in dino("orders", "revenue").out
    assert dino("status", "--json").json["orders"]["net_revenue"] == ["0.00 EUR"]


def test_what_cannot_go_back_is_told(dino: Dino) -> None:
    order = make(dino, "--customer", "test-refund-declined")
    dino("orders", "pay", order)
    assert "declined" in dino("orders", "refund", order, code=1).out
    assert dino("orders", "cancel", order, "--json", code=1).json["state"] == "confirmed"
    assert f"order {order}: refund 1 was declined by sandbox" in dino("orders").out
    dino("orders", "resolve", order, "paid by bank transfer")
    assert "declined" not in dino("orders").out


def test_what_is_on_its_way_back_is_named(workspace: Path, dino: Dino) -> None:
    """One being cancelled, and one that awaits its refund: neither is forgotten."""
    site = Workspace(workspace)
    ids = []
    for number in range(2):
        order = site.orders.create(1250, "EUR")
        site.orders.want_payment(order.id, "gone", live=True)
        paid = Answer(Outcome.CONFIRMED, f"pay_{number}")
        site.orders.answer(order.id, Kind.PAYMENT, 1, paid)
        ids.append(order.id)
    site.orders.cancel(ids[0], reason="sold out")
    site.orders.want_refund(ids[1], 250)
    told = dino("orders").out
    assert (
        f"order {ids[0]}: being cancelled: sold out; refund 1, 12.50 EUR through gone: unsent\n"
        f"order {ids[1]}: refund 1, 2.50 EUR through gone: unsent\n"
    ) in told
    needing = dino("orders", "--json").json["needing_attention"]
    assert [one["id"] for one in needing] == ids


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("fulfilment_skill: pakc", "orders.fulfilment_skill: no skill named 'pakc'"),
        ("fulfil_products: {beans: hello}", "orders.fulfil_products.beans: skill 'hello' has no"),
    ],
)
def test_settings_that_name_no_fitting_skill_are_told_at_once(
    shop: Workspace, dino: Dino, settings: str, told: str
) -> None:
    """Not only when somebody has paid; the order is made all the same."""
    (shop.root / "config.yaml").write_text(f"orders: {{{settings}}}\n")
    (shop.root / "skills" / "hello.py").write_text(
        "from dino_os import skill\n@skill\ndef hello(name: str = '') -> str:\n    return name\n"
    )
    assert told in dino("orders").err
    assert told in dino("orders", "create", "5", "EUR").err
    assert told in dino("orders", "--json").json["problems"][0]
    (shop.root / "config.yaml").write_text("orders: {fulfilment_skill: pack}\n")
    assert dino("orders", "create", "5", "EUR").err == ""


def test_the_old_door_makes_the_same_order(dino: Dino) -> None:
    amount = ("--amount", "12.50", "--currency", "EUR", "--key", "k")
    made = dino("order", *amount, "--json", door="execute").json
    assert make(dino, "--key", "k") == made["id"]
    assert "Missing option '--amount'" in dino("order", door="execute", code=2).err
    assert dino("wealth", door="execute").out == dino("wealth").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("12.505", "EUR"), "EUR has 2 digits"),
        (("1e3", "EUR"), "not an amount"),
        (("0", "EUR"), "above zero"),
        (("5", "EURO"), "did you mean 'EUR'"),
        (("5", "EUR", "--customer", "ann@example.org"), "no personal data"),
        (("5", "EUR", "--item", "a:b"), "not an item"),
        (("5", "EUR", "--item", "a:1:1"), "add up to 1.00 EUR"),
        (("5", "EUR", "--fulfil-with", "nothing"), "no skill named 'nothing'"),
    ],
)
def test_bad_input_is_told_and_nothing_recorded(
    dino: Dino, workspace: Path, arguments: tuple[str, ...], told: str
) -> None:
    assert told in dino("orders", "create", *arguments, code=2).err
    assert not (workspace / "memory" / "orders.jsonl").exists()


def test_paid_orders_are_packed_by_the_service(shop: Workspace, dino: Dino) -> None:
    """A hundred at once are a hundred queued tasks; one that fails for good is stuck, and retried."""
    for number in range(98):
        order = shop.orders.create(number + 1, "EUR", customer="C-1")
        shop.orders.confirm_by_hand(order.id, who="ada")
    lost, good = make(dino, "--customer", "C-lost"), make(dino, "--customer", "C-1")
    for order_id in (lost, good):
        dino("orders", "confirm", order_id)
    assert len(dino("orders", "settle", "--json").json["submitted"]) == 98
    assert len(shop.resources.tasks(state="queued")) == 100
    assert shop.resources.get_status()["pools"]["compute"]["waiting"] == 100
    for task in shop.resources.tasks():
        if task.task_id not in {f"order:{lost}:fulfil", f"order:{good}:fulfil"}:
            shop.resources.cancel(task.task_id)
    Service(shop, [OrdersDuty(shop)], workers=1).run(once=True)
    OrdersDuty(shop).turn()
    assert dino("orders", "show", good, "--json").json["state"] == "fulfilled"
    stuck = dino("orders", "show", lost, "--json").json
    assert (stuck["state"], stuck["fulfilment"]["state"]) == ("confirmed", "stuck")
    assert "no box left" in stuck["fulfilment"]["reason"]
    assert dino("orders", "--json").json["stuck"] == 99
    assert "no box left" in dino("orders").out
    retried = dino("orders", "retry", lost, "--json").json
    assert retried["fulfilment"]["state"] == "submitted"
    assert shop.resources.task(f"order:{lost}:fulfil").state == "queued"  # type: ignore[union-attr]


def test_a_cancelled_order_leaves_no_task(shop: Workspace, dino: Dino) -> None:
    order = make(dino)
    dino("orders", "pay", order)
    assert [task.task_id for task in shop.resources.tasks(state="queued")] == [
        f"order:{order}:fulfil"
    ]
    assert dino("orders", "cancel", order, "--json").json["state"] == "cancelled"
    assert shop.resources.tasks(state="queued") == []


def test_fulfilled_by_hand_it_is_not_fulfilled_again_by_its_task(
    shop: Workspace, dino: Dino
) -> None:
    order = make(dino)
    dino("orders", "confirm", order)
    assert dino("orders", "fulfil", order, "--json").json["state"] == "fulfilled"
    (task,) = shop.resources.tasks()
    assert (task.task_id, task.state) == (f"order:{order}:fulfil", "cancelled")


def test_while_its_task_runs_an_order_is_not_fulfilled_by_hand(shop: Workspace, dino: Dino) -> None:
    """Nothing is recorded, and the task goes on."""
    order = make(dino)
    dino("orders", "confirm", order)
    session = shop.resources.join(slots=1)
    assert len(shop.resources.exchange(session, room=1).leases) == 1
    assert "right now" in dino("orders", "fulfil", order, code=1).err
    assert dino("orders", "show", order, "--json").json["state"] == "confirmed"
    assert [(t.state, t.cancelling) for t in shop.resources.tasks()] == [("running", False)]


def test_an_order_that_cannot_be_packed_stops_neither_its_payment_nor_others(
    shop: Workspace, dino: Dino
) -> None:
    """Its skill needs more than the pool will ever have."""
    (shop.root / "skills" / "big.py").write_text(
        "from dino_os import skill\n"
        "@skill(needs={'compute': 100000})\n"
        "def big_pack(order: dict) -> str:\n    return ''\n"
    )
    bad, good = make(dino, "--fulfil-with", "big_pack"), make(dino)
    assert "confirmed, stuck" in dino("orders", "pay", bad).out
    dino("orders", "pay", good)
    assert dino("orders", "settle", "--json").json["stuck"] == []
    assert "never has more than" in dino("orders").out
    assert [t.task_id for t in shop.resources.tasks()] == [f"order:{good}:fulfil"]


def test_the_duty_asks_the_sandbox_itself_and_others_by_a_task(shop: Workspace) -> None:
    """It waits for nobody: one task for each time that a network is to be asked."""
    duty = OrdersDuty(shop)
    assert [path.name for path in duty.watches] == ["orders.jsonl", "engine_state.jsonl"]
    assert duty.turn() is None
    slow = shop.orders.create(1250, "EUR", customer="test-lost")
    shop.orders.want_payment(slow.id, "sandbox", live=False)
    again = duty.turn()
    assert again is not None
    assert again > shop.orders.clock()
    remote = shop.orders.create(1250, "EUR")
    shop.orders.want_payment(remote.id, "http", live=True)
    shop.orders.clock = Clock(shop.orders.clock() + 3600)
    assert duty.turn() is None
    assert shop.orders.order(slow.id).paid == 1250
    ask = f"order:{remote.id}:payment:1:ask:1"
    assert [t.task_id for t in shop.resources.tasks(source=f"order:{remote.id}")] == [ask]
    shop.resources.cancel(ask)
    duty.turn()
    payment = shop.orders.order(remote.id).payments[0]
    assert (payment.tries, payment.reason) == (1, f"the task {ask} asked nobody")
    assert payment.state == "unsent"  # so that another provider may still be asked
    assert payment.next_try is not None
    shop.orders.clock = Clock(payment.next_try)
    duty.turn()
    assert shop.resources.task(f"order:{remote.id}:payment:1:ask:2") is not None


# --- wealth ----------------------------------------------------------------------------------------


def sold(workspace: Path, days: int, *, live: bool) -> None:
    """One order a day, up to yesterday."""
    site = Workspace(workspace)
    now = site.orders.clock()
    clock = Clock()
    orders = Orders(site.journal("orders"), clock=clock)
    with orders.deciding():
        for day in range(days, 0, -1):
            clock.now = now - day * 86400
            order = orders.create(1000 + 10 * day, "EUR")
            orders.want_payment(order.id, "shop", live=live)
            orders.answer(order.id, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED, f"p{day}"))


def test_wealth_is_projected_with_its_assumptions(workspace: Path, dino: Dino) -> None:
    sold(workspace, 40, live=True)
    (euro,) = dino("wealth", "--json").json["projections"]
    assert (euro["currency"], euro["horizon_days"], euro["observed_days"]) == ("EUR", 30, 39)
    assert [i["level"] for i in euro["intervals"]] == [0.8, 0.95]
    assert euro["intervals"][0]["low_minor"] <= euro["expected_minor"]
    told = dino("orders", "wealth", "--days", "30", "--currency", "eur").out
    assert told.startswith(f"EUR: {euro['expected']} EUR net in the next 30 days\n")
    assert f"seed {euro['seed']}" in told
    assert "no growth" in told
    assert dino("wealth", "--seed", euro["seed"], "--json").json["projections"] == [euro]
    assert dino("wealth", "--currency", "USD", "--json").json["projections"] == []


def test_with_too_little_data_wealth_says_so(workspace: Path, dino: Dino) -> None:
    """Which is no failure; and what the sandbox did is no wealth."""
    sold(workspace, 5, live=False)
    assert dino("wealth").out == "no orders to project from; `dino orders create` makes one\n"
    (played,) = dino("wealth", "--sandbox", "--json").json["projections"]
    assert played["expected"] is None
    assert played["missing"] == {"days": 10, "paid orders": 6}
    told = dino("wealth", "--sandbox").out
    assert told.startswith("sandbox: no money moves\nEUR: too little data: 4 whole days and 4 paid")


def test_a_plugin_brings_a_provider(workspace: Path, dino: Dino, tmp_path_factory: Any) -> None:
    from tests.conftest import REPOSITORY

    site = tmp_path_factory.mktemp("site")
    (site / "till_plugin.py").write_text(
        "from dino_os.hookspecs import hookimpl\n"
        "from engines.orders import Answer, Outcome\n"
        "class Till:\n"
        "    moves_money, local, key_life_s = True, True, 1e9\n"
        "    def charge(self, order, idempotency_key):\n"
        "        return Answer(Outcome.CONFIRMED, idempotency_key, order.amount, order.currency)\n"
        "@hookimpl\n"
        "def dino_payment_providers():\n"
        "    return {'till': Till()}\n"
    )
    info = site / "till_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: till_plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dino]\ntill_plugin = till_plugin\n")
    env = {"PYTHONPATH": f"{REPOSITORY}:{site}", "DINO_NO_PLUGINS": ""}
    order = make(dino)
    paid = dino("orders", "pay", order, "--provider", "till", "--json", env=env).json
    assert (paid["state"], paid["payments"][0]["moves_money"]) == ("confirmed", True)
