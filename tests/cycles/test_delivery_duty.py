"""What a service does for the outbox: each time that something is due, somebody sends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dino_os.outbox.duty import DeliveryDuty
from dino_os.workspace import Workspace
from engines.journal import Journal
from engines.resource_engine import ResourceEngine
from tests.conftest import Dino
from tests.cycles.outboxes import Desk
from tests.cycles.receiver import Receiver
from tests.resource_engine.kit import Hands, until


class Service:
    """A service's turns for the outbox of *desk*; its tasks are run by hand."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        workspace = desk.workspace
        self.engine = ResourceEngine(workspace.memory / "engine_state.jsonl", clock=desk.clock)
        vars(workspace)["resources"] = self.engine
        self.duty = DeliveryDuty(workspace)
        self.hands = Hands.of(self.engine, slots=8)

    def turn(self) -> float | None:
        return self.duty.turn()

    def sends(self) -> None:
        """Run the task that is in the queue."""
        (lease,) = self.hands.claim()
        self.desk.send()
        self.hands.end(lease)

    def tasks(self) -> list[str]:
        return [task.state.value for task in self.engine.tasks(source="outbox")]


@pytest.fixture
def service(desk: Desk) -> Iterator[Service]:
    desk.queue("a", to="webhook:http://127.0.0.1:9/")
    service = Service(desk)
    yield service
    service.engine.leave(service.hands.name)


def test_each_time_that_it_is_due_it_is_tried_again(service: Service, desk: Desk) -> None:
    """Not before, and by one task at a time; over a new process too."""
    for tries in range(1, 5):
        assert service.turn() is None
        assert service.turn() is None
        assert service.tasks() == ["succeeded"] * (tries - 1) + ["queued"]
        service.sends()
        due = service.turn()
        assert due == desk.outbox.next_due() == desk.clock.now + 30 * 2 ** (tries - 1)
        desk.clock.now = due
        if tries == 2:
            service.duty = Service(desk).duty
    assert desk.outbox.waiting()[0].attempts == 4


def test_a_task_that_failed_is_followed_by_another(service: Service, desk: Desk) -> None:
    """A while later: whatever it was would stop the next one as well."""
    service.turn()
    service.hands.run("error", error={"type": "Busy", "message": "somebody is sending"})
    assert service.tasks() == ["dead"]
    assert service.turn() == desk.clock.now + 30
    desk.clock.now += 30
    assert service.turn() is None
    assert service.tasks() == ["dead", "queued"]


def test_what_was_queued_meanwhile_does_not_wait(service: Service, desk: Desk) -> None:
    """Only what an attempt has left due does: a receiver that is down has more of it."""
    desk.queue("b", "c", to="webhook:http://127.0.0.1:9/")
    service.turn()
    service.sends()
    assert service.turn() == desk.clock.now + 30  # of a, b and c one was tried
    desk.clock.now += 1
    desk.queue("d")
    assert service.turn() is None
    assert service.tasks() == ["succeeded", "queued"]


def test_a_clock_that_is_put_right_does_not_put_it_off(service: Service, desk: Desk) -> None:
    right, desk.clock.now = desk.clock.now, desk.clock.now + 900
    service.turn()
    service.sends()
    desk.clock.now = right
    assert service.turn() is None
    assert service.tasks() == ["succeeded", "queued"]


def test_it_watches_the_outbox_and_whoever_runs_the_tasks(service: Service, desk: Desk) -> None:
    names = [path.name for path in service.duty.watches]
    assert names == ["outbox.jsonl", "engine_state.jsonl"]


# --- real processes ----------------------------------------------------------------------------


def attempts(folder: Path) -> int:
    return sum(
        event["event_type"] in {"delivery_failed", "delivery_delivered"}
        for event in Journal(folder / "memory" / "outbox.jsonl").events()
    )


def test_tick_sends_each_time_that_it_is_due(desk: Desk, dino: Dino, receiver: Receiver) -> None:
    """The first two attempts are refused; each tick is another process."""
    queue_now(desk, receiver)
    for count in (1, 2, 3):
        dino("scheduler", "tick")
        assert attempts(desk.root) == count
        dino("cycle", "resend", "a")
    assert len(receiver.requests) == 3
    assert list(receiver.taken) == ["key-a"]


def test_a_service_sends_each_time_that_it_is_due(
    desk: Desk, dino: Dino, receiver: Receiver, started: Callable[..., object]
) -> None:
    queue_now(desk, receiver)
    started("scheduler", "start", "--workers", "1")
    for count in (1, 2):
        until(lambda count=count: attempts(desk.root) == count, f"attempt {count}", 60)
        Workspace(desk.root).outbox.resend("a")
    until(lambda: attempts(desk.root) == 3, "attempt 3", 60)
    assert list(receiver.taken) == ["key-a"]


def queue_now(desk: Desk, receiver: Receiver) -> None:
    desk.clock.now = time.time()
    receiver.answers = [500, 500, 200]
    desk.queue("a", to=f"webhook:{receiver.url}")
