"""What a service does for entities in its turns: runs each interval, messages, failure, alerts."""

from __future__ import annotations

from typing import Any

import pytest

from dino_os.entities import operating
from dino_os.errors import InvalidInput, UnknownSkill
from engines.entity_manager import EntityManager, EntityState, RestartLimits
from engines.resource_engine import Task
from tests.entity_manager.office import Office, badly, ids, said, well


def test_an_interval_is_kept(office: Office) -> None:
    """At once, then on the grid; what was missed is left out."""
    entity = office.entity(skill="count", every_s=10, params={"step": 3})
    began = office.clock()
    (first,) = office.days_work()
    assert (first.task_id, first.source, first.limits) == (
        "entity:e#1",
        "entity:e",
        {"entity:e": 1},
    )
    assert first.payload == {"skill": "count", "params": {"step": 3}}
    assert office.turn() == began + 10
    office.clock.pass_by(9.9)
    assert office.days_work() == []
    office.clock.pass_by(0.1)
    assert ids(office.days_work()) == ["entity:e#2"]
    office.clock.pass_by(35)
    assert ids(office.days_work()) == ["entity:e#3"]
    assert office.turn() == began + 50
    assert (entity.tasks_completed, entity.health) == (3, 100.0)


def test_no_run_begins_while_one_is_under_way(office: Office) -> None:
    office.entity(skill="count", every_s=1)
    office.turn()
    office.clock.pass_by(30)
    office.turn()
    assert ids(office.resources.tasks(source="entity:e")) == ["entity:e#1"]
    assert ids(office.days_work()) == ["entity:e#1", "entity:e#2"]


def test_messages_are_tasks_each_one_in_order(office: Office) -> None:
    """From the spawning on; also those that came while it slept."""
    office.publish("before")
    entity = office.entity(skill="read", channel="c", params={"unit": "ft"})
    office.publish(1, {"a": 2}, channel="c")
    office.publish("elsewhere", channel="d")
    office.publish(None)
    assert said(office.days_work()) == [1, {"a": 2}, None]
    office.manager.hibernate("e")
    office.publish("asleep")
    assert office.days_work() == []
    operating.awaken(office.workspace, "e")
    office.publish("awake")
    done = office.days_work()
    assert said(done) == ["asleep", "awake"]
    assert said(done, "unit") == ["ft", "ft"]
    assert entity.tasks_completed == 5


def test_an_entity_hears_several_channels_and_other_nodes(office: Office) -> None:
    office.entity(skill="read", channel="boats.*")
    received = {"node": "south", "node_seq": 1, "stream_seq": 1, "at": 1.0, "channel": "boats.ada"}
    office.publish("here", channel="boats.eva")
    office.publish("elsewhere", channel="boats")
    office.workspace.bus._journal.append("message_received", {**received, "message": "there"})
    assert said(office.days_work()) == ["here", "there"]


def test_what_was_slept_through_may_be_left_out(office: Office) -> None:
    office.entity(skill="read", channel="c", from_now=True)
    office.publish("heard")
    assert said(office.days_work()) == ["heard"]
    office.manager.hibernate("e")
    office.publish("slept through")
    operating.awaken(office.workspace, "e")
    office.publish("new")
    assert said(office.days_work()) == ["new"]


def test_all_there_ever_was_may_be_its_own(office: Office) -> None:
    """Also what lies far back in the record."""
    office.publish("first")
    drafts = [("message_published", {"channel": "busy", "message": n}) for n in range(1500)]
    office.workspace.bus._journal.append_many(drafts)
    office.entity(skill="read", channel="c", from_start=True)
    office.publish("last")
    assert said(office.days_work()) == ["first", "last"]


def test_a_message_may_be_the_parameters(office: Office) -> None:
    entity = office.entity(skill="file", channel="c", params={"size": 5})
    office.publish({"name": "a"}, "no object", {"name": "b", "size": 7}, {"nme": "c"})
    done = office.days_work()
    assert [task.payload["params"] for task in done] == [
        {"name": "a", "size": 5},
        {"name": "b", "size": 7},
    ]
    assert (entity.tasks_completed, entity.tasks_failed) == (2, 2)


def test_many_entities_on_one_channel_get_each_message(office: Office) -> None:
    for name in ("x", "y"):
        office.entity(name, skill="read", channel="c")
    office.publish(1, 2, 3)
    done = office.days_work()
    assert [said([t for t in done if t.source == f"entity:{n}"]) for n in "xy"] == [[1, 2, 3]] * 2


