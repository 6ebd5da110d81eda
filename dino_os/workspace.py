"""
A workspace: the folder with `config.yaml`, `skills/` and `memory/`, and everything wired in it.

The composition root: the only place that knows which engine gets which journal and which setting.
Engines are made on first use; opening a workspace imports none of them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dino_os.config import Config

if TYPE_CHECKING:
    from dino_os.plugins import Plugins
    from dino_os.runner import Runner
    from engines.assign import DynamicAssignEngine
    from engines.journal import Journal, SetAside
    from engines.orchestrator import DynamicUsageOrchestrator
    from engines.space import DynamicSpaceEngine
    from engines.state import DynamicStateEngine
    from engines.zone import DynamicZoneRegistry

_HOME = "DINO_HOME"


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

    @cached_property
    def runner(self) -> Runner:
        from dino_os.runner import Limits, Runner  # noqa: PLC0415

        sandbox = self.config.settings.sandbox
        limits = Limits(sandbox.timeout_s, sandbox.output_bytes)
        return Runner(self._journal("runs"), self.root, limits)

    # --- journals ----------------------------------------------------------------------------

    def journal(self, name: str) -> Any:
        """The journal `memory/NAME.jsonl`; in a rehearsal one that reads it and writes nothing."""
        from engines.journal import RehearsalJournal  # noqa: PLC0415

        journal = self._journal(name)
        return RehearsalJournal(journal) if self.rehearsal else journal

    def journals(self) -> list[Path]:
        """Every journal there is, and those whose file is gone but whose head is not."""
        found = {p.with_suffix(".jsonl") for kind in ("jsonl", "head") for p in self._glob(kind)}
        return sorted(found)

    def _glob(self, ending: str) -> list[Path]:
        return list(self.memory.glob(f"*.{ending}"))

    def _journal(self, name: str) -> Journal:
        from engines.journal import Journal  # noqa: PLC0415

        return Journal(
            self.memory / f"{name}.jsonl",
            origin=lambda: {
                "workspace": self._identity(),
                "name": self.config.settings.system.name,
            },
            by=_who(),
            lock_timeout_s=self.config.settings.system.lock_timeout_s,
            on_recovery=_report_recovery,
        )

    def _identity(self) -> str:
        """What tells this workspace from every other; made when its first journal is."""
        file = self.memory / "workspace-id"
        with contextlib.suppress(FileNotFoundError):
            return file.read_text().strip()
        self.memory.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            draft.write_text(f"{uuid4().hex}\n")
            with contextlib.suppress(FileExistsError):  # the first to name it wins
                file.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        return file.read_text().strip()


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
