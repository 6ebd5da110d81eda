"""Entities: supervised long-lived workers, their life cycle, and how failures are dealt with."""

from engines.entity_manager.entity import Entity
from engines.entity_manager.lifecycle import (
    TRANSITIONS,
    Command,
    EntityState,
    is_legal,
    state_diagram,
    why_not,
)
from engines.entity_manager.manager import EntityManager
from engines.entity_manager.model import (
    HEALTHY,
    HEARTBEAT_LIMIT_S,
    Alert,
    EntityType,
    Pools,
    RestartLimits,
    Run,
    Work,
)

__all__ = [
    "HEALTHY",
    "HEARTBEAT_LIMIT_S",
    "TRANSITIONS",
    "Alert",
    "Command",
    "Entity",
    "EntityManager",
    "EntityState",
    "EntityType",
    "Pools",
    "RestartLimits",
    "Run",
    "Work",
    "is_legal",
    "state_diagram",
    "why_not",
]
