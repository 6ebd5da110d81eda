"""The engines of a workspace: which gets which journal and which setting."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dino_os.workspace.folder import Folder
from engines.errors import DinoError, JournalError

if TYPE_CHECKING:
    from dino_os.payments.sandbox import SandboxLedger
    from dino_os.workspace import Workspace
    from engines.agent_log import AgentLog
    from engines.assign import DynamicAssignEngine
    from engines.audit import CheckpointLog, Witness
    from engines.entity_manager import EntityManager
    from engines.latent_cache import DocumentStore, LatentCache, OfflineQueue
    from engines.metrics import MetricsCollector
    from engines.orchestrator import DynamicUsageOrchestrator
    from engines.orders import Orders
    from engines.resource_engine import ResourceEngine
    from engines.space import DynamicSpaceEngine
    from engines.state import DynamicStateEngine
    from engines.trajectory import TrajectoryOptimizer
    from engines.zone import DynamicZoneRegistry


class Engines(Folder):
    """A workspace's engines, each made on first use."""

    @cached_property
    def zones(self) -> DynamicZoneRegistry:
        from engines.zone import DynamicZoneRegistry  # noqa: PLC0415

        history = self.config.settings.planning.zone_history
        return DynamicZoneRegistry(history=history, journal=self.journal("zones"))

    @cached_property
    def sectors(self) -> DynamicSpaceEngine:
        from engines.space import DynamicSpaceEngine  # noqa: PLC0415

        planning = self.config.settings.planning
        return DynamicSpaceEngine(
            max_events=planning.sector_history,
            intervention_threshold=planning.intervention_threshold,
            journal=self.journal("sectors"),
        )

    @cached_property
    def states(self) -> DynamicStateEngine:
        from engines.state import DynamicStateEngine  # noqa: PLC0415

        planning = self.config.settings.planning
        return DynamicStateEngine(
            history=planning.state_history,
            decay=planning.state_decay,
            journal=self.journal("states"),
        )

    @cached_property
    def assignments(self) -> DynamicAssignEngine:
        from engines.assign import DynamicAssignEngine  # noqa: PLC0415

        return DynamicAssignEngine(journal=self.journal("assignments"))

    @cached_property
    def trajectories(self) -> TrajectoryOptimizer:
        from engines.trajectory import TrajectoryOptimizer  # noqa: PLC0415

        return TrajectoryOptimizer(journal=self.journal("trajectory_log"))

    @cached_property
    def entities(self) -> EntityManager:
        from dino_os.entities.pools import LatePools  # noqa: PLC0415
        from engines.entity_manager import EntityManager, RestartLimits  # noqa: PLC0415

        settings = self.config.settings.entities
        limits = {name: getattr(settings, name) for name in RestartLimits.__slots__}
        return EntityManager(
            journal=self.journal("entities"),
            resource_engine=LatePools(lambda: self.resources),
            limits=RestartLimits(**limits),
        )

    @cached_property
    def orders(self) -> Orders:
        from engines.orders import Orders  # noqa: PLC0415

        return Orders(self.journal("orders"))

    @cached_property
    def sandbox_payments(self) -> SandboxLedger:
        from dino_os.payments.sandbox import SandboxLedger  # noqa: PLC0415

        return SandboxLedger(self.journal("sandbox_payments"))

    @cached_property
    def agent_log(self) -> AgentLog:
        """What models were asked, had called, and spent."""
        from engines.agent_log import AgentLog  # noqa: PLC0415

        known = cast("Workspace", self).known_secrets  # of which this is a part
        return AgentLog(self.journal("agent_log"), clean=known.blotted_out)

    def orchestrator(
        self, *, alert_threshold: float | None = None, critical_threshold: float | None = None
    ) -> DynamicUsageOrchestrator:
        """The orchestrator over this workspace's zones and sectors."""
        from engines.orchestrator import DynamicUsageOrchestrator  # noqa: PLC0415

        planning = self.config.settings.planning
        alert = planning.alert_threshold if alert_threshold is None else alert_threshold
        critical = planning.critical_threshold if critical_threshold is None else critical_threshold
        return DynamicUsageOrchestrator(
            zone_registry=self.zones,
            space_engine=self.sectors,
            alert_threshold=alert,
            critical_threshold=critical,
            journal=self.journal("cycles"),
        )

    @cached_property
    def resources(self) -> ResourceEngine:
        from engines.resource_engine import (  # noqa: PLC0415
            PoolLimits,
            ResourceEngine,
            ResourceType,
            ScalingRule,
        )

        settings = self.config.settings.resources
        scaling = settings.scaling
        return ResourceEngine(
            journal=self.journal("engine_state"),
            limits={
                kind: PoolLimits(pool.capacity, pool.least, pool.most)
                for kind in ResourceType
                if (pool := getattr(settings, kind.value))
            },
            ageing_s=settings.ageing_s,
            result_bytes=settings.result_bytes,
            scaling=ScalingRule(
                scaling.target, scaling.tolerance, scaling.stabilisation_s, scaling.every_s
            ),
        )

    def metrics(self, window_s: float | None = None) -> MetricsCollector:
        """What the journals and the engines have to show, of the last *window_s* seconds or all."""
        from engines.metrics import MetricsCollector  # noqa: PLC0415

        kept = None if self.rehearsal else self.memory / "metrics"
        found = MetricsCollector(self.memory, kept=kept, window_s=window_s)
        # One that does not stand is named when the collector reads it itself.
        with contextlib.suppress(JournalError):
            if (self.memory / "engine_state.jsonl").exists():
                found.integrate(resource_engine=self.resources)
        if self.documents_file.exists():
            found.integrate(latent_cache=self.cache)
        return found

    # --- the latent cache --------------------------------------------------------------------

    @property
    def documents_file(self) -> Path:
        return self.memory / "cache" / "documents.db"

    @cached_property
    def documents(self) -> DocumentStore:
        from engines.latent_cache import DocumentStore  # noqa: PLC0415

        settings = self.config.settings
        return DocumentStore(
            self.documents_file,
            self.own_journal("cache_log"),
            revs_limit=settings.cache.revs_limit,
            expire=settings.cache.expire,
            read_only=self.rehearsal,
            timeout_s=settings.system.lock_timeout_s,
        )

    @cached_property
    def requests(self) -> OfflineQueue:
        """The requests that wait for the network."""
        from engines.latent_cache import OfflineQueue  # noqa: PLC0415

        settings = self.config.settings.cache
        return OfflineQueue(
            self.documents,
            attempts=settings.attempts,
            keep_s=settings.keep_s,
            most_bytes=settings.queue_bytes,
        )

    @cached_property
    def cache(self) -> LatentCache:
        from dino_os.offline.syncing import Syncing  # noqa: PLC0415
        from engines.latent_cache import LatentCache  # noqa: PLC0415

        ttl_s = self.config.settings.cache.ttl_s or None
        syncing = Syncing(cast("Workspace", self))  # of which this is a part
        remote = syncing.bring if syncing.is_configured else None
        return LatentCache(store=self.documents, requests=self.requests, remote=remote, ttl_s=ttl_s)

    def journals(self) -> list[Path]:
        # Whoever asks for them reads them: nothing of the cache's may still be on its way there.
        if self.documents_file.exists():
            with contextlib.suppress(DinoError):  # what does not stand, its own check will tell
                self.documents.settle()
        return super().journals()

    def settle(self) -> None:
        """Have the journals say all that was done through this object."""
        if "documents" in vars(self):
            with contextlib.suppress(DinoError):
                self.documents.settle()

    @cached_property
    def checkpoints(self) -> CheckpointLog:
        from engines.audit import CheckpointLog  # noqa: PLC0415

        return CheckpointLog(self.journal("checkpoints"))

    @cached_property
    def witness(self) -> Witness:
        from engines.audit import Witness  # noqa: PLC0415

        return Witness(self.journal("witness"))
