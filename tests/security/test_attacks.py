"""
Every attack: it works where nothing stops it, and behind each wall that is to stop it, it does not.

The whole table is pinned, also where an attack gets through one wall alone: a wall that stops more
or less than was thought is news.
"""

from __future__ import annotations

import pytest

from tests.security.attack import Attack, all_attacks
from tests.security.conftest import Behind
from tests.security.settings import ROOT, attempt, attempt_plainly, ended_well, stops
from tests.security.world import World

ATTACKS = list(all_attacks())
WHOLE = ("whole", "without namespaces")


def _cases(settings: dict[str, tuple[str, ...]]) -> list[object]:
    return [
        pytest.param(attack, setting, id=f"{attack.name}-{setting.replace(' ', '_')}")
        for attack in ATTACKS
        for setting in settings[attack.name]
    ]


def _alone(attack: Attack) -> tuple[str, ...]:
    """Where "bare" stops it, so does everything; limits are tried where they are to stop it."""
    if "bare" in attack.stopped_by:
        return ("bare",)
    limits = ("limits",) if "limits" in attack.stopped_by - set(attack.alone) else ()
    return (*attack.alone, *limits)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_works_where_nothing_stops_it(attack: Attack, world: World) -> None:
    """Else it proves nothing that it fails inside."""
    if attack.control == "root" and not ROOT:
        pytest.skip("works for root alone")
    if reason := attack.needs():
        pytest.skip(reason)
    told = attempt_plainly(attack, world)
    assert told, told.outcome


@pytest.mark.parametrize(
    ("attack", "setting"), _cases({attack.name: _alone(attack) for attack in ATTACKS})
)
def test_one_wall_alone(attack: Attack, setting: str, world: World, behind: Behind) -> None:
    if attack.control == "root" and not ROOT:
        pytest.skip("works for root alone")
    if reason := attack.needs():
        pytest.skip(reason)
    told = attempt(attack, world, behind(setting))
    assert bool(told) is not stops(attack, setting), told.outcome


@pytest.mark.parametrize(
    ("attack", "setting"),
    _cases({a.name: WHOLE if a.without_namespaces else WHOLE[:1] for a in ATTACKS}),
)
def test_all_walls(attack: Attack, setting: str, world: World, behind: Behind) -> None:
    """Nothing gets through, nothing is changed, and the next job finds nothing of it."""
    sandbox = behind(setting)
    told = attempt(attack, world, sandbox)
    assert not told, told.outcome
    assert world.canary not in repr(told.outcome)
    assert not world.files_changed()
    assert not world.was_struck()
    assert setting != "whole" or ended_well(sandbox, world)


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) >= 80
