"""
The engines: a library of its own, usable without the operating system around it.

Names are imported on first use (`from engines import DynamicZoneRegistry`), so that importing the
package costs nothing and an engine that is not used pulls nothing in.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:  # it costs more to import than all of this
    from typing import Any

# Public entry points only: module → what users import from here.
_ENGINE_EXPORTS: dict[str, tuple[str, ...]] = {
    "engines.anomalies": ("Anomaly", "AnomalyDetector"),
    "engines.assign": (
        "AgentProfile",
        "AssignableTask",
        "AssignmentDecision",
        "AssignmentPlan",
        "DynamicAssignEngine",
        "UnassignedTask",
    ),
    "engines.engine": ("Engine",),
    "engines.entity_manager": (
        "Entity",
        "EntityManager",
        "EntityState",
        "EntityType",
        "RestartLimits",
    ),
    "engines.errors": ("DinoError", "InvalidInput", "JournalBroken"),
    "engines.journal": ("Journal",),
    "engines.latent_cache": ("DocumentStore", "LatentCache", "OfflineQueue"),
    "engines.metrics": ("Gauge", "Meter", "MetricsCollector"),
    "engines.nav_mesh": ("GateResult", "NavigationMesh", "RouteType", "ThresholdDomain"),
    "engines.orchestrator": (
        "CycleSummary",
        "DynamicUsageOrchestrator",
        "PersonaSignal",
        "UsageCycleResult",
    ),
    "engines.orders": ("Item", "Money", "Order", "OrderState", "Orders"),
    "engines.personas": (
        "AgentResult",
        "configure_dynamic_start_agents",
        "get_dynamic_start_agents",
        "prime_dynamic_start_agents",
        "reset_dynamic_start_agents",
    ),
    "engines.redaction": ("Policy", "Pseudonyms", "Redactor"),
    "engines.provenance": ("ProvenanceDomain", "Tap"),
    "engines.replication": ("LocalPeer", "RemotePeer", "Replicator", "Sync", "replicate"),
    "engines.resource_engine": (
        "ResourceEngine",
        "ResourcePool",
        "ResourceType",
        "Task",
        "TaskPriority",
        "TaskState",
    ),
    "engines.space": (
        "BodyKind",
        "CelestialBody",
        "DynamicSpaceEngine",
        "OrbitalRoute",
        "SpaceEvent",
        "SpaceEventSeverity",
        "SpaceNetworkOverview",
        "SpaceSector",
        "SpaceSnapshot",
    ),
    "engines.state": ("DynamicStateEngine", "StateDefinition", "StateSignal", "StateSnapshot"),
    "engines.trajectory": ("Fact", "Rule", "TrajectoryOptimizer", "TrajectoryPath"),
    "engines.zone": (
        "DynamicZoneRegistry",
        "Zone",
        "ZoneBoundary",
        "ZoneEvent",
        "ZoneEventType",
        "ZoneNotFoundError",
        "ZoneSnapshot",
    ),
}
_HOME = {name: module for module, names in _ENGINE_EXPORTS.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605  computed from the one table above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'engines' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
