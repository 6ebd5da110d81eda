"""
A workspace: the folder with `config.yaml`, `skills/` and `memory/`, and everything wired in it.

The composition root: the only place that knows which engine gets which journal and which setting.
Engines are made on first use; opening a workspace imports none of them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec import to_builtins

from dino_os.config import Config
from dino_os.errors import NotFound
from engines.checks import did_you_mean
from engines.durable import create_file, make_folder

if TYPE_CHECKING:
    from dino_os.admission import Admission
    from dino_os.broker import Broker
    from dino_os.grants import Request
    from dino_os.memory_layer.store import MemoryStore
    from dino_os.message_bus.bus import Bus
    from dino_os.plugins import Plugins
    from dino_os.runner import Runner
    from dino_os.scheduler.jobs import Jobs
    from dino_os.security_gateway.gateway import Gateway
    from dino_os.security_gateway.master_key import AskPassphrase
    from dino_os.security_log import SecurityLog
    from dino_os.tool_sandbox.policy import Limits
    from dino_os.tool_sandbox.sandbox import Sandbox
    from dino_os.tool_sandbox.tools import Tools
    from engines.assign import DynamicAssignEngine
    from engines.audit import CheckpointLog, Witness
    from engines.engine import Engine
    from engines.journal import Journal, SetAside
    from engines.orchestrator import DynamicUsageOrchestrator
    from engines.space import DynamicSpaceEngine
    from engines.state import DynamicStateEngine
    from engines.zone import DynamicZoneRegistry

_HOME = "DINO_HOME"
_shared: dict[Path, Workspace] = {}
_memories: dict[Path, MemoryStore] = {}
# A fork holds the locks of its parent's open files: it opens its own.
os.register_at_fork(after_in_child=_shared.clear)
os.register_at_fork(after_in_child=_memories.clear)


class Workspace:
    """
    The workspace at *root*.

    Args:
        root: Its folder.
        rehearsal: Engines then read the record and change nothing in it.
    """

    def __init__(self, root: Path, *, rehearsal: bool = False) -> None:
        self.root = root.resolve()
        self.rehearsal = rehearsal
        self.opened: list[Journal] = []
        self.stays = False  # a process that runs one skill after another keeps its sandboxes
        self.ask_passphrase: AskPassphrase | None = None  # the vault's, where somebody is there

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """`$DINO_HOME`, else the nearest folder up with a config.yaml, else *start*."""
        if home := os.environ.get(_HOME):
            return cls(Path(home))
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "config.yaml").is_file():
                return cls(folder)
        return cls(here)

    @classmethod
    def shared(cls, root: Path | None = None) -> Workspace:
        """The one object of this process for *root*, or for what `find()` finds."""
        found = cls(root) if root else cls.find()
        return _shared.setdefault(found.root, found)

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    @property
    def skills_folder(self) -> Path:
        return self.root / "skills"

    @cached_property
    def config(self) -> Config:
        return Config(self.root / "config.yaml")

    @cached_property
    def plugins(self) -> Plugins:
        from dino_os.plugins import Plugins  # noqa: PLC0415

        return Plugins(self.skills_folder)

    # --- engines -----------------------------------------------------------------------------

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

    # --- skills ------------------------------------------------------------------------------

    @cached_property
    def runner(self) -> Runner:
        from dino_os.runner import Runner  # noqa: PLC0415

        return Runner(
            self._journal("runs"),
            self.root,
            sandbox=lambda: self.sandbox,
            admission=self.admission,
            broker=self.broker,
            redactor=self.security.redactor,
            limits=self.limits,
        )

    @cached_property
    def sandbox(self) -> Sandbox:
        from dino_os.tool_sandbox.layers import walls  # noqa: PLC0415
        from dino_os.tool_sandbox.sandbox import Sandbox  # noqa: PLC0415

        settings = self.config.settings.sandbox
        found = walls(namespaces=settings.require_namespaces)
        return Sandbox(found, private_hosts=settings.private_hosts, warm=self.stays)

    @cached_property
    def limits(self) -> Limits:
        from dino_os.tool_sandbox.policy import Limits  # noqa: PLC0415

        settings = self.config.settings.sandbox
        names = [name for name in Limits.__slots__ if name in settings.__struct_fields__]
        return Limits(**{name: getattr(settings, name) for name in names})

    @cached_property
    def admission(self) -> Admission:
        from dino_os.admission import Admission  # noqa: PLC0415
        from dino_os.grants import Permissions  # noqa: PLC0415

        granted = self.config.settings.sandbox.grants
        configured = {name: Permissions.of(to_builtins(given)) for name, given in granted.items()}
        return Admission(lambda: self.security_log, configured)

    @property
    def operator(self) -> str:
        """Who gives an answer, and through which door."""
        return _who()

    def broker(self, request: Request, until: float) -> Broker:
        """The other end of the inherited socket of a run that ends by *until*, monotonic."""
        from dino_os.broker import Broker  # noqa: PLC0415

        entity = f"skill:{request.name}"
        keys = [f"key:{name}" for name in request.permissions.keys]
        self.security.lend(entity, [*self.config.settings.sandbox.skill_permissions, *keys])
        tools = self.tools.for_skill(request.name, request.permissions, until)
        return Broker({**self.parts, "tools": lambda: tools}, self.security, entity)

    @cached_property
    def tools(self) -> Tools:
        from dino_os.grants import Permissions  # noqa: PLC0415
        from dino_os.tool_sandbox.tools import Tools  # noqa: PLC0415

        granted = self.config.settings.sandbox.grants

        def of(tool: str) -> Permissions:
            given = granted.get(f"tool:{tool}")
            return Permissions.of(to_builtins(given)) if given else Permissions()

        return Tools(
            self.journal("runs"),
            self.root,
            sandbox=lambda: self.sandbox,
            granted=of,
            limits=self.limits,
            functions=self.plugins.tools,
        )

    # --- security ----------------------------------------------------------------------------

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
        master = MasterKey(lambda: self._key_file("vault"), self.ask_passphrase)
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

    @cached_property
    def checkpoints(self) -> CheckpointLog:
        from engines.audit import CheckpointLog  # noqa: PLC0415

        return CheckpointLog(self.journal("checkpoints"))

    @cached_property
    def witness(self) -> Witness:
        from engines.audit import Witness  # noqa: PLC0415

        return Witness(self.journal("witness"))

    @property
    def signing_key(self) -> Path:
        """Where the key lies that signs checkpoints: outside the workspace unless told."""
        if named := self.config.settings.security.signing_key:
            return self.root / Path(named).expanduser()
        return self._key_file("key")

    def _key_file(self, ending: str) -> Path:
        """A key of this workspace, where nobody finds it who copies the folder."""
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(home) / "dino" / "keys" / f"{self.identity()}.{ending}"

    def origin(self, journal: str | None = None) -> str:
        """What tells this workspace, or one of its journals, from every other there is."""
        own = f"dino.local/{self.identity()}"
        return f"{own}/{journal}" if journal else own

    @property
    def engines(self) -> Mapping[str, Callable[[], Engine]]:
        """Journal → the engine whose state is folded from it."""
        return {
            "zones": lambda: self.zones,
            "sectors": lambda: self.sectors,
            "states": lambda: self.states,
            "assignments": lambda: self.assignments,
            "cycles": self.orchestrator,
            "checkpoints": lambda: self.checkpoints,
            "witness": lambda: self.witness,
            "scheduler": lambda: self.jobs,
            "security_log": lambda: self.security_log,
        }

    # --- parts that skills call --------------------------------------------------------------

    @cached_property
    def memory_store(self) -> MemoryStore:
        from dino_os.memory_layer.store import MemoryStore  # noqa: PLC0415

        return MemoryStore(
            self.memory / "memory.db",
            self._journal("memory_log"),
            read_only=self.rehearsal,
            timeout_s=self.config.settings.system.lock_timeout_s,
        )

    @cached_property
    def bus(self) -> Bus:
        from dino_os.message_bus.bus import Bus  # noqa: PLC0415

        return Bus(self._journal("bus"), read_only=self.rehearsal)

    @cached_property
    def jobs(self) -> Jobs:
        from dino_os.scheduler.jobs import Jobs  # noqa: PLC0415

        return Jobs(journal=self.journal("scheduler"))

    @property
    def parts(self) -> Mapping[str, Callable[[], Any]]:
        """What faces and the broker call, by the broker's names; each says in CALLS what may be."""
        return {
            "memory": lambda: self.memory_store,
            "bus": lambda: self.bus,
            "scheduler": lambda: self.jobs,
            "tools": lambda: self.tools,
        }

    # --- journals ----------------------------------------------------------------------------

    def journal(self, name: str) -> Any:
        """The journal `memory/NAME.jsonl`; in a rehearsal one that reads it and writes nothing."""
        from engines.journal import RehearsalJournal  # noqa: PLC0415

        journal = self._journal(name)
        return RehearsalJournal(journal) if self.rehearsal else journal

    def journals(self) -> list[Path]:
        """Every journal there is, and those whose file is gone but whose head is not."""
        found = {p.with_suffix(".jsonl") for kind in ("jsonl", "head") for p in self._glob(kind)}
        # A sealed segment has a dot in its name, a journal has none.
        return sorted(path for path in found if "." not in path.stem)

    def named_journals(self, names: Sequence[str]) -> list[Path]:
        """
        The journals of those names, or all.

        Raises:
            NotFound: There is none of that name.
        """
        there = {path.stem: path for path in self.journals()}
        for name in names:
            if name not in there:
                raise NotFound(
                    f"no journal named {name!r}{did_you_mean(name, there)}",
                    hint=f"there are {', '.join(there) or 'none'}",
                )
        return [there[name] for name in names or there]

    def _glob(self, ending: str) -> list[Path]:
        return list(self.memory.glob(f"*.{ending}"))

    def _journal(self, name: str) -> Journal:
        from engines.journal import Journal, Rotation  # noqa: PLC0415

        memory = self.config.settings.memory
        journal = Journal(
            self.memory / f"{name}.jsonl",
            origin=lambda: {
                "workspace": self.identity(),
                "name": self.config.settings.system.name,
            },
            by=_who(),
            lock_timeout_s=self.config.settings.system.lock_timeout_s,
            on_recovery=_report_recovery,
            rotation=Rotation(memory.rotate_bytes or None, memory.rotate_s or None),
        )
        self.opened.append(journal)
        return journal

    def identity(self) -> str:
        """What tells this workspace from every other; made when its first journal is."""
        file = self.memory / "workspace-id"
        with contextlib.suppress(FileNotFoundError):
            return file.read_text().strip()
        make_folder(self.memory)
        with contextlib.suppress(FileExistsError):  # the first to name it wins
            create_file(file, f"{uuid4().hex}\n".encode())
        return file.read_text().strip()


def memory_at(path: Path) -> MemoryStore:
    """This process's one object for the memory in *path*, whose journal lies beside it."""
    from dino_os.memory_layer.store import MemoryStore  # noqa: PLC0415
    from engines.journal import Journal  # noqa: PLC0415

    root = path.parent.parent
    if path == root / "memory" / "memory.db":
        return Workspace.shared(root).memory_store
    file = path.with_name(f"{path.name}_log.jsonl")
    journal = Journal(file, by=_who(), on_recovery=_report_recovery)
    return _memories.setdefault(path, MemoryStore(path, journal))


def _who() -> str:
    """Who writes and through which door."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid-{os.getuid()}"
    door = os.environ.get("DINO_DOOR") or (
        "terminal" if sys.stdin and sys.stdin.isatty() else "script"
    )
    return f"{user}@{door}"


def _report_recovery(journal: Path, evidence: SetAside) -> None:
    print(  # noqa: T201  diagnostics of the one layer that may speak
        f"dino: {journal.name}: {evidence.size} bytes that were never acknowledged were moved to "
        f"{evidence.path.name}",
        file=sys.stderr,
    )
