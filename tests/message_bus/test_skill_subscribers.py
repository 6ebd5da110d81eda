"""`@skill(on=…)`: each message becomes one task, whatever is killed in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os.message_bus import MessageBus, nesting
from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.duty import BusDuty
from dino_os.message_bus.hearers import hearers
from dino_os.workspace import Workspace
from engines.resource_engine import ResourceEngine
from tests.conftest import Dino
from tests.resource_engine.kit import until
from tests.skills.conftest import Write, write

__all__ = ["write"]

SHIP = """
@skill(on="orders.*.paid")
def ship(order: dict, channel="", message_id="", headers: dict = {}):
    return [order, channel, message_id, headers]
"""


LOOP = """
from dino_os.message_bus import MessageBus
@skill(on="loop")
def again(n):
    MessageBus().publish("loop", n + 1)
"""


def tick(home: Path) -> None:
    """One pass of a service's duty, in a process that then ends well."""
    BusDuty(Workspace(home)).turn()


def tasks(home: Path, skill: str = "ship") -> list[Any]:
    return Workspace(home).resources.tasks(source=f"bus:{skill}")


def params(home: Path, skill: str = "ship") -> list[dict[str, Any]]:
    return [task.payload["params"] for task in tasks(home, skill)]


# --- what a skill is called with -----------------------------------------------------------------


def test_a_message_runs_the_skills_that_hear_it(dino: Dino, write: Write, home: Path) -> None:
    """From the first time that a service sees them; with what they ask to be told."""
    write(SHIP)
    MessageBus().publish("orders.1.paid", {"total": 0})
    begun = dino("scheduler", "tick")
    assert "skill 'ship' hears 'orders.*.paid' from now on" in begun.err
    MessageBus().publish("orders.7.paid", {"total": 3}, id="invoice-9", headers={"by": "till"})
    MessageBus().publish("orders.7.sent", {"total": 4})
    MessageBus().publish("orders.8.paid", {"total": 5})
    again = dino("scheduler", "tick")
    assert again.err == ""
    seq = MessageBus().channel_history("orders.8.paid")[0].seq
    found = tasks(home)
    assert [Workspace(home).resources.task(task.task_id).result for task in found] == [
        [{"total": 3}, "orders.7.paid", "invoice-9", {"by": "till"}],
        [{"total": 5}, "orders.8.paid", str(seq), {}],
    ]
    assert [task.key for task in found] == [task.task_id for task in found]
    assert found[1].task_id == f"bus:ship#{seq}"


def test_a_message_on_two_subjects_of_a_skill_runs_it_once(write: Write, home: Path) -> None:
    write('@skill(on=["a.>", "a.*"])\ndef both(m): ...\n@skill(on="a.b")\ndef other(m=0): ...\n')
    tick(home)
    for number in range(5):
        MessageBus().publish("a.b", number)
    tick(home)
    assert [p["m"] for p in params(home, "both")] == [0, 1, 2, 3, 4]
    assert [p["m"] for p in params(home, "other")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(m): ...", {"m": 7}),
        ("def f(channel, m): ...", {"channel": "a", "m": 7}),
        ("def f(*, m=1): ...", {"m": 7}),
        ("def f(): ...", {}),
        ("def f(channel): ...", {"channel": "a"}),
        (
            "def f(**rest): ...",
            {"message": 7, "channel": "a", "message_id": "i", "headers": {"k": "v"}},
        ),
        ("def f(m, **rest): ...", {"m": 7}),
    ],
)
def test_the_first_parameter_is_the_message(
    write: Write, home: Path, code: str, expected: dict[str, Any]
) -> None:
    write(f"@skill(on='a')\n{code}\n")
    tick(home)
    MessageBus().publish("a", 7, id="i", headers={"k": "v"})
    tick(home)
    assert params(home, "f") == [expected]


def test_a_skill_that_comes_while_a_service_runs_hears_what_is_said_from_then_on(
    write: Write, home: Path
) -> None:
    """Also what is said before the service has looked."""
    duty = BusDuty(Workspace(home))
    MessageBus().publish("a", 0)
    duty.turn()
    MessageBus().publish("a", 1)
    duty.turn()
    write("@skill(on='a')\ndef f(m): ...\n")
    MessageBus().publish("a", 2)
    duty.turn()
    MessageBus().publish("a", 3)
    duty.turn()
    assert [p["m"] for p in params(home, "f")] == [2, 3]


