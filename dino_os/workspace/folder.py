"""
The folder itself: where things lie, the settings, and the journals.

Owns paths and identity; knows of no engine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dino_os.config import Config
from dino_os.errors import NotFound
from dino_os.keys_folder import keys_folder
from engines.checks import did_you_mean
from engines.home import identity, workspace_root

if TYPE_CHECKING:
    from dino_os.plugins import Plugins
    from dino_os.security_gateway.master_key import AskPassphrase
    from engines.journal import Journal, SetAside


class Folder:
    """
    The folder at *root*.

    Args:
        root: Where it is.
        rehearsal: Engines then read the record and change nothing in it.
        door: Through which door all is done here; None is that of the process.
    """

    def __init__(self, root: Path, *, rehearsal: bool = False, door: str | None = None) -> None:
        self.root = root.resolve()
        self.rehearsal = rehearsal
        self.door = door
        self.opened: list[Journal] = []
        self.withheld: frozenset[str] = frozenset()  # of the permissions that all skills are lent
        self.near_only = False  # no model outside this network is asked, whoever asks
        self.stays = False  # a process that runs one skill after another keeps its sandboxes
        self.ask_passphrase: AskPassphrase | None = None  # the vault's, where somebody is there

    @classmethod
    def find(cls, start: Path | None = None) -> Self:
        """`$DINO_HOME`, else the nearest folder up with a config.yaml, else *start*."""
        return cls(workspace_root(start))

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

    @property
    def signing_key(self) -> Path:
        """Where the key lies that signs checkpoints: outside the workspace unless told."""
        if named := self.config.settings.security.signing_key:
            return self.root / Path(named).expanduser()
        return self.key_file("key")

    def key_file(self, ending: str) -> Path:
        """A key of this workspace, where nobody finds it who copies the folder."""
        return keys_folder() / f"{self.identity()}.{ending}"

    def origin(self, journal: str | None = None) -> str:
        """What tells this workspace, or one of its journals, from every other there is."""
        own = f"dino.local/{self.identity()}"
        return f"{own}/{journal}" if journal else own

    # --- journals ----------------------------------------------------------------------------

    def journal(self, name: str) -> Any:
        """The journal `memory/NAME.jsonl`; in a rehearsal one that reads it and writes nothing."""
        from engines.journal import RehearsalJournal  # noqa: PLC0415

        journal = self.own_journal(name)
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

    def own_journal(self, name: str) -> Journal:
        from engines.journal import Journal, Rotation  # noqa: PLC0415

        memory = self.config.settings.memory
        journal = Journal(
            self.memory / f"{name}.jsonl",
            origin=lambda: {
                "workspace": self.identity(),
                "name": self.config.settings.system.name,
            },
            by=who(self.door),
            lock_timeout_s=self.config.settings.system.lock_timeout_s,
            on_recovery=report_recovery,
            rotation=Rotation(memory.rotate_bytes or None, memory.rotate_s or None),
        )
        self.opened.append(journal)
        return journal

    def identity(self) -> str:
        """What tells this workspace from every other; made when its first journal is."""
        return identity(self.memory)


def who(door: str | None = None) -> str:
    """Who writes and through which door; None is that of the process."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid-{os.getuid()}"
    door = (
        door
        or os.environ.get("DINO_DOOR")
        or ("terminal" if sys.stdin and sys.stdin.isatty() else "script")
    )
    return f"{user}@{door}"


def report_recovery(journal: Path, evidence: SetAside) -> None:
    print(  # noqa: T201  diagnostics of the one layer that may speak
        f"dino: {journal.name}: {evidence.size} bytes that were never acknowledged were moved to "
        f"{evidence.path.name}",
        file=sys.stderr,
    )
