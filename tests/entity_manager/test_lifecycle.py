"""The table of transitions is the law: every command in every state does what it says, or nothing."""

from __future__ import annotations

from itertools import product

import pytest

from engines.entity_manager import (
    TRANSITIONS,
    Command,
    EntityManager,
    EntityState,
    is_legal,
    state_diagram,
    why_not,
)
from tests.conftest import REPOSITORY
from tests.entity_manager.things import Clock, Pool, in_memory

# How an entity "e" gets into each state, and what a user's command is called.
WAYS: dict[EntityState, list[str]] = {
    EntityState.HIBERNATING: [],
    EntityState.AWAKENING: ["cut off"],
    EntityState.ACTIVE: ["awaken"],
    EntityState.ERROR_CORRECTION: ["awaken", "error_correction"],
    EntityState.OFFLINE_ADAPTING: ["awaken", "offline_adapt"],
    EntityState.DEACTIVATED: ["deactivate"],
}
USERS = [command for command in Command if command is not Command.ACTIVATE]
# Where a transition only passes through a state.
ENDS_IN = {EntityState.AWAKENING: EntityState.ACTIVE}


class Interrupted(Exception):
    pass


class CutOff(Pool):
    """Dies once, just when an awakening entity asks for its resources."""

    def reserve(self, holder: str, needs: object) -> bool:
        raise Interrupted


def entity_in(state: EntityState) -> EntityManager:
    manager = in_memory(Clock(), CutOff(0))
    manager.spawn("e", "worker", {"compute": 1} if state is EntityState.AWAKENING else None)
    for step in WAYS[state]:
        if step == "cut off":
            with pytest.raises(Interrupted):
                manager.awaken("e")
        else:
            assert getattr(manager, step)("e")
    (entity,) = manager.list_entities()
    assert entity.state is state
    return manager


@pytest.mark.parametrize(("state", "command"), list(product(EntityState, USERS)))
def test_every_command_in_every_state_follows_the_table(
    state: EntityState, command: Command
) -> None:
    manager = entity_in(state)
    (entity,) = manager.list_entities()
    done = getattr(manager, command)("e")
    assert done is is_legal(state, command)
    after = TRANSITIONS.get((state, command), state)
    assert entity.state is (ENDS_IN.get(after, after) if done else state)


@pytest.mark.parametrize("command", USERS)
def test_a_command_for_nobody_is_refused(command: Command) -> None:
    manager = in_memory(Clock())
    assert getattr(manager, command)("nobody") is False
    assert manager.journal.end.seq == 0


def test_the_end_is_the_end() -> None:
    """And from every other state there is a way to it, and one to work."""
    assert not [state for state, _ in TRANSITIONS if state is EntityState.DEACTIVATED]
    for state in set(EntityState) - {EntityState.DEACTIVATED}:
        assert is_legal(state, Command.DEACTIVATE)
        reached = {state}
        for _ in EntityState:
            reached |= {after for (one, _), after in TRANSITIONS.items() if one in reached}
        assert EntityState.ACTIVE in reached


@pytest.mark.parametrize(("state", "command"), list(product(EntityState, Command)))
def test_a_refusal_names_the_states_in_which_it_would_do(
    state: EntityState, command: Command
) -> None:
    told = why_not(state, command)
    assert told.startswith(f"it is {state.replace('_', ' ')}; ")
    _, _, able = told.partition("for one that is ")
    for one in EntityState:
        assert (one.replace("_", " ") in able) == is_legal(one, command)


def test_the_guide_shows_the_diagram_that_the_table_makes() -> None:
    guide = (REPOSITORY / "docs" / "entities.md").read_text()
    (shown,) = [block.partition("\n```")[0] for block in guide.split("```mermaid\n")[1:]]
    assert shown == state_diagram()


def test_the_diagram_has_an_arrow_for_each_transition() -> None:
    lines = state_diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == len(TRANSITIONS) + 3
    assert "    hibernating --> awakening: awaken" in lines
