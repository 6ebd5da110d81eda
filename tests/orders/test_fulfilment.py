"""Fulfilment: paid orders are tasks of the resource engine, and how those end is the orders' end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import UnknownSkill
from dino_os.orders.fulfilment import Fulfiller
from engines.errors import JournalBusy
from engines.orders import FulfilmentState, Order, Orders, OrderState, WrongState
from engines.resource_engine import ResourceEngine, ResourceType, Task, TaskState


class Hall:
    """Orders, a resource engine, and no worker: tasks end as the test says."""

    def __init__(self, orders: Orders, path: Path) -> None:
        self.orders = orders
        self.engine = ResourceEngine(path)
        self.skills: list[str] = ["pack"]
        self.fulfiller = Fulfiller(
            orders, lambda: self.engine, self.make, lambda order: self.skills
        )

    def make(self, skill: str, params: Mapping[str, Any], task_id: str, source: str) -> Task:
        if skill == "gone":
            raise UnknownSkill("no skill named 'gone'")
        payload = {"skill": skill, "params": dict(params)}
        amount = 100_000 if skill == "big_pack" else 1
        return Task(task_id, payload=payload, source=source, max_attempts=1, resource_amount=amount)

    def paid(self, amount: int = 1250) -> Order:
        order = self.orders.create(amount, "EUR", customer="C-1")
        return self.orders.confirm_by_hand(order.id, who="ada")

    def end(self, order: Order, state: TaskState, error: Mapping[str, Any] | None = None) -> None:
        task = self.engine.known(f"order:{order.id}:fulfil")
        assert task is not None
        task.state, task.error = state, error

    def now(self, order: Order) -> Order:
        return self.orders.order(order.id)


@pytest.fixture
def hall(orders: Orders, tmp_path: Path) -> Hall:
    return Hall(orders, tmp_path / "engine_state.jsonl")


def test_a_paid_order_becomes_a_task_and_its_success_the_orders(hall: Hall) -> None:
    order = hall.paid()
    assert hall.fulfiller.turn().submitted == [order.id]
    task = hall.engine.task(f"order:{order.id}:fulfil")
    assert task is not None
    assert (task.source, task.state) == (f"order:{order.id}", TaskState.QUEUED)
    assert task.payload["params"]["order"]["customer"] == "C-1"
    turn = hall.fulfiller.turn()
    assert (turn.submitted, turn.fulfilled) == ([], [])
    hall.end(order, TaskState.SUCCEEDED)
    assert hall.fulfiller.turn().fulfilled == [order.id]
    assert hall.now(order).state is OrderState.FULFILLED
    assert hall.orders.waiting() == []


def test_a_hundred_paid_orders_are_a_hundred_queued_tasks(hall: Hall) -> None:
    """So they are what the compute pool has to hold, and what it is sized by."""
    for number in range(100):
        hall.paid(number + 1)
    unpaid = hall.orders.create(1250, "EUR")
    assert len(hall.fulfiller.turn().submitted) == 100
    queued = hall.engine.tasks(state=TaskState.QUEUED)
    assert len(queued) == hall.engine.get_status()["tasks_queued"] == 100
    assert {task.source for task in queued} == {
        f"order:{o.id}" for o in hall.orders.orders("confirmed")
    }
    assert all(task.needs == {ResourceType.COMPUTE: 1} for task in queued)
    assert hall.engine.get_status()["pools"]["compute"]["waiting"] == 100
    assert hall.now(unpaid).fulfilment is None


def test_a_dead_letter_is_a_stuck_order_with_its_reason_and_can_be_retried(hall: Hall) -> None:
    order = hall.paid()
    hall.fulfiller.turn()
    hall.end(order, TaskState.DEAD, {"type": "OutOfBoxes", "message": "no box left"})
    assert hall.fulfiller.turn().stuck == [order.id]
    stuck = hall.now(order)
    assert stuck.fulfilment is not None
    assert (stuck.stuck, stuck.fulfilment.reason) == (True, "OutOfBoxes: no box left")
    assert hall.orders.counts()["stuck"] == 1
    hall.fulfiller.retry(order.id)
    again = hall.now(order).fulfilment
    assert again is not None
    assert (again.state, again.attempt) == (FulfilmentState.SUBMITTED, 1)
    with pytest.raises(WrongState, match="is not stuck"):
        hall.fulfiller.retry(order.id)


def test_with_another_skill_it_is_another_task(hall: Hall) -> None:
    order = hall.paid()
    hall.fulfiller.turn()
    hall.end(order, TaskState.CANCELLED)
    hall.fulfiller.turn()
    assert hall.fulfiller.retry(order.id, "pack_by_hand").submitted == [order.id]
    task = hall.engine.task(f"order:{order.id}:fulfil:2")
    assert task is not None
    assert task.payload["skill"] == "pack_by_hand"


def test_a_skill_that_is_not_there_sticks_that_order_only(hall: Hall) -> None:
    hall.skills = ["gone"]
    bad = hall.paid()
    hall.fulfiller.turn()
    hall.skills = ["pack"]
    good = hall.paid()
    hall.fulfiller.turn()
    assert (hall.now(bad).stuck, hall.now(good).stuck) == (True, False)
    assert hall.fulfiller.retry(bad.id, "pack").submitted == [bad.id]


def test_a_task_that_the_queue_refuses_sticks_that_order_only(hall: Hall) -> None:
    """It needs more than the pool will ever have; those beside it go their way."""
    first, bad, last = hall.paid(), hall.paid(), hall.paid()
    for order, skill in ((first, "pack"), (bad, "big_pack"), (last, "pack")):
        hall.orders.request_fulfilment(order.id, skill)
    turn = hall.fulfiller.turn()
    assert (turn.submitted, turn.stuck) == ([first.id, last.id], [bad.id])
    fulfilment = hall.now(bad).fulfilment
    assert fulfilment is not None
    assert "never has more than" in fulfilment.reason
    assert hall.fulfiller.turn().stuck == []
    assert hall.fulfiller.retry(bad.id, "pack").submitted == [bad.id]


def test_a_task_that_ran_for_an_order_that_ended_in_between_stops_nobody(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look at the task and the lock are two moments: somebody may come in between."""
    ended, cancelled, good = hall.paid(), hall.paid(), hall.paid()
    hall.fulfiller.turn()
    for order in (ended, cancelled, good):
        hall.end(order, TaskState.SUCCEEDED)
    waiting = hall.orders.waiting()
    monkeypatch.setattr(hall.orders, "waiting", lambda: waiting)
    hall.orders.fulfil(ended.id, who="ada")
    with hall.orders.deciding():
        hall.orders.record("order_cancelling", order_id=cancelled.id, reason="x", at=0)
    turn = hall.fulfiller.turn()
    assert (turn.fulfilled, turn.stuck) == ([good.id], [cancelled.id])


