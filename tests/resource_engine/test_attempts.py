"""How attempts end, which are tried again and when, and what becomes of lost ones."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.resource_engine import Fatal, ResourceEngine, RetryLater, failure
from tests.resource_engine.conftest import Open
from tests.resource_engine.kit import Hands, Time, error, events, state, task


class Drawn(Random):
    """Says which bounds it was asked for, and draws the upper one."""

    def __init__(self) -> None:
        super().__init__(0)
        self.asked: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.asked.append((a, b))
        return b


def test_the_wait_is_drawn_from_nothing_to_twice_the_last_bound(open_queue: Open, at: Time) -> None:
    """Full jitter: between 0 and 2, 4, 8 … 300 s."""
    drawn = Drawn()
    queue = open_queue(rng=drawn)
    queue.submit_task(task("t", max_attempts=11))
    hands = Hands.of(queue)
    for bound in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        hands.run("error")
        found = queue.task("t")
        assert found is not None
        assert (state(queue, "t"), found.next_retry) == ("delayed", at.now + bound)
        at.passes(bound - 0.5)
        assert hands.claimed() == []
        at.passes(0.5)
    hands.run("error")
    assert state(queue, "t") == "dead"
    assert drawn.asked == [(0.0, b) for b in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300)]


@pytest.mark.parametrize("outcome", ["error", "timeout", "delivery_failed"])
def test_what_may_go_well_another_time_is_tried_again(queue: ResourceEngine, outcome: str) -> None:
    queue.submit_task(task("t"))
    Hands.of(queue).run(outcome)
    assert state(queue, "t") == "delayed"


@pytest.mark.parametrize(
    ("outcome", "becomes"),
    [("denied", "dead"), ("blocked", "dead"), ("cancelled", "cancelled"), ("ok", "succeeded"), ("ok_no_action", "succeeded")],
)  # fmt: skip
def test_what_another_time_would_not_change_ends(
    queue: ResourceEngine, outcome: str, becomes: str
) -> None:
    queue.submit_task(task("t"))
    Hands.of(queue).run(outcome)
    found = queue.task("t")
    assert found is not None
    assert (found.state, found.outcome, found.attempts) == (becomes, outcome, 1)


def test_an_outcome_beyond_the_closed_set_is_refused_and_changes_nothing(
    queue: ResourceEngine,
) -> None:
    queue.submit_task(task("t"))
    hands = Hands.of(queue)
    (lease,) = hands.claim()
    with pytest.raises(InvalidInput, match="does not end as 'fine'"):
        hands.end(lease, "fine")
    assert state(queue, "t") == "running"
    assert hands.end(lease) == 0


def test_the_work_says_when_it_wants_to_be_tried_again(queue: ResourceEngine, at: Time) -> None:
    queue.submit_task(task("t"))
    Hands.of(queue).run("error", **_told(RetryLater(77, "busy")))
    found = queue.task("t")
    assert found is not None
    assert found.next_retry == at.now + 77
    assert error(queue, "t") == {"message": "busy", "type": "RetryLater"}


def test_asking_for_later_does_not_make_more_attempts(queue: ResourceEngine, at: Time) -> None:
    queue.submit_task(task("t", max_attempts=2))
    hands = Hands.of(queue)
    hands.run("error", **_told(RetryLater(1)))
    at.passes(1)
    hands.run("error", **_told(RetryLater(1)))
    assert state(queue, "t") == "dead"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e12, 1e300, -5.0])
def test_a_wait_beyond_all_measure_does_no_harm(
    queue: ResourceEngine, at: Time, seconds: float
) -> None:
    """The record, and whoever shows it, can tell the time; it is tried again within a year."""
    queue.submit_task(task("t"))
    Hands.of(queue).run("error", **_told(RetryLater(seconds)))
    found = queue.task("t")
    assert found is not None
    assert found.next_retry is not None
    assert at.now <= found.next_retry <= at.now + 366 * 86400


def test_the_work_says_that_trying_again_is_pointless(queue: ResourceEngine) -> None:
    queue.submit_task(task("t", max_attempts=9))
    Hands.of(queue).run("error", **_told(Fatal("broken for good")))
    assert state(queue, "t") == "dead"
    assert error(queue, "t") == {"message": "broken for good", "type": "Fatal"}


def _told(raised: Exception) -> dict[str, object]:
    said = failure(raised)
    del said["outcome"]
    return said


@settings(max_examples=15)
@given(st.text(max_size=3000))
def test_any_message_is_told_and_not_at_any_length(text: str) -> None:
    said = failure(ValueError(text))
    assert said["error"]["type"] == "ValueError"
    assert 0 < len(said["error"]["message"]) <= 2000


def test_a_lost_worker_is_another_attempt_at_once_three_in_all(queue: ResourceEngine) -> None:
    """Even where the work itself is not to be tried again: it may never have begun."""
    queue.submit_task(task("t", max_attempts=1))
    hands = Hands.of(queue)
    for attempt in (1, 2, 3):
        assert hands.run("error", lost=True) == "t"
        found = queue.task("t")
        assert found is not None
        assert found.attempts == attempt
    assert state(queue, "t") == "dead"
    assert error(queue, "t")["type"] == "WorkerLost"


def test_at_most_once_is_not_run_again_when_its_worker_is_lost(queue: ResourceEngine) -> None:
    queue.submit_task(task("t", at_most_once=True))
    Hands.of(queue).run("error", lost=True)
    assert state(queue, "t") == "dead"


def test_what_had_not_begun_was_no_attempt(queue: ResourceEngine) -> None:
    queue.submit_tasks([task("a"), task("b", at_most_once=False)])
    hands = Hands.of(queue)
    (lease,) = hands.claim(size=2)
    queue.exchange(hands.name, returned={lease.number: ["b"]})
    found = queue.task("b")
    assert found is not None
    assert (found.state, found.attempts) == ("queued", 0)


# --- sessions --------------------------------------------------------------------------------


def test_a_silent_session_loses_its_tasks_after_a_minute_and_its_word_counts_no_more(
    open_queue: Open, at: Time, tmp_path: Path
) -> None:
    """It is stopped, or its machine is out of reach: it holds its lock, and says nothing."""
    slow, quick = Hands.of(open_queue()), Hands.of(open_queue())
    slow.engine.submit_task(task("t"))
    (lease,) = slow.claim()
    at.passes(59)
    assert quick.claimed() == []
    at.passes(2)
    assert quick.claimed() == ["t"]
    assert quick.engine.task("t").attempts == 2  # type: ignore[union-attr]
    with pytest.raises(KeyError, match="was given up"):
        slow.end(lease)
    joined_again = Hands.of(slow.engine)
    assert joined_again.end(lease) == 1, "void"
    assert state(quick.engine, "t") == "running"
    (lost,) = events(tmp_path / "engine_state.jsonl", "session_lost")
    assert (lost["session"], lost["why"]) == (slow.name, "no sign of life for 60 s")


def test_a_session_that_says_that_it_lives_keeps_its_tasks(open_queue: Open, at: Time) -> None:
    slow, quick = Hands.of(open_queue()), Hands.of(open_queue())
    slow.engine.submit_task(task("t"))
    (lease,) = slow.claim()
    for _ in range(20):
        at.passes(15)
        slow.engine.exchange(slow.name)
        assert quick.claimed() == []
    assert slow.end(lease) == 0
    assert state(quick.engine, "t") == "succeeded"


def test_a_clock_that_is_set_takes_no_session_for_lost(open_queue: Open, at: Time) -> None:
    slow, quick = Hands.of(open_queue()), Hands.of(open_queue())
    slow.engine.submit_task(task("t"))
    (lease,) = slow.claim()
    at.now += 86_400
    assert quick.claimed() == []
    at.now -= 5 * 86_400
    at.mono += 5
    assert quick.claimed() == []
    assert slow.end(lease) == 0


def test_a_session_of_before_the_machine_was_started_is_lost_by_the_clock(
    open_queue: Open, at: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.resource_engine import claims

    slow, quick = Hands.of(open_queue()), Hands.of(open_queue())
    slow.engine.submit_task(task("t"))
    slow.claim()
    monkeypatch.setattr(claims, "this_boot", lambda: "another")
    at.mono = 10.0  # it counts from the start
    assert quick.claimed() == []
    at.now += 61
    at.mono += 2
    assert quick.claimed() == ["t"]


def test_who_leaves_gives_back_what_they_had(queue: ResourceEngine) -> None:
    hands, other = Hands.of(queue), Hands.of(queue)
    queue.submit_task(task("t"))
    hands.claim()
    queue.leave(hands.name)
    assert other.claimed() == ["t"]
    assert queue.sessions_known == [other.name]
    queue.leave(hands.name)  # once more does nothing


def test_drained_sessions_get_nothing_more_and_new_ones_do(queue: ResourceEngine) -> None:
    old = Hands.of(queue)
    queue.submit_tasks([task("a"), task("b")])
    (lease,) = old.claim()
    assert queue.drain() == 1
    assert old.claimed() == []
    assert queue.exchange(old.name).leave
    assert old.end(lease) == 0
    assert Hands.of(queue).claimed() == ["b"]


def test_one_that_runs_is_told_to_stop_until_it_has(queue: ResourceEngine) -> None:
    queue.submit_tasks([task("t"), task("next", after=("t",))])
    hands = Hands.of(queue)
    (lease,) = hands.claim()
    assert queue.cancel("t", "not now")
    assert not queue.cancel("t")
    assert queue.exchange(hands.name).stop == ["t"]
    assert queue.exchange(hands.name).stop == ["t"]
    assert hands.end(lease, "timeout") == 0
    assert [state(queue, one) for one in ("t", "next")] == ["cancelled", "cancelled"]
    assert queue.exchange(hands.name).stop == []


def test_one_that_was_done_before_it_could_be_stopped_is_done(queue: ResourceEngine) -> None:
    queue.submit_task(task("t"))
    hands = Hands.of(queue)
    (lease,) = hands.claim()
    queue.cancel("t")
    hands.end(lease, result=5)
    found = queue.task("t")
    assert found is not None
    assert (found.state, found.result, found.cancelling) == ("succeeded", 5, False)


def test_a_cancelled_one_whose_worker_is_lost_is_cancelled(open_queue: Open, at: Time) -> None:
    slow, quick = Hands.of(open_queue()), Hands.of(open_queue())
    slow.engine.submit_task(task("t"))
    slow.claim()
    quick.engine.cancel("t")
    at.passes(61)
    assert quick.claimed() == []
    assert state(quick.engine, "t") == "cancelled"
