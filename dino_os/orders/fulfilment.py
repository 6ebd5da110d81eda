"""
Fulfilment: each order that was paid becomes a task of the resource engine, and its end the order's.

The task's id is decided and recorded before it is submitted; submitting one that is known does
nothing.  So whoever comes after a crash goes on from the record.  Whether an order still wants its
task is looked at under the orders' lock, which is taken before the resource engine's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from dino_os.errors import DinoError, InvalidInput, NotFound
from engines.orders import FulfilmentState, Order, Orders, OrderState, WrongState

_AT_ONCE = 500  # tasks submitted under one lock


class TaskLike(Protocol):
    """What is looked at of a task."""

    @property
    def state(self) -> str: ...
    @property
    def error(self) -> Any: ...


class TaskQueue(Protocol):
    """What is asked of the resource engine."""

    def deciding(self) -> AbstractContextManager[None]: ...
    def submit_tasks(self, tasks: Sequence[Any]) -> list[str]: ...
    def task(self, task_id: str) -> TaskLike | None: ...
    def recall(self, task_id: str) -> TaskLike | None: ...
    def cancel(self, task_id: str, reason: str = "") -> bool: ...
    def retry(self, task_id: str) -> bool: ...


MakeTask = Callable[[str, Mapping[str, Any], str, str], Any]
"""Skill, parameters, task id, source → a task."""


@dataclass(slots=True)
class Turn:
    """What a turn did: ids of orders."""

    submitted: list[str] = field(default_factory=list)
    fulfilled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


class Fulfiller:
    """
    Turns paid orders into tasks.

    Args:
        queue: Where the tasks go; asked for when it is needed.
        skills_for: The skills that fulfil an order: one, or it takes a decision.
    """

    def __init__(
        self,
        orders: Orders,
        queue: Callable[[], TaskQueue],
        make_task: MakeTask,
        skills_for: Callable[[Order], Sequence[str]],
    ) -> None:
        self._orders = orders
        self._queue = queue
        self._make_task = make_task
        self._skills_for = skills_for

    def turn(self) -> Turn:
        """Do what is due: request, submit, and learn how tasks ended."""
        done = Turn()
        self._orders.refresh()
        self._request(done, self._orders.waiting())
        self._follow(done)
        self._submit(done, self._orders.waiting())
        return done

    def start(self, order_id: str) -> Turn:
        """Request and submit the task of this one order, if it wants one."""
        done = Turn()
        self._request(done, [self._orders.order(order_id)])
        self._submit(done, [self._orders.order(order_id)])
        return done

    def withdraw(self, order: Order, reason: str, *, hint: str) -> None:
        """
        Take back the task of an order that it is not to fulfil.  Within the orders' `deciding`.

        Raises:
            WrongState: It is running, or done; it is left alone, and *hint* says what to do then.
        """
        if order.fulfilment is None:
            return
        task_id, queue = order.fulfilment.task_id, self._queue()
        with queue.deciding():  # so that nobody takes it up in between
            task = queue.recall(task_id)
            if task is None or task.state == "cancelled":
                return
            if task.state in {"running", "succeeded"}:
                raise WrongState(
                    f"order {order.id} is being fulfilled right now (task {task_id}: {task.state})",
                    hint=hint,
                )
            queue.cancel(task_id, reason)

    def stop(self, task_id: str, reason: str) -> None:
        """Have a task not run, if there is one."""
        with contextlib.suppress(NotFound):
            self._queue().cancel(task_id, reason)

    def retry(self, order_id: str, skill: str | None = None) -> Turn:
        """
        Try a stuck fulfilment again, with another *skill* where one is named.

        Raises:
            WrongState: It is not stuck.
        """
        with self._orders.deciding():
            order = self._orders.order(order_id)
            self._orders.require_wanted(order)
            fulfilment = order.fulfilment
            if fulfilment is None or not order.stuck:
                raise WrongState(f"order {order_id} is not stuck")
            if skill in {None, fulfilment.skill} and self._requeue(fulfilment.task_id):
                self._orders.note_submitted(order_id)
            else:
                named = [skill] if skill else self._skills_for(order) or [fulfilment.skill]
                self._orders.request_fulfilment(order_id, self._the_one(named))
        done = Turn()
        self._submit(done, [self._orders.order(order_id)])
        return done

    # --- below the face ----------------------------------------------------------------------

    def _requeue(self, task_id: str) -> bool:
        try:
            return self._queue().retry(task_id)
        except NotFound:
            return False

    def _request(self, done: Turn, orders: Sequence[Order]) -> None:
        wanting = [o for o in orders if o.wants_fulfilment and not o.fulfilment]
        with_skill = [(o.id, skills) for o in wanting if (skills := self._skills_for(o))]
        if not with_skill:
            return
        with self._orders.deciding():
            for order_id, skills in with_skill:
                order = self._orders.order(order_id)
                if order.fulfilment or not order.wants_fulfilment:
                    continue
                self._orders.request_fulfilment(order_id, ", ".join(skills))
                if len(skills) > 1:
                    self._stick(done, order_id, f"several skills fulfil its items: {skills}")

    def _submit(self, done: Turn, orders: Sequence[Order]) -> None:
        requested = [o.id for o in orders if _is(o, FulfilmentState.REQUESTED)]
        for start in range(0, len(requested), _AT_ONCE):
            with self._orders.deciding():
                self._submit_some(requested[start : start + _AT_ONCE], done)

    def _submit_some(self, order_ids: Sequence[str], done: Turn) -> None:
        tasks = {}
        for order_id in order_ids:
            order = self._orders.order(order_id)
            if order.wants_fulfilment and _is(order, FulfilmentState.REQUESTED):
                try:
                    tasks[order_id] = self._task(order)
                except DinoError as error:
                    self._stick(done, order_id, error.message)
        refused = self._hand_over(tasks)
        for order_id in tasks:
            if why := refused.get(order_id):
                self._stick(done, order_id, why)
            else:
                self._orders.note_submitted(order_id)
                done.submitted.append(order_id)

    def _hand_over(self, tasks: Mapping[str, Any]) -> dict[str, str]:
        """Submit the orders' tasks; of those that are refused, order → why."""
        queue, refused = self._queue(), {}
        try:
            if tasks:
                queue.submit_tasks(list(tasks.values()))
        except InvalidInput:  # all or none of them: one must not keep the others back
            for order_id, task in tasks.items():
                try:
                    queue.submit_tasks([task])
                except InvalidInput as error:
                    refused[order_id] = error.message
        return refused

    def _task(self, order: Order) -> Any:
        if order.fulfilment is None:
            raise WrongState(f"order {order.id} has no fulfilment")
        what = order.fulfilment
        return self._make_task(
            what.skill, {"order": order.as_dict()}, what.task_id, f"order:{order.id}"
        )

    def _follow(self, done: Turn) -> None:
        """Learn how the tasks that were submitted ended."""
        ended = []
        for order in self._orders.waiting():
            if order.fulfilment and _is(order, FulfilmentState.SUBMITTED):
                task_id = order.fulfilment.task_id
                task = self._queue().task(task_id) or self._queue().recall(task_id)
                if task is None or task.state in {"succeeded", "dead", "cancelled"}:
                    ended.append((order.id, task_id, task))
        if ended:
            with self._orders.deciding():
                for order_id, task_id, task in ended:
                    self._end(order_id, task_id, task, done)

    def _end(self, order_id: str, task_id: str, task: TaskLike | None, done: Turn) -> None:
        order = self._orders.order(order_id)
        known = order.fulfilment
        if not (known and known.task_id == task_id and _is(order, FulfilmentState.SUBMITTED)):
            return  # somebody else was here
        if order.state is not OrderState.CONFIRMED:
            return  # its money went back, or somebody fulfilled it
        if task is not None and task.state == "succeeded" and order.cancelling is None:
            self._orders.fulfil(order_id)
            done.fulfilled.append(order_id)
        elif task is not None and task.state == "succeeded":
            self._stick(done, order_id, f"the task {task_id} ran although it is being cancelled")
        elif task is None:
            self._stick(done, order_id, f"the task {task_id} is not known any more")
        elif task.state == "cancelled":
            self._stick(done, order_id, "its task was cancelled")
        else:
            self._stick(done, order_id, _why(task.error))

    def _stick(self, done: Turn, order_id: str, reason: str) -> None:
        self._orders.note_stuck(order_id, reason)
        done.stuck.append(order_id)

    @staticmethod
    def _the_one(skills: Sequence[str]) -> str:
        if len(skills) != 1:
            raise WrongState(
                f"several skills fulfil its items: {', '.join(skills)}", hint="name one: --with"
            )
        return skills[0]


def _is(order: Order, state: FulfilmentState) -> bool:
    return order.fulfilment is not None and order.fulfilment.state is state


def _why(error: Any) -> str:
    """The reason in a task's error, which is a mapping or a text."""
    if isinstance(error, Mapping):
        kind, message = error.get("type", ""), error.get("message", "")
        return ": ".join(str(part) for part in (kind, message) if part) or "it failed"
    return str(error or "it failed")
