"""`@skill(on=…)`: each message becomes one task where the skill is, whoever says it."""

from __future__ import annotations

from typing import Any

import pytest

from dino_os.message_bus.duty import BusDuty
from tests.both_backends.conftest import Pair

SHIP = """
from dino_os import skill

@skill(on=["orders.*.paid", "orders.7.>"])
def ship(order: dict, channel="", message_id="", headers: dict = {}):
    return order
"""


def test_each_message_becomes_one_task(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    (pair.workspace.root / "skills" / "ship.py").write_text(SHIP)
    duty = BusDuty(pair.workspace)
    duty.turn()
    assert "skill 'ship' hears 'orders.*.paid' from now on" in capsys.readouterr().err
    pair.speaks.publish("orders.7.paid", {"n": 0}, id="invoice-9", headers={"by": "till"})
    pair.speaks.publish("orders.8.sent", {"n": 1})
    pair.speaks.publish_many([("orders.8.paid", {"n": 2}), ("orders.9.paid", "no order")])
    pair.come(">", 4)
    for _ in range(2):
        duty.turn()
    last = pair.hears.channel_history("orders.*.paid")[-1]
    said: list[Any] = [
        {"order": {"n": 0}, "message_id": "invoice-9", "headers": {"by": "till"}},
        {"order": {"n": 2}, "message_id": str(last.seq - 1), "headers": {}},
    ]
    tasks = pair.workspace.resources.tasks(source="bus:ship")
    params = [dict(task.payload["params"]) for task in tasks]
    assert [one.pop("channel") for one in params] == ["orders.7.paid", "orders.8.paid"]
    assert params == said
    (letter,) = pair.hears.dead_letters()
    assert (letter.message, letter.seq) == ("no order", last.seq)
