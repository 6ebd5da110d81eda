"""The queue's journal, counted: against what was done by hand, and laws over any sequence."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.metrics import MetricsCollector
from engines.metrics.tasks import TaskFold
from engines.resource_engine import TaskPriority
from tests.metrics.desk import Clock, Queue, exposed, series

HELLO = {"skill": "hello", "params": {"word": "s3cret"}}


def folded(queue: Queue) -> TaskFold:
    return TaskFold(queue.engine.journal.path)  # type: ignore[union-attr]


def test_times_are_those_of_the_journal(queue: Queue) -> None:
    """It waited 20 s and ran 3 s; the next one is claimed with it, and begins behind it."""
    queue.join()
    queue.submit("a", payload=HELLO)
    queue.clock.go(20)
    queue.work(took=3.0)
    queue.submit("b", payload=HELLO, priority=TaskPriority.HIGH, not_before=queue.clock.now + 60)
    queue.clock.go(62)
    queue.work("error", took=0.25, final=True)
    found = folded(queue)
    assert found.attempts == {"skill:hello": {"ok": 1, "error": 1}}
    assert found.waits["normal"].total == pytest.approx(20)
    assert found.waits["high"].total == pytest.approx(2)
    assert found.runs["skill:hello"].total == pytest.approx(3.25)
    assert [n for _, n in found.runs["skill:hello"].cumulative()][5:9] == [1, 1, 1, 1]
    assert (found.totals["succeeded"], found.totals["dead"]) == (1, 1)


def test_a_task_waits_from_when_what_it_waited_for_was_done(queue: Queue) -> None:
    queue.join()
    queue.submit("a")
    queue.submit("b", after=("a",))
    queue.clock.go(100)
    assert folded(queue).depth(queue.clock.now)["waiting"] == 1
    queue.work()
    queue.clock.go(5)
    queue.work()
    assert folded(queue).waits["normal"].total == pytest.approx(100 + 5)


def test_an_attempt_waits_from_when_it_was_due_again(queue: Queue) -> None:
    queue.join()
    queue.submit("a")
    queue.work("error", retry_after_s=30.0)
    queue.clock.go(40)
    queue.work()
    found = folded(queue)
    assert found.waits["normal"].total == pytest.approx(10)
    assert (found.totals["retried"], found.totals["dead"]) == (1, 0)


def _nobody_worked(queue: Queue) -> None:
    queue.submit("a")
    queue.clock.go(86_400)
    queue.join()
    queue.work()


def _everybody_left(queue: Queue) -> None:
    queue.join()
    queue.clock.go(10)
    queue.leave()
    queue.clock.go(1)
    queue.submit("a")
    queue.clock.go(3600)
    queue.join()
    queue.work()


def _its_worker_was_lost(queue: Queue) -> None:
    queue.join()
    queue.submit("a")
    queue.claim()
    queue.clock.go(120)  # its lease is over
    queue.join()
    queue.work()


def _it_could_not_be_delivered_at_first(queue: Queue) -> None:
    queue.join()
    queue.submit("a")
    queue.work("delivery_failed", retry_after_s=600.0)
    queue.clock.go(700)
    queue.work()


@pytest.mark.parametrize(
    ("story", "least"),
    [
        (_nobody_worked, 86_400),
        (_everybody_left, 3600),
        (_its_worker_was_lost, 0),
        (_it_could_not_be_delivered_at_first, 700),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_task_that_was_done_in_spite_of_an_outage_survived(
    queue: Queue, story: Callable[[Queue], None], least: float
) -> None:
    story(queue)
    found = folded(queue)
    assert (found.totals["survived_outage"], found.totals["lost_to_outage"]) == (1, 0)
    assert found.outages["survived"].total == pytest.approx(least, abs=1)


def _too_late(queue: Queue) -> None:
    queue.submit("a", start_by=queue.clock.now + 60)
    queue.clock.go(3600)
    queue.join()
    queue.claim()


def _lost_with_its_worker(queue: Queue) -> None:
    queue.join()
    queue.submit("a", at_most_once=True)
    queue.claim()
    queue.clock.go(120)
    queue.join()
    queue.claim()


def _never_delivered(queue: Queue) -> None:
    queue.join()
    queue.submit("a")
    queue.work("delivery_failed", final=True)


@pytest.mark.parametrize("story", [_too_late, _lost_with_its_worker, _never_delivered])
def test_a_task_that_an_outage_ended_is_lost_to_it(
    queue: Queue, story: Callable[[Queue], None]
) -> None:
    story(queue)
    found = folded(queue)
    assert (found.totals["survived_outage"], found.totals["lost_to_outage"]) == (0, 1)
    assert found.totals["dead"] == 1


def _no_outage(queue: Queue) -> None:
    queue.join()
    queue.submit("a")
    queue.work()


def _its_own_fault(queue: Queue) -> None:
    queue.submit("a")
    queue.join()
    queue.clock.go(1)
    queue.work("error", final=True, took=0.1)


def _cancelled_meanwhile(queue: Queue) -> None:
    queue.submit("a")
    queue.clock.go(60)
    queue.engine.cancel("a")


def _still_waits(queue: Queue) -> None:
    queue.submit("a")


def _not_due_before_somebody_came(queue: Queue) -> None:
    queue.submit("a", not_before=queue.clock.now + 60)
    queue.join()
    queue.clock.go(90)
    queue.work()


@pytest.mark.parametrize(
    "story",
    [
        *(_no_outage, _its_own_fault, _cancelled_meanwhile, _still_waits),
        _not_due_before_somebody_came,
    ],
)
def test_what_says_nothing_about_outages_is_not_counted(
    queue: Queue, story: Callable[[Queue], None]
) -> None:
    story(queue)
    found = folded(queue)
    assert (found.totals["survived_outage"], found.totals["lost_to_outage"]) == (0, 0)


def test_a_session_that_was_lost_was_so_since_its_last_sign_of_life(queue: Queue) -> None:
    """Nobody noticed at once: what was submitted meanwhile met an outage all the same."""
    queue.join()
    queue.submit("held")
    queue.claim()
    queue.clock.go(30)
    queue.submit("a")
    queue.clock.go(600)
    queue.join()
    for lease in queue.claim(2):
        queue.end(lease)
    found = folded(queue)
    assert found.totals["survived_outage"] == 2
    # For the one that was held the outage begins when it is noticed that its worker is gone.
    assert found.outages["survived"].total == pytest.approx(600 + 0, abs=1)


def test_dead_letters_come_back_or_are_given_up(queue: Queue) -> None:
    queue.join()
    for name in ("a", "b"):
        queue.submit(name)
        queue.work("error", final=True)
    assert folded(queue).depth(queue.clock.now)["dead"] == 2
    queue.engine.retry("a")
    queue.engine.cancel("b")
    queue.work()
    found = folded(queue)
    assert not +found.depth(queue.clock.now)
    assert found.totals["requeued"] == found.totals["given_up"] == found.totals["succeeded"] == 1


def test_names_beyond_the_fiftieth_are_other_and_parameters_are_nowhere(queue: Queue) -> None:
    """And what is no plain name is no label either."""
    queue.join()
    for number in range(60):
        queue.submit(f"t{number}", payload={**HELLO, "skill": f"skill_{number}"})
        queue.work()
    queue.submit("odd", payload={"call": "a b\n=s3cret", "params": {}})
    queue.work()
    collector = MetricsCollector(queue.engine.journal.path.parent, clock=queue.clock)  # type: ignore[union-attr]
    collector.update_all()
    read = exposed(collector)
    told = {dict(labels).get("runs") for _, labels in read} - {None}
    assert len(told) == 51
    assert read[series("dino_task_attempts_total", runs="other", outcome="ok")] == 11
    assert "s3cret" not in str(read)
    assert "s3cret" not in str(collector.report())


# --- laws over any sequence ----------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from([*TaskPriority])),
    st.tuples(st.just("dependent"), st.integers(0, 9)),
    st.tuples(
        st.just("work"), st.sampled_from(["ok", "ok_no_action", "error", "timeout", "denied"])
    ),
    st.tuples(st.just("claim"), st.integers(1, 3)),
    st.tuples(st.just("go"), st.sampled_from([0.5, 20.0, 100.0])),
    st.tuples(st.sampled_from(["cancel", "retry"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["leave", "join"]), st.none()),
)


def take(queue: Queue, step: tuple[str, object], number: int) -> None:
    """One step, where it can be taken."""
    kind, what = step
    tasks = queue.engine.tasks()
    chosen = tasks[what % len(tasks)].task_id if tasks and isinstance(what, int) else None
    if kind == "submit":
        queue.submit(f"t{number}", priority=what, payload=HELLO)
    elif kind == "go":
        queue.clock.go(float(str(what)))
    elif kind == "join" or (kind == "leave" and not queue.session):
        queue.join()
    elif kind == "leave":
        queue.leave()
    elif kind in {"work", "claim"} and queue.session in queue.engine.sessions_known:
        queue.work(str(what), took=0.5) if kind == "work" else queue.claim(int(str(what)))
    elif chosen and kind == "dependent":
        if queue.engine.tasks()[0].state != "cancelled":
            queue.submit(f"t{number}", after=(tasks[0].task_id,))
    elif chosen and kind in {"cancel", "retry"}:
        getattr(queue.engine, kind)(chosen)


@settings(max_examples=24)
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_counts_agree_with_each_other_and_with_the_queue(steps: list[tuple[str, object]]) -> None:
    """After any sequence; and no counter falls between two readings of it."""
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder), Clock())
        collector = MetricsCollector(Path(folder), clock=queue.clock)
        before: dict[object, float] = {}
        for number, step in enumerate(steps):
            take(queue, step, number)
            if number % 8 == 0 or number == len(steps) - 1:
                collector.update_all()
                read = exposed(collector)
                grows = {k: v for k, v in read.items() if k[0].endswith(GROWING)}
                assert all(value <= grows[key] for key, value in before.items())
                before = dict(grows)
        found = collector.fold(TaskFold)
        if found is None:
            assert not queue.engine.tasks()
            return
        assert found.unread == 0
        depth, told = found.depth(queue.clock.now), queue.engine.depth()
        totals = queue.engine.totals()
        assert depth["running"] == told["running"]
        assert depth["waiting"] == told["waiting"]
        assert depth["ready"] + depth["delayed"] == told["queued"] + told["delayed"]
        assert depth["dead"] == totals["dead"]
        ended = found.totals["succeeded"] + found.totals["cancelled"]
        assert found.totals["submitted"] == ended + depth.total()
        for runs, outcomes in found.attempts.items():
            assert found.runs[runs].count == sum(outcomes.values())
        waits = sum(histogram.count for histogram in found.waits.values())
        assert waits == sum(sum(outcomes.values()) for outcomes in found.attempts.values())
        survived, lost = (found.outages[fate].count for fate in ("survived", "lost"))
        assert (survived, lost) == (found.totals["survived_outage"], found.totals["lost_to_outage"])


GROWING = ("_total", "_count", "_bucket", "_sum")