def test_several_skills_for_one_order_are_for_people_to_decide(hall: Hall) -> None:
    hall.skills = ["pack", "brew"]
    order = hall.paid()
    assert hall.fulfiller.turn().stuck == [order.id]
    with pytest.raises(WrongState, match="several skills"):
        hall.fulfiller.retry(order.id)
    assert hall.fulfiller.retry(order.id, "brew").submitted == [order.id]


def test_without_a_skill_people_fulfil(hall: Hall) -> None:
    hall.skills = []
    order = hall.paid()
    assert hall.fulfiller.turn().submitted == []
    assert hall.orders.fulfil(order.id, who="ada").state is OrderState.FULFILLED


def test_whoever_dies_between_recording_and_submitting_is_caught_up_with(hall: Hall) -> None:
    """Before submitting and after it: the task is there once."""
    lost, doubled = hall.paid(), hall.paid()
    for order in (lost, doubled):
        hall.orders.request_fulfilment(order.id, "pack")
    hall.engine.submit_task(Task(f"order:{doubled.id}:fulfil"))
    assert hall.fulfiller.turn().submitted == [lost.id, doubled.id]
    assert len(hall.engine.tasks()) == 2


def test_when_submitting_fails_nothing_is_marked_submitted(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = hall.paid()

    def busy(tasks: object) -> list[str]:
        raise JournalBusy("another process holds the lock")

    monkeypatch.setattr(hall.engine, "submit_tasks", busy)
    with pytest.raises(JournalBusy):
        hall.fulfiller.turn()
    monkeypatch.undo()
    assert hall.fulfiller.turn().submitted == [order.id]


@pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.SUCCEEDED])
def test_what_is_being_fulfilled_is_not_withdrawn_nor_stopped(hall: Hall, state: TaskState) -> None:
    order = hall.paid()
    hall.fulfiller.turn()
    hall.end(order, state)
    with pytest.raises(WrongState, match="is being fulfilled right now"):
        hall.fulfiller.withdraw(hall.now(order), "cancelled", hint="wait")
    task = hall.engine.known(f"order:{order.id}:fulfil")
    assert task is not None
    assert not task.cancelling


def test_a_dead_letter_is_withdrawn_too(hall: Hall) -> None:
    """Put back into the queue later, it would fulfil what nobody wants any more."""
    order = hall.paid()
    hall.fulfiller.turn()
    hall.end(order, TaskState.DEAD)
    hall.fulfiller.turn()
    hall.fulfiller.withdraw(hall.now(order), "cancelled", hint="wait")
    assert not hall.engine.retry(f"order:{order.id}:fulfil")


def test_a_cancelled_order_has_no_task_left(hall: Hall) -> None:
    order = hall.paid()
    hall.fulfiller.turn()
    with hall.orders.deciding():
        hall.fulfiller.withdraw(hall.now(order), "cancelled", hint="wait")
        hall.orders.cancel(order.id, who="ada")
    task = hall.engine.task(f"order:{order.id}:fulfil")
    assert task is not None
    assert task.state is TaskState.CANCELLED
    assert hall.now(order).state is OrderState.CANCELLED
    assert hall.fulfiller.turn() == type(hall.fulfiller.turn())()


def test_what_is_given_back_before_its_task_was_submitted_is_not_fulfilled(hall: Hall) -> None:
    order = hall.paid()
    hall.orders.request_fulfilment(order.id, "pack")
    hall.orders.want_refund(order.id, who="ada")
    assert hall.fulfiller.turn().submitted == []
    assert hall.engine.tasks() == []
