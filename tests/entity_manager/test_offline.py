"""What fails because the network is down is nobody's failure, and is tried again when it is back."""

from __future__ import annotations

from typing import Any

import pytest

from engines.entity_manager import Entity, RestartLimits
from tests.entity_manager.office import REFUSED, Office, ids, refused, said, well

STRICT = RestartLimits(max_failures=1, max_corrections=1)


def fetcher(office: Office, **more: Any) -> Entity:
    return office.entity(skill="fetch", limits=STRICT, **({"channel": "c"} | more))


def test_where_no_host_answers_it_is_offline_and_not_to_blame(office: Office) -> None:
    entity = fetcher(office)
    office.publish("hello")
    assert said(office.days_work(refused)) == ["hello"]
    assert entity.state.value == "offline_adapting"
    assert entity.reason.startswith("not reached: 127.0.0.1:7, 127.0.0.1:9 (ConnectionRefused")
    assert set(office.dialled) == {7, 9}
    assert (entity.tasks_failed, entity.health, entity.recovery_attempts) == (0, 100.0, 0)


def test_where_one_host_answers_the_failure_is_its_own(office: Office) -> None:
    office.up = {9}
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    assert (entity.state.value, entity.tasks_failed) == ("active", 1)
    assert entity.recovery_attempts == 1


@pytest.mark.parametrize(
    ("ended", "knocks"),
    [
        ({"outcome": "error", "error": {"type": "ValueError", "message": "no"}}, False),
        ({"outcome": "denied", "error": {"type": "Denied", "message": "no"}}, False),
        ({"outcome": "error", "error": {"type": "URLError", "message": "no route"}}, True),
        ({"outcome": "error", "error": {"type": "gaierror", "message": "no name"}}, True),
        ({"outcome": "timeout", "error": {"message": "it took longer than 60 s"}}, True),
    ],
)
def test_only_what_may_be_the_networks_doing_is_looked_into(
    office: Office, ended: dict[str, Any], knocks: bool
) -> None:
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(lambda _: ended | {"final": True})
    assert bool(office.dialled) == knocks
    assert entity.tasks_failed == (not knocks)


def test_a_skill_that_declares_no_hosts_has_no_routes_that_could_be_down(office: Office) -> None:
    entity = office.entity(skill="count", every_s=10, limits=STRICT)
    office.days_work(lambda _: {"outcome": "error", "error": REFUSED}, turns=4)
    assert (entity.tasks_failed > 0, office.dialled) == (True, [])


def test_when_it_is_back_the_same_task_is_tried_again(office: Office) -> None:
    """Not a second one; and what came meanwhile follows in order."""
    entity = fetcher(office)
    office.publish("one")
    office.days_work(refused)
    office.publish("two")
    office.clock.pass_by(3600)
    assert office.days_work() == []
    office.up = {7}
    office.clock.pass_by(3600)
    assert ids(office.days_work()) == ["entity:e#1", "entity:e#2"]
    assert entity.state.value == "active"
    assert (entity.tasks_completed, entity.tasks_failed, entity.recovery_attempts) == (2, 0, 0)
    assert len(office.resources.tasks(source="entity:e")) == 2


def test_it_knocks_less_and_less_often(office: Office) -> None:
    """After 5 s, 10 s, 20 s … at most 300 s; the turn says when it wants to come again."""
    fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    waits = []
    for _ in range(9):
        office.dialled.clear()
        when = office.turn()
        assert when
        assert office.dialled == []
        waits.append(when - office.clock())
        office.clock.now = when
        office.turn()
        assert office.dialled == [7, 9]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_service_that_starts_anew_knocks_at_once(office: Office) -> None:
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    office.up = {7}
    office.after_crash()
    assert said(office.days_work()) == ["hello"]
    found = office.manager.get_entity("e")
    assert found
    assert (found.state.value, found.tasks_completed) == ("active", 1)
    assert entity.tasks_completed == 0  # the object of the life before


def test_an_interval_goes_on_when_it_is_back(office: Office) -> None:
    entity = fetcher(office, channel=None, every_s=10)
    office.days_work(refused)
    office.clock.pass_by(1000)
    office.days_work()
    assert entity.state.value == "offline_adapting"
    office.up = {7}
    office.clock.pass_by(1000)
    # The one that failed, and the one that is due.
    assert ids(office.days_work()) == ["entity:e#1", "entity:e#2"]


