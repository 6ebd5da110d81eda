"""
Who plays research, execution and risk in this process.

Each part is made on first use and kept.  Any of them can be given to another actor: an instance, or
a factory that is called once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from engines.errors import InvalidInput
from engines.personas.chain import ExecutionPersona, ResearchPersona, RiskPersona
from engines.personas.model import Persona

Actor = Persona | Callable[[], Persona]

_DEFAULTS: dict[str, Callable[[], Persona]] = {
    "research": ResearchPersona,
    "execution": ExecutionPersona,
    "risk": RiskPersona,
}
_guard = threading.RLock()
_configured: dict[str, Actor] = {}
_playing: dict[str, Persona] = {}


def get_dynamic_start_agents() -> dict[str, Persona]:
    """The three personas by name: research, execution, risk."""
    with _guard:
        return {name: _playing.get(name) or _enter(name) for name in _DEFAULTS}


def configure_dynamic_start_agents(
    *, research: Actor | None = None, execution: Actor | None = None, risk: Actor | None = None
) -> None:
    """Give parts to other actors, from the next use on; what is None stays as it is."""
    for name, actor in (("research", research), ("execution", execution), ("risk", risk)):
        if actor is None:
            continue
        if not isinstance(actor, Persona) and not callable(actor):
            raise InvalidInput(f"{name}: neither a persona nor a factory of one: {actor!r}")
        with _guard:
            _configured[name] = actor
            _playing.pop(name, None)


def prime_dynamic_start_agents() -> dict[str, Persona]:
    """Make all three now, so that the first use is not slower than the others."""
    return get_dynamic_start_agents()


def reset_dynamic_start_agents(*names: str) -> None:
    """Give the named parts, or all of them, back to the defaults."""
    for name in names or tuple(_DEFAULTS):
        if name not in _DEFAULTS:
            raise InvalidInput(f"no persona named {name!r} (one of {', '.join(_DEFAULTS)})")
        with _guard:
            _configured.pop(name, None)
            _playing.pop(name, None)


def _enter(name: str) -> Persona:
    actor = _configured.get(name, _DEFAULTS[name])
    # A class is a factory, although it has the attributes of its instances.
    persona = actor if isinstance(actor, Persona) and not isinstance(actor, type) else actor()
    if not isinstance(persona, Persona):
        raise InvalidInput(f"{name}: the factory made {persona!r}, which has no name and run()")
    return _playing.setdefault(name, persona)
