"""The parts of a workspace that skills call, and what guards them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.known_secrets import KnownSecrets
from dino_os.workspace.engines import Engines
from dino_os.workspace.folder import who
from engines.errors import DinoError, JournalError, NotFound

if TYPE_CHECKING:
    from dino_os.agent_core.queue import LlmQueue
    from dino_os.cluster import Cluster
    from dino_os.cluster.carrying import Carrying
    from dino_os.cluster.neighbours import Neighbours
    from dino_os.cluster.occurrences import SharedOccurrences
    from dino_os.memory_layer.embedding import Embedder
    from dino_os.memory_layer.encrypted import FindKey
    from dino_os.memory_layer.store import MemoryStore
    from dino_os.message_bus.bus import Bus
    from dino_os.message_bus.claims import Claims
    from dino_os.message_bus.deliveries import Deliveries
    from dino_os.message_bus.stored import Stored
    from dino_os.message_bus.terms import Terms
    from dino_os.offline.log import OfflineLog
    from dino_os.outbox import Outbox
    from dino_os.planning.runs import CycleRuns
    from dino_os.provenance.taps import ProgramTap
    from dino_os.run_once import RunLedger
    from dino_os.scheduler.jobs import Jobs
    from dino_os.security_gateway.gateway import Gateway
    from dino_os.security_log import SecurityLog
    from engines.engine import Engine
    from engines.metrics import MetricsCollector, MetricsLog
    from engines.nav_mesh import Keys, NavigationMesh
    from engines.provenance import ProvenanceDomain


class Parts(Engines):
    """Memory, messages, jobs and the security gateway, each made on first use."""

    @cached_property
    def memory_store(self) -> MemoryStore:
        from dino_os.memory_layer.store import MemoryStore  # noqa: PLC0415

        return MemoryStore(
            self.memory / "memory.db",
            self.own_journal("memory_log"),
            read_only=self.rehearsal,
            timeout_s=self.config.settings.system.lock_timeout_s,
            versions=self.config.settings.memory.versions,
            embedder=self.embedder,
            approximate=self.config.settings.memory.approximate,
            clean=self.to_remember,
            key=self.memory_key,
        )

    @property
    def memory_key(self) -> FindKey | None:
        """What finds the key of the workspace's memories; None where they are not encrypted."""
        if not self.config.settings.memory.encrypted:
            return None
        from dino_os.memory_layer.encrypted import VaultKey  # noqa: PLC0415

        return VaultKey(lambda: self.security)

    @cached_property
    def to_remember(self) -> Callable[[Any], Any] | None:
        """What may be remembered of a JSON value; None where that is all of it."""
        if not self.config.settings.memory.redact:
            return None
        return KnownSecrets(self.memory / "vault" / "vault.json", lambda: self.security).blotted_out

    def embedder(self, name: str | None = None) -> Embedder | None:
        """The embedding model of that name, or that of the settings; None where there is none."""
        from msgspec.structs import replace  # noqa: PLC0415

        from dino_os.memory_layer.embedding import embedder  # noqa: PLC0415

        settings = self.config.settings
        wanted = settings.memory if name is None else replace(settings.memory, embedder=name)
        hosts = settings.nav.private_hosts
        plugins = self.plugins.embedders
        return embedder(wanted, key=self.key, plugins=plugins, private_hosts=hosts)

    def journals(self) -> list[Path]:
        # As the cache's: whoever asks for them reads them.
        if (self.memory / "memory.db").exists():
            with contextlib.suppress(DinoError):  # what does not stand, its own check will tell
                self.memory_store.settle()
        return super().journals()

    def settle(self) -> None:
        super().settle()
        if "memory_store" in vars(self):
            with contextlib.suppress(DinoError):
                self.memory_store.settle()
        if "tap" in vars(self):
            with contextlib.suppress(DinoError):
                self.tap.flush()

    @cached_property
    def bus(self) -> Bus:
        from dino_os.message_bus.bus import Bus  # noqa: PLC0415
        from dino_os.message_bus.limits import limits_of  # noqa: PLC0415
        from dino_os.units import seconds  # noqa: PLC0415

        settings = self.config.settings.bus
        bus = Bus(
            self.own_journal("bus"),
            deliveries=lambda: self.deliveries,
            duplicate_window_s=seconds(settings.duplicate_window, "bus.duplicate_window"),
            limits=limits_of(settings.channels, self.config.error_at),
            max_backlog=settings.max_backlog,
            read_only=self.rehearsal,
            carry=self.carry,
            clean=self.known_secrets.blotted_out,
        )
        if self.config.settings.cluster.url:
            bus.arbiter = self._arbiter
            bus.groups_are_elsewhere = self.cluster is not None and self.cluster.shares_all
        return bus

    def _arbiter(
        self, terms: Terms, after: Callable[[], int], is_for_us: Callable[[Stored], bool]
    ) -> Claims | None:
        """A group is the whole cluster's, as far as its messages are; all else is this node's."""
        cluster = self.cluster
        if cluster is None or terms.group is None:
            return None
        from dino_os.cluster.groups import ClusterClaims  # noqa: PLC0415
        from dino_os.message_bus.claims import LocalClaims  # noqa: PLC0415

        def is_ours_alone(said: Stored) -> bool:
            alone = said.node is None and not cluster.shares_channel(said.channel)
            return alone and is_for_us(said)

        # Where all is shared, only dead letters that are delivered again are left to it.
        rest = LocalClaims(
            self.deliveries,
            self.bus.messages,
            terms,
            after,
            is_ours_alone,
            upto=-1 if cluster.shares_all else math.inf,
        )
        return ClusterClaims(
            cluster,
            self.own_journal("bus"),
            self.own_journal("bus_deliveries"),
            terms,
            after=after,
            is_for_us=is_for_us,
            rest=rest,
            clean=self.deliveries.clean,
        )

    def carry(self) -> None:
        """Have messages carried between this node and the others, where there are others."""
        if self.carrying:
            self.carrying.start()

    @cached_property
    def deliveries(self) -> Deliveries:
        from dino_os.message_bus.deliveries import Deliveries  # noqa: PLC0415

        return Deliveries(self.journal("bus_deliveries"), clean=self.known_secrets.blotted_out)

    @cached_property
    def known_secrets(self) -> KnownSecrets:
        return KnownSecrets(self.memory / "vault" / "vault.json", lambda: self.security)

    @cached_property
    def cluster(self) -> Cluster | None:
        """This node among others; None where the settings name no servers."""
        settings = self.config.settings.cluster
        if not settings.url:
            return None
        from dino_os.cluster import Cluster  # noqa: PLC0415

        return Cluster(settings, self.key, root=self.root, identity=self.identity)

    @cached_property
    def carrying(self) -> Carrying | None:
        """What carries messages between this node and the others, once it is started."""
        if self.cluster is None or self.rehearsal:
            return None
        from dino_os.cluster.carrying import Carrying  # noqa: PLC0415

        return Carrying(self.cluster, lambda: self.own_journal("bus"), who(self.door))

    @cached_property
    def jobs(self) -> Jobs:
        from dino_os.scheduler.jobs import Jobs  # noqa: PLC0415

        return Jobs(
            journal=self.journal("scheduler"),
            max_jobs=self.config.settings.scheduler.max_jobs,
            is_running=self._is_running,
            shares=bool(self.config.settings.cluster.url),
        )

    @cached_property
    def occurrences(self) -> SharedOccurrences | None:
        """Who runs which due time, among the nodes of the cluster; None where there is none."""
        if self.cluster is None:
            return None
        from dino_os.cluster.occurrences import SharedOccurrences  # noqa: PLC0415

        return SharedOccurrences(self.cluster)

    @cached_property
    def neighbours(self) -> Neighbours:
        from dino_os.cluster.neighbours import Neighbours  # noqa: PLC0415

        return Neighbours(self.journal("neighbours"))

    def _is_running(self, task_id: str) -> bool:
        task = self.resources.task(task_id)
        return task is not None and task.state == "running"

    @cached_property
    def outbox(self) -> Outbox:
        import random  # noqa: PLC0415  where something is delivered

        from dino_os.outbox import Limits, Outbox  # noqa: PLC0415

        settings = self.config.settings.planning.outbox
        limits = Limits(attempts=settings.attempts, keep_s=settings.keep_s)
        rng = random.Random()  # noqa: S311  it spreads load, and hides nothing
        return Outbox(self.journal("outbox"), limits=limits, rng=rng)

    @cached_property
    def llm_queue(self) -> LlmQueue:
        """The questions that wait until a model can be asked."""
        from dino_os.agent_core.queue import LlmQueue  # noqa: PLC0415

        return LlmQueue(self.journal("llm_queue"), clean=self.known_secrets.blotted_out)

    @cached_property
    def cycle_runs(self) -> CycleRuns:
        from dino_os.planning.runs import CycleRuns  # noqa: PLC0415

        return CycleRuns(self.journal("cycle_runs"))

    @cached_property
    def security_log(self) -> SecurityLog:
        from dino_os.security_log import SecurityLog  # noqa: PLC0415

        return SecurityLog(self.journal("security_log"))

    @cached_property
    def security(self) -> Gateway:
        from dino_os.security_gateway.gateway import Gateway  # noqa: PLC0415
        from dino_os.security_gateway.limits import RateLimiter  # noqa: PLC0415
        from dino_os.security_gateway.master_key import MasterKey  # noqa: PLC0415
        from dino_os.security_gateway.vault import Vault  # noqa: PLC0415

        settings = self.config.settings.security
        master = MasterKey(lambda: self.key_file("vault"), self.ask_passphrase)
        return Gateway(
            self.security_log,
            Vault(self.memory / "vault" / "vault.json", self.security_log, master),
            RateLimiter(
                self.memory / "rate_limits",
                per_minute=settings.rate_limit.requests_per_minute,
                burst=settings.rate_limit.burst,
            ),
            require_keys=settings.require_keys,
            record_access=settings.audit_log,
        )

    def key(self, name: str) -> str:
        """
        The value of the key *name* in the vault.

        Raises:
            NotFound: There is none.
            DinoError: It is not handed out.
        """
        if value := self.security.get_key(name):
            return value
        raise NotFound(
            f"no key {name!r} in the vault", hint=f"`dino keys set {name}` puts it there"
        )

    @cached_property
    def gate_keys(self) -> Keys:
        from dino_os.nav import VaultKeys  # noqa: PLC0415

        return VaultKeys(lambda: self.security, lambda: self.key_file("gate"))

    @cached_property
    def nav(self) -> NavigationMesh:
        from dino_os.nav import rules_of  # noqa: PLC0415
        from dino_os.nav.sealing import HeaderSeals, SealingQueue  # noqa: PLC0415
        from dino_os.nav.ways import ways_of  # noqa: PLC0415
        from engines.nav_mesh import NavigationMesh  # noqa: PLC0415

        settings, seals = self.config.settings.nav, HeaderSeals(lambda: self.security)
        return NavigationMesh(
            journal=self.journal("gate_log"),
            keys=self.gate_keys,
            issuer=self.origin,
            rules=rules_of(settings),
            ways=ways_of(settings, self.root, lambda: SealingQueue(self.requests, seals)),
        )

    def metrics(self, window_s: float | None = None) -> MetricsCollector:
        found = super().metrics(window_s)
        # As for the queue: one that does not stand is named when the collector reads it.
        with contextlib.suppress(JournalError):
            if (self.memory / "gate_log.jsonl").exists():
                found.integrate(nav_mesh=self.nav)
        return found

    @cached_property
    def run_ledger(self) -> RunLedger:
        from dino_os.run_once import RunLedger  # noqa: PLC0415

        return RunLedger(self.journal("runs"))

    @cached_property
    def provenance(self) -> ProvenanceDomain:
        from dino_os.provenance.odd import anomaly_rules  # noqa: PLC0415
        from dino_os.provenance.redacting import WorkspaceRedactor  # noqa: PLC0415
        from engines.provenance import ProvenanceDomain  # noqa: PLC0415

        return ProvenanceDomain(
            journal=self.journal("provenance_log"),
            redactor=WorkspaceRedactor(self),
            rules=anomaly_rules(self.config),
        )

    @cached_property
    def tap(self) -> ProgramTap:
        """What a program taps, on its way into the record."""
        from dino_os.provenance.taps import ProgramTap  # noqa: PLC0415

        return ProgramTap(self.provenance)

    @cached_property
    def offline_log(self) -> OfflineLog:
        from dino_os.offline.log import OfflineLog  # noqa: PLC0415

        return OfflineLog(self.journal("offline_log"))

    @cached_property
    def metrics_log(self) -> MetricsLog:
        from engines.metrics import MetricsLog  # noqa: PLC0415

        return MetricsLog(self.journal("metrics_log"))

    @property
    def engines(self) -> Mapping[str, Callable[[], Engine]]:
        """Journal → the engine whose state is folded from it."""
        return {
            "zones": lambda: self.zones,
            "sectors": lambda: self.sectors,
            "states": lambda: self.states,
            "assignments": lambda: self.assignments,
            "trajectory_log": lambda: self.trajectories,
            "entities": lambda: self.entities,
            "cycles": self.orchestrator,
            "orders": lambda: self.orders,
            "sandbox_payments": lambda: self.sandbox_payments,
            "cycle_runs": lambda: self.cycle_runs,
            "outbox": lambda: self.outbox,
            "engine_state": lambda: self.resources,
            "checkpoints": lambda: self.checkpoints,
            "witness": lambda: self.witness,
            "neighbours": lambda: self.neighbours,
            "scheduler": lambda: self.jobs,
            "runs": lambda: self.run_ledger,
            "security_log": lambda: self.security_log,
            "offline_log": lambda: self.offline_log,
            "gate_log": lambda: self.nav,
            "bus_deliveries": lambda: self.deliveries,
            "metrics_log": lambda: self.metrics_log,
            "provenance_log": lambda: self.provenance,
            "agent_log": lambda: self.agent_log,
            "llm_queue": lambda: self.llm_queue,
        }
