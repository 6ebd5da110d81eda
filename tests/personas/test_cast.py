"""Who plays research, execution and risk, and how to replace them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.orchestrator import DynamicUsageOrchestrator
from engines.personas import (
    AgentResult,
    configure_dynamic_start_agents,
    get_dynamic_start_agents,
    prime_dynamic_start_agents,
    reset_dynamic_start_agents,
)

ROLES = ("research", "execution", "risk")


class Stand:
    """A persona of the user's own."""

    name = "stand-in"

    def run(self, payload: Mapping[str, Any]) -> AgentResult:
        return AgentResult(self.name, f"{len(payload)} things", 0.5)


@pytest.fixture(autouse=True)
def _default_cast() -> Iterator[None]:
    reset_dynamic_start_agents()
    yield
    reset_dynamic_start_agents()


def test_the_chain_is_research_execution_risk() -> None:
    """In this order, each with the name of its part and a result that becomes plain data."""
    agents = get_dynamic_start_agents()
    assert tuple(agents) == ROLES
    for role, persona in agents.items():
        result = persona.run({"map": None})
        assert (persona.name, result.agent, result.confidence) == (role, role, 1.0)
        assert {"agent", "rationale", "confidence"} <= set(result.to_dict())


def test_personas_are_made_once() -> None:
    """Getters and `prime` give the same objects; the dict is the caller's own."""
    agents = prime_dynamic_start_agents()
    assert get_dynamic_start_agents() == agents
    agents.clear()
    assert tuple(get_dynamic_start_agents()) == ROLES


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("form", ["instance", "class", "factory"])
def test_any_part_can_be_given_to_another_actor(role: str, form: str) -> None:
    """As an instance or a factory; the others stay who they are."""
    before = get_dynamic_start_agents()
    actor: Any = {"instance": Stand(), "class": Stand, "factory": lambda: Stand()}[form]  # noqa: PLW0108
    configure_dynamic_start_agents(**{role: actor})
    agents = get_dynamic_start_agents()
    assert isinstance(agents[role], Stand)
    assert agents[role].run({"a": 1}).to_dict() == {
        "agent": "stand-in",
        "rationale": "1 things",
        "confidence": 0.5,
    }
    assert all(agents[other] is before[other] for other in ROLES if other != role)


def test_a_factory_is_called_once_and_not_before_it_is_needed() -> None:
    """Configuring makes nothing; `prime` does."""
    made: list[Stand] = []

    def factory() -> Stand:
        made.append(Stand())
        return made[-1]

    configure_dynamic_start_agents(risk=factory)
    assert made == []
    assert prime_dynamic_start_agents()["risk"] is made[0]
    assert get_dynamic_start_agents()["risk"] is made[0]
    assert len(made) == 1


def test_reset_gives_parts_back_to_the_defaults() -> None:
    """The named ones, or all of them."""
    configure_dynamic_start_agents(research=Stand, execution=Stand, risk=Stand)
    reset_dynamic_start_agents("risk", "research")
    assert [p.name for p in get_dynamic_start_agents().values()] == ["research", "stand-in", "risk"]
    reset_dynamic_start_agents()
    assert tuple(p.name for p in get_dynamic_start_agents().values()) == ROLES


def test_the_orchestrator_loads_the_same_chain() -> None:
    """With *force* the default personas, made anew."""
    orchestrator = DynamicUsageOrchestrator()
    configure_dynamic_start_agents(risk=Stand)
    assert orchestrator.load_persona_chain() == get_dynamic_start_agents()
    assert orchestrator.load_persona_chain()["risk"].name == "stand-in"
    assert orchestrator.load_persona_chain(force=True)["risk"].name == "risk"


@pytest.mark.parametrize("actor", [7, "research", object()])
def test_what_is_no_persona_is_refused(actor: Any) -> None:
    """At once, and the part stays with whom it was."""
    with pytest.raises(InvalidInput, match="research: neither a persona nor a factory of one"):
        configure_dynamic_start_agents(research=actor)
    assert get_dynamic_start_agents()["research"].name == "research"


def test_a_factory_of_something_else_is_an_error_at_first_use() -> None:
    """The message has what it made; a reset mends it."""
    configure_dynamic_start_agents(risk=dict)
    with pytest.raises(InvalidInput, match=r"risk: the factory made \{\}"):
        get_dynamic_start_agents()
    reset_dynamic_start_agents("risk")
    assert get_dynamic_start_agents()["risk"].name == "risk"


def test_an_unknown_part_cannot_be_reset() -> None:
    """The message lists the parts there are."""
    with pytest.raises(InvalidInput, match="'boss' \\(one of research, execution, risk\\)"):
        reset_dynamic_start_agents("boss")