def test_whose_hosts_are_no_longer_declared_waits_for_the_operator(office: Office) -> None:
    """And asks for no turn."""
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    file = office.root / "skills" / "office.py"
    file.write_text(file.read_text().replace('(reaches=["127.0.0.1:7", "127.0.0.1:9"])', ""))
    office.clock.pass_by(1000)
    assert office.turn() is None
    assert office.manager.back_online("e")
    assert said(office.days_work()) == ["hello"]
    assert entity.tasks_completed == 1


def test_whose_skill_is_gone_sleeps_and_somebody_is_told(office: Office) -> None:
    """Nobody knows its hosts any more; nothing is lost meanwhile."""
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    file = office.root / "skills" / "office.py"
    skills = file.read_text()
    office.clock.pass_by(1000)
    file.write_text(skills + "def broken(:\n")
    office.turn()
    assert entity.state.value == "offline_adapting"  # it may be in the file that cannot be read
    office.clock.pass_by(1000)
    file.write_text(skills.replace("def fetch", "def get"))
    office.turn()
    assert (entity.state.value, entity.reason) == ("hibernating", "unknown_skill (skill 'fetch')")
    (told,) = office.workspace.bus.channel_history("dino.alerts")
    assert told["message"]["reason"] == entity.reason
    file.write_text(skills)
    office.manager.awaken("e")
    assert said(office.days_work()) == ["hello"]


def test_it_may_go_offline_again_and_again(office: Office) -> None:
    entity = fetcher(office)
    office.publish("hello")
    for _ in range(5):
        office.up = set()
        office.days_work(refused)
        assert entity.state.value == "offline_adapting"
        office.up = {7}
        office.clock.pass_by(400)
        office.turn()
        assert entity.state.value == "active"
    assert said(office.days_work()) == ["hello"]
    assert (entity.tasks_completed, entity.tasks_failed) == (1, 0)


def test_what_failed_offline_is_not_lost_by_sleeping(office: Office) -> None:
    """Hibernated while offline, and while it was being found out."""
    fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    office.manager.hibernate("e")
    office.days_work()
    office.manager.awaken("e")
    office.up = {7}
    assert said(office.days_work()) == ["hello"]
    office.publish("again")
    office.turn()
    office.manager.hibernate("e")
    assert said(office.work(refused)) == ["again"]
    office.turn()
    office.manager.awaken("e")
    office.up = set()
    office.turn()
    entity = office.manager.get_entity("e")
    assert entity
    assert (entity.state.value, entity.tasks_failed) == ("offline_adapting", 0)


def test_what_ended_well_all_the_same_is_not_tried_again(office: Office) -> None:
    """Taken offline by hand while it ran."""
    entity = fetcher(office)
    office.publish("hello")
    office.turn()
    office.manager.offline_adapt("e")
    office.work(well)
    office.turn()
    assert (entity.tasks_completed, entity.run) == (1, None)


def test_a_failure_that_is_forgotten_cannot_be_tried_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded as what it was: a failure."""
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    monkeypatch.setattr(office.resources, "retry", lambda _: False)
    office.up = {7}
    office.clock.pass_by(10)
    office.days_work()
    assert (entity.tasks_failed, entity.run) == (1, None)


def test_while_a_probe_is_out_the_turn_does_not_wait(office: Office) -> None:
    """And asks to come back soon."""
    entity = fetcher(office)
    office.publish("hello")
    office.duty.turn()
    office.work(refused)
    office.hold.clear()
    when = office.duty.turn()
    assert when is not None
    assert when <= office.clock() + 0.2
    assert entity.state.value == "active"
    office.hold.set()
    office.duty.finish()
    assert entity.state.value == "offline_adapting"


def test_a_clock_that_is_set_back_does_not_put_off_the_next_knock(office: Office) -> None:
    entity = fetcher(office)
    office.publish("hello")
    office.days_work(refused)
    office.up = {7}
    office.clock.pass_by(-10 * 365 * 86400)
    assert said(office.days_work()) == ["hello"]
    assert entity.tasks_completed == 1