def test_a_backlog_larger_than_is_held_in_memory_is_worked_off(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dino_os.entities.inbox._AHEAD", 4)
    monkeypatch.setattr("dino_os.entities.inbox._AT_THE_END", 8)
    office.entity(skill="read", channel="c", from_start=True)
    office.publish(*range(40))
    assert said(office.days_work(turns=100)) == list(range(40))


# --- failure -------------------------------------------------------------------------------------


def test_failures_lead_to_correction_to_sleep_and_to_one_alert(office: Office) -> None:
    limits = RestartLimits(max_failures=2, within_s=60, backoff_s=1, max_corrections=2)
    entity = office.entity(skill="count", every_s=1, needs={"compute": 1}, limits=limits)
    states: list[EntityState] = []
    for _ in range(20):
        office.days_work(badly)
        if entity.state not in states[-1:]:
            states.append(entity.state)
        office.clock.pass_by(1)
    assert entity.state is EntityState.HIBERNATING
    assert EntityState.ERROR_CORRECTION in states
    assert (entity.tasks_failed, entity.recovery_attempts) == (6, 3)
    assert office.resources.reserve("entity:e", {"compute": 1})  # nobody has it
    (told,) = office.workspace.bus.channel_history("dino.alerts")
    assert (told["message"]["entity_id"], told["message"]["alert"]) == ("e", 1)
    assert "error correction 3 times within 3600 s" in told["message"]["reason"]
    assert office.manager.alerts == []


def test_an_alert_is_told_once_also_where_a_crash_came_in_between(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = RestartLimits(max_failures=1, max_corrections=1)
    office.entity(skill="count", every_s=1, limits=limits)

    class Crash(BaseException):
        pass

    def crash(_: int) -> bool:
        raise Crash

    for _ in range(2):
        while not office.work(badly):
            office.turn()
    with monkeypatch.context() as patch:
        patch.setattr(office.manager, "alert_sent", crash)
        with pytest.raises(Crash):
            office.turn()
    office.close()
    office.after_crash()
    office.turn()
    office.turn()
    assert len(office.workspace.bus.channel_history("dino.alerts")) == 1
    assert office.manager.alerts == []


@pytest.mark.parametrize(
    "given",
    [{"skill": "count", "params": {"step": 1}}, {"skill": "fetch"}],
    ids=["unknown parameter", "unknown skill"],
)
def test_a_run_that_cannot_begin_is_a_failure(office: Office, given: Any) -> None:
    """As where the skill was changed since; others go on."""
    entity = office.entity(every_s=1, **given)
    other = office.entity("other", skill="read", channel="c")
    file = office.root / "skills" / "office.py"
    changed = file.read_text().replace("step: int = 1", "").replace("def fetch", "def get")
    file.write_text(changed)
    office.publish("hello")
    office.turn()
    office.work()
    assert (entity.tasks_failed, entity.run) == (1, None)
    office.turn()
    assert other.tasks_completed == 1


def test_a_need_that_no_pool_can_ever_meet_is_a_failure_of_that_entity_alone(
    office: Office,
) -> None:
    entity = office.entity(skill="greedy", every_s=1)
    other = office.entity("other", skill="read", channel="c")
    office.publish("hello")
    office.turn()
    assert said(office.work()) == ["hello"]
    office.turn()
    assert (entity.tasks_failed, other.tasks_completed) == (1, 1)


def test_a_run_that_was_cancelled_counts_for_nothing(office: Office) -> None:
    entity = office.entity(skill="count", every_s=10)
    office.turn()
    office.resources.cancel("entity:e#1")
    office.turn()
    assert (entity.run, entity.tasks_failed, entity.health) == (None, 0, 100.0)


def test_what_runs_when_it_is_laid_down_comes_to_its_end(office: Office) -> None:
    entity = office.entity(skill="count", every_s=10)
    office.turn()
    office.manager.hibernate("e")
    assert ids(office.days_work()) == ["entity:e#1"]
    assert entity.tasks_completed == 1


def test_what_runs_when_it_is_ended_is_cancelled(office: Office) -> None:
    entity = office.entity(skill="count", every_s=10)
    office.turn()
    office.manager.deactivate("e")
    assert office.days_work() == []
    task = office.resources.task("entity:e#1")
    assert task
    assert (task.state.value, entity.run) == ("cancelled", None)


# --- what others hear of failures ----------------------------------------------------------------

SECRET = "sk-live-4711"


def test_what_a_skill_said_stays_in_its_task(office: Office) -> None:
    """Events and alerts carry the kind and place of an error; its text may carry anything."""
    limits = RestartLimits(max_failures=1, max_corrections=1)
    office.entity(skill="read", channel="c", limits=limits)

    def spilling(_: Task) -> dict[str, Any]:
        error = {"type": "ValueError", "message": f"no key {SECRET}", "where": "office.py:9"}
        return {"outcome": "error", "error": error, "final": True}

    office.publish(1, 2)
    office.days_work(spilling)
    (told,) = office.workspace.bus.channel_history("dino.alerts")
    assert told["message"]["reason"].endswith("the last: ValueError (office.py:9)")
    assert SECRET not in str(list(office.manager.journal.tail(100)))
    task = office.resources.task("entity:e#2")
    assert task
    assert SECRET in str(task.error)


def test_nor_does_a_message_that_fits_no_skill_go_any_further(office: Office) -> None:
    entity = office.entity(skill="file", channel="c")
    office.publish({"name": "a", "size": SECRET})
    office.days_work()
    assert entity.tasks_failed == 1
    events = list(office.manager.journal.tail(100))
    assert SECRET not in str(events)
    (ended,) = [e for e in events if e["event_type"] == "entity_run_ended"]
    assert ended["error"] == f"invalid_input (skill 'file', message {entity.position})"


def test_nobody_mutes_an_alert_by_saying_something_like_it_first(office: Office) -> None:
    office.workspace.bus.publish("dino.alerts", {"from": "entities", "alert": 1})
    office.entity(skill="count", every_s=1, limits=RestartLimits(max_failures=1, max_corrections=1))
    for _ in range(2):
        while not office.work(badly):
            office.turn()
    office.turn()
    said, told = office.workspace.bus.channel_history("dino.alerts")
    assert said["message"] == {"from": "entities", "alert": 1}
    assert (told["message"]["alert"], told["message"]["entity_id"]) == (1, "e")


# --- turns that are for nothing ------------------------------------------------------------------


def test_a_turn_for_others_tasks_looks_at_no_entity(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are many of those tasks, and may be many entities."""
    for number in range(3):
        office.entity(f"e{number}", skill="count", every_s=60)
    office.days_work()
    when = office.turn()
    looks: list[object] = []
    listed = office.manager.list_entities
    monkeypatch.setattr(
        office.manager, "list_entities", lambda *state: looks.append(state) or listed(*state)
    )
    for number in range(5):
        office.resources.submit_task(Task(f"other {number}"))
        assert len(office.work()) == 1
        assert office.turn() == when
    assert looks == []


def test_a_turn_is_taken_once_a_run_ended_elsewhere(office: Office) -> None:
    entity = office.entity(skill="count", every_s=60)
    office.turn()
    office.turn()
    assert office.root / "memory" / "engine_state.jsonl" in office.duty.watches
    assert ids(office.work()) == ["entity:e#1"]
    office.turn()
    assert (entity.run, entity.tasks_completed) == (None, 1)


def test_a_turn_is_taken_where_another_moved_an_entity(office: Office) -> None:
    office.entity(skill="count", every_s=60)
    office.days_work()
    office.turn()
    other = office.workspace.own_journal("entities")
    EntityManager(journal=other, clock=office.clock).spawn(
        "new", "worker", skill="count", every_s=5
    )
    EntityManager(journal=other, clock=office.clock).awaken("new")
    office.turn()
    assert ids(office.work()) == ["entity:new#1"]


def test_who_is_about_to_leave_does_not_stay_for_what_others_run(office: Office) -> None:
    office.entity(skill="count", every_s=60)
    assert office.duty.finish()  # it was submitted just now
    assert not office.duty.finish()
    office.work()
    assert not office.duty.finish()


# --- signs of life -------------------------------------------------------------------------------


def test_the_duty_is_the_heart_of_those_that_run_a_skill(office: Office) -> None:
    """Not of those that have a program of their own: when it is silent, that is noticed."""
    entity = office.entity(skill="count", every_s=3600)
    own = office.entity("own")
    office.days_work()
    for _ in range(10):
        when = office.turn()
        assert when
        assert when <= office.clock() + 301
        office.clock.now = when
    assert entity.recovery_attempts == 0 < own.recovery_attempts
    assert entity.is_healthy()


def test_a_service_that_was_not_there_is_no_fault_of_the_entities(office: Office) -> None:
    entity = office.entity(skill="count", every_s=3600)
    office.days_work()
    office.clock.pass_by(100_000)
    office.after_crash()
    office.turn()
    assert (entity.state.value, entity.recovery_attempts) == ("active", 0)


def test_with_nothing_to_do_a_turn_writes_nothing(office: Office) -> None:
    office.entity(skill="read", channel="c")
    office.manager.spawn("asleep", "worker")
    office.turn()
    before = {path.name: path.read_bytes() for path in (office.root / "memory").glob("*.jsonl")}
    for _ in range(5):
        office.turn()
    after = {path.name: path.read_bytes() for path in (office.root / "memory").glob("*.jsonl")}
    assert after == before


# --- spawning ------------------------------------------------------------------------------------


def test_what_could_never_run_is_not_spawned(office: Office) -> None:
    with pytest.raises(UnknownSkill):
        office.entity(skill="conut", every_s=1)
    with pytest.raises(InvalidInput, match="no parameter 'stp'"):
        office.entity(skill="count", every_s=1, params={"stp": 1})
    with pytest.raises(InvalidInput, match="needs --name"):
        office.entity(skill="file", every_s=1)
    with pytest.raises(InvalidInput, match="a wildcard is a whole token"):
        office.entity(skill="read", channel="a.b*")
    with pytest.raises(InvalidInput, match="no parameter 'nme'"):
        office.entity(skill="file", channel="c", params={"nme": 1})
    assert office.manager.list_entities() == []
    office.entity(skill="file", channel="c")
    with pytest.raises(InvalidInput, match="was used before"):
        office.entity(skill="file", channel="c")


def test_the_helpers_end_tasks_as_they_are_told(office: Office) -> None:
    """What the tests above rest on."""
    office.entity(skill="count", every_s=1)
    office.turn()
    (task,) = office.work(well)
    found = office.resources.task(task.task_id)
    assert found
    assert (found.outcome, found.result) == ("ok", task.task_id)
