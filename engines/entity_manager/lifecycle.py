"""
The life cycle of an entity: every legal transition stands in the one table, and nowhere else.

The diagram in the documentation and the words of a refusal are made from it.
"""

from __future__ import annotations

from enum import StrEnum


class EntityState(StrEnum):
    """
    Where an entity is in its life.

    hibernating: it does nothing and holds nothing.  awakening: it waits for its resources.
    error_correction: it failed too often and waits for its recovery.  offline_adapting: what it
    talks to cannot be reached.  deactivated: for good.
    """

    HIBERNATING = "hibernating"
    AWAKENING = "awakening"
    ACTIVE = "active"
    ERROR_CORRECTION = "error_correction"
    OFFLINE_ADAPTING = "offline_adapting"
    DEACTIVATED = "deactivated"


class Command(StrEnum):
    """What moves an entity from one state to another."""

    AWAKEN = "awaken"
    ACTIVATE = "activate"  # its resources are there
    ERROR_CORRECTION = "error_correction"
    RECOVER = "recover"
    OFFLINE_ADAPT = "offline_adapt"
    BACK_ONLINE = "back_online"
    HIBERNATE = "hibernate"
    DEACTIVATE = "deactivate"


_S, _C = EntityState, Command
TRANSITIONS: dict[tuple[EntityState, Command], EntityState] = {
    (_S.HIBERNATING, _C.AWAKEN): _S.AWAKENING,
    (_S.AWAKENING, _C.ACTIVATE): _S.ACTIVE,
    (_S.AWAKENING, _C.HIBERNATE): _S.HIBERNATING,
    (_S.ACTIVE, _C.ERROR_CORRECTION): _S.ERROR_CORRECTION,
    (_S.ACTIVE, _C.OFFLINE_ADAPT): _S.OFFLINE_ADAPTING,
    (_S.ACTIVE, _C.HIBERNATE): _S.HIBERNATING,
    (_S.ERROR_CORRECTION, _C.RECOVER): _S.AWAKENING,
    (_S.ERROR_CORRECTION, _C.OFFLINE_ADAPT): _S.OFFLINE_ADAPTING,
    (_S.ERROR_CORRECTION, _C.HIBERNATE): _S.HIBERNATING,
    (_S.OFFLINE_ADAPTING, _C.BACK_ONLINE): _S.ACTIVE,
    (_S.OFFLINE_ADAPTING, _C.ERROR_CORRECTION): _S.ERROR_CORRECTION,
    (_S.OFFLINE_ADAPTING, _C.HIBERNATE): _S.HIBERNATING,
    (_S.HIBERNATING, _C.DEACTIVATE): _S.DEACTIVATED,
    (_S.AWAKENING, _C.DEACTIVATE): _S.DEACTIVATED,
    (_S.ACTIVE, _C.DEACTIVATE): _S.DEACTIVATED,
    (_S.ERROR_CORRECTION, _C.DEACTIVATE): _S.DEACTIVATED,
    (_S.OFFLINE_ADAPTING, _C.DEACTIVATE): _S.DEACTIVATED,
}

# In these an entity holds none of what it needs.
WITHOUT_RESOURCES = frozenset({EntityState.HIBERNATING, EntityState.DEACTIVATED})


def is_legal(state: EntityState, command: Command) -> bool:
    return (state, command) in TRANSITIONS


def why_not(state: EntityState, command: Command) -> str:
    """Why *command* is refused in *state*: in which states it is legal."""
    able = [_words(s) for s, c in TRANSITIONS if c is command]
    which = f"{', '.join(able[:-1])} or {able[-1]}" if len(able) > 1 else able[0]
    return f"it is {_words(state)}; {_words(command)!r} is for one that is {which}"


def state_diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows = [
        f"    {state} --> {after}: {_words(command)}"
        for (state, command), after in TRANSITIONS.items()
    ]
    begin = f"    [*] --> {EntityState.HIBERNATING}: spawn"
    end = f"    {EntityState.DEACTIVATED} --> [*]"
    return "\n".join(["stateDiagram-v2", begin, *arrows, end])


def _words(name: StrEnum) -> str:
    return name.value.replace("_", " ")
