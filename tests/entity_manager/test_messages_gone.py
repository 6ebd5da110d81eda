"""Messages that were pruned from the record before an entity dealt with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.entities import operating
from dino_os.retention import prune_journal
from engines.entity_manager import EntityState
from tests.entity_manager.office import Office, offices, said
from tests.entity_manager.things import Clock


@pytest.fixture
def office(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for office in offices(tmp_path, clock):
        Auditing(office.workspace).new_key(None)
        yield office


def seal(office: Office) -> None:
    """Whatever is on the bus may be pruned from now on."""
    journal = office.workspace.bus._journal
    with journal.locked():
        journal.rotate()


def prune(office: Office) -> int:
    """Remove what was sealed; the first line that is left."""
    Auditing(office.workspace).checkpoint(["bus"])
    length = office.workspace.bus._journal.length()
    return prune_journal(office.workspace, "bus", length).lines


def alerts(office: Office) -> list[str]:
    found = office.workspace.bus.channel_history("dino.alerts")
    return [one["message"]["reason"] for one in found]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_pruned_while_it_slept_is_told_once(office: Office, restarts: bool) -> None:
    entity = office.entity(skill="read", channel="c")
    office.publish("dealt with")
    office.days_work()
    office.manager.hibernate("e")
    office.publish(*range(20))
    seal(office)
    office.publish("left")
    gone = (entity.position + 1, prune(office) - 1)
    if restarts:
        office.after_crash()
    operating.awaken(office.workspace, "e")
    assert said(office.days_work()) == ["left"]
    office.days_work()
    (told,) = alerts(office)
    assert (
        told == f"messages {gone[0]} to {gone[1]} of the bus were pruned before it dealt with them"
    )
    events = list(office.manager.journal.tail(100))
    (lost,) = [e for e in events if e["event_type"] == "entity_messages_gone"]
    assert (lost["first"], lost["last"]) == gone


@pytest.mark.parametrize("restarts", [False, True])
def test_what_it_had_read_is_no_loss(office: Office, restarts: bool) -> None:
    """Also where none of it was its own, and whoever had read it is gone."""
    entity = office.entity(skill="read", channel="c")
    office.days_work()
    office.publish(*range(20), channel="elsewhere")
    seal(office)
    office.days_work()
    prune(office)
    if restarts:
        office.after_crash()
    office.publish("left")
    assert said(office.days_work()) == ["left"]
    assert alerts(office) == []
    assert entity.state is EntityState.ACTIVE


def test_all_there_is_begins_with_what_is_left(office: Office) -> None:
    office.publish(*range(20))
    seal(office)
    office.publish("left")
    prune(office)
    office.entity(skill="read", channel="c", from_start=True)
    assert said(office.days_work()) == ["left"]
    assert alerts(office) == []