# --- what does not fit ---------------------------------------------------------------------------


def test_a_message_that_does_not_fit_is_a_dead_letter_and_told(
    dino: Dino, write: Write, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others go on; when the skill takes it, it is handed over again by hand."""
    write(SHIP)
    tick(home)
    bus = MessageBus()
    for message in ({"n": 1}, "no order", {"n": 2}, None):
        bus.publish("orders.1.paid", message)
    capsys.readouterr()
    tick(home)
    assert [p["order"] for p in params(home)] == [{"n": 1}, {"n": 2}]
    told = capsys.readouterr().err
    assert (
        "skill 'ship' cannot take message 2 of 'orders.*.paid', nor 1 more; `dino bus dead" in told
    )
    dead = Workspace(home).deliveries.dead_letters()
    assert [letter.seq for _, letter in dead] == [2, 4]
    write(SHIP.replace("order: dict", "order"))
    assert Workspace(home).deliveries.redeliver(dead[0][0], 2)
    tick(home)
    assert [p["order"] for p in params(home)] == [{"n": 1}, {"n": 2}, "no order"]


def test_one_skill_that_cannot_be_queued_stops_no_other(write: Write, home: Path) -> None:
    write(
        """
        @skill(on="a", needs={"databse": 1})
        def odd(m): ...
        @skill(on="a")
        def plain(m): ...
        """
    )
    tick(home)
    MessageBus().publish("a", 1)
    tick(home)
    assert (params(home, "odd"), params(home, "plain")) == ([], [{"m": 1}])


# --- how much, and in which order ----------------------------------------------------------------


def test_what_the_queue_has_no_room_for_waits_on_record(write: Write, home: Path) -> None:
    """In its order; the queue holds no more than a thousand of a skill's."""
    write("@skill(on='a')\ndef f(m): ...\n")
    tick(home)
    MessageBus().publish_many([("a", number) for number in range(1300)])
    workspace = Workspace(home)
    duty = BusDuty(workspace)
    duty.turn()
    assert [p["m"] for p in params(home, "f")] == [*range(1000)]
    for task in tasks(home, "f")[:700]:
        workspace.resources.cancel(task.task_id)
    duty.turn()
    assert [p["m"] for p in params(home, "f")] == [*range(1300)]


def test_a_subscription_outlives_its_skill(dino: Dino, write: Write, home: Path) -> None:
    """What is said while the file is away, or cannot be read, waits."""
    file = write(SHIP)
    tick(home)
    file.rename(file.with_suffix(".away"))
    MessageBus().publish("orders.1.paid", {"n": 1})
    tick(home)
    assert params(home) == []
    file.with_suffix(".away").rename(file)
    tick(home)
    assert [p["order"] for p in params(home)] == [{"n": 1}]


def test_another_subject_is_another_subscription(write: Write, home: Path) -> None:
    """It begins anew; what waits for the old one is not lost, and is nobody's until it is back."""
    write("@skill(on='a')\ndef f(m): ...\n")
    tick(home)
    MessageBus().publish("a", 1)
    write("@skill(on='b.*')\ndef f(m): ...\n")
    MessageBus().publish("b.c", 2)
    tick(home)
    MessageBus().publish("b.c", 3)
    tick(home)
    assert [p["m"] for p in params(home, "f")] == [3]
    found = {one["subject"]: one for one in hearers(Workspace(home))}
    assert [one["state"] == "orphaned" for one in found.values()] == [True, False]
    assert [one["backlog"] for one in found.values()] == [1, 0]
    write("@skill(on=['a', 'b.*'])\ndef f(m): ...\n")
    tick(home)
    assert [p["m"] for p in params(home, "f")] == [3, 1]


def test_one_that_is_forgotten_while_it_is_served_begins_anew(write: Write, home: Path) -> None:
    write("@skill(on='a')\ndef f(m): ...\n")
    duty = BusDuty(Workspace(home))
    duty.turn()
    MessageBus().publish("a", 1)
    duty.turn()
    bus = Workspace(home).bus
    assert bus.forget(bus.subscriptions()[0]["name"])
    MessageBus().publish("a", 2)
    duty.turn()
    MessageBus().publish("a", 3)
    duty.turn()
    assert [p["m"] for p in params(home, "f")] == [1, 2, 3]


# --- what is killed ------------------------------------------------------------------------------


def dies_at(step: int) -> Callable[..., Any]:
    """Has this process killed before the *step*-th durable step of a pass."""
    count = [0]

    def killing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    Deliveries.join = killing(Deliveries.join)  # type: ignore[method-assign]
    Deliveries.exchange = killing(Deliveries.exchange)  # type: ignore[method-assign]
    ResourceEngine.submit_tasks = killing(ResourceEngine.submit_tasks)  # type: ignore[method-assign]
    return killing


def killed_at(step: int, home: Path) -> None:
    """A pass in a process of its own, which is killed there."""
    pid = os.fork()
    if pid == 0:
        try:
            dies_at(step)
            tick(home)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_what_a_killed_service_had_the_other_takes_over(write: Write, home: Path) -> None:
    """One that was there before, without anything new being said."""
    write("@skill(on='a')\ndef f(m): ...\n")
    duty = BusDuty(Workspace(home))
    duty.turn()
    MessageBus().publish_many([("a", n) for n in range(3)])
    killed_at(3, home)  # joined, claimed, not submitted

    def heard() -> bool:
        again = duty.turn()
        assert again is not None
        return again - time.time() > 2

    until(heard, "a second look")
    assert [p["m"] for p in params(home, "f")] == [0, 1, 2]


def test_a_pass_that_is_killed_at_any_step_loses_and_doubles_nothing(
    write: Write, home: Path
) -> None:
    """Join, claim, submit, acknowledge: killed before each, in a process of its own."""
    write("@skill(on='a')\ndef f(m): ...\n")
    tick(home)
    said = 0
    for step in range(1, 8):
        MessageBus().publish_many([("a", said + n) for n in range(3)])
        said += 3
        killed_at(step, home)
    tick(home)
    assert [p["m"] for p in params(home, "f")] == [*range(said)]


def test_each_message_is_one_task_although_the_service_is_killed_again_and_again(
    write: Write, home: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """A real service, killed at random moments while others publish; in the journal's order."""
    write("@skill(on='a.>')\ndef f(m): ...\n")
    tick(home)
    bus, rng, said = MessageBus(), random.Random(8), 0
    for _ in range(4):
        service = started("scheduler", "start", "--no-work")
        goal = said + rng.randrange(1, 150)
        for _ in range(15):
            bus.publish_many([(f"a.{n % 3}", said + n) for n in range(10)])
            said += 10
            if len(tasks(home, "f")) >= goal:
                service.kill()
        until(lambda: len(tasks(home, "f")) >= goal or service.poll() is not None, "tasks")  # noqa: B023
        service.kill()
        service.wait()
    started("scheduler", "start", "--no-work")
    until(lambda: len(tasks(home, "f")) >= said, "all of them")
    assert [p["m"] for p in params(home, "f")] == [*range(said)]


# --- loops ---------------------------------------------------------------------------------------


def test_a_skill_that_hears_itself_comes_to_an_end(dino: Dino, write: Write, home: Path) -> None:
    """A pass does what was there when it began; what leads from message to message is counted."""
    write(LOOP)
    dino("scheduler", "tick")
    MessageBus().publish("loop", 1)
    dino("scheduler", "tick")
    dino("scheduler", "tick")
    assert [m.message for m in MessageBus().channel_history("loop")] == [1, 2, 3]
    with nesting.led_to(nesting.DEEPEST - 2):
        MessageBus().publish("loop", 31)
    for _ in range(3):
        dino("scheduler", "tick")
    # With several workers they overlap.
    said = sorted(m.message for m in MessageBus().channel_history("loop"))
    assert said == [1, 2, 3, 4, 5, 6, 31, 32]
    (last,) = [task for task in tasks(home, "again") if task.payload["params"] == {"n": 32}]
    assert "nested 32 deep" in str(last.error)
