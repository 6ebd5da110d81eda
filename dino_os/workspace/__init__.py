"""
A workspace: the folder with `config.yaml`, `skills/` and `memory/`, and everything wired in it.

The composition root: the only place that knows which engine gets which journal and which setting.
Everything is made on first use; opening a workspace imports none of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from dino_os.workspace.folder import report_recovery, who
from dino_os.workspace.parts import Parts

if TYPE_CHECKING:
    from dino_os.admission import Admission
    from dino_os.agent_core.core import Core
    from dino_os.broker import Broker
    from dino_os.grants import Permissions, Request
    from dino_os.memory_layer.embedding import Embedder
    from dino_os.memory_layer.skill_memory import SkillMemory
    from dino_os.memory_layer.store import MemoryStore
    from dino_os.message_bus.skill_bus import SkillBus
    from dino_os.provenance.taps import SkillTap
    from dino_os.runner import Runner
    from dino_os.tool_sandbox.egress.carrying import Carrier
    from dino_os.tool_sandbox.egress.hosts import Rule
    from dino_os.tool_sandbox.policy import Limits
    from dino_os.tool_sandbox.sandbox import Sandbox
    from dino_os.tool_sandbox.tools import Tools

__all__ = ["Workspace", "memory_at"]

_shared: dict[Path, Workspace] = {}
_memories: dict[Path, MemoryStore] = {}
# A fork holds the locks of its parent's open files: it opens its own.
os.register_at_fork(after_in_child=_shared.clear)
os.register_at_fork(after_in_child=_memories.clear)


class Workspace(Parts):
    """A workspace, and how skills run in it."""

    @classmethod
    def shared(cls, root: Path | None = None) -> Workspace:
        """The one object of this process for *root*, or for what `find()` finds."""
        if root in _shared:
            return _shared[root]
        found = cls(root) if root else cls.find()
        return _shared.setdefault(found.root, found)

    @cached_property
    def runner(self) -> Runner:
        from dino_os.runner import Runner  # noqa: PLC0415

        return Runner(
            self.own_journal("runs"),
            self.root,
            sandbox=lambda: self.sandbox,
            admission=self.admission,
            broker=self.broker,
            limits=self.limits,
            carrier=self.carrier,
        )

    @cached_property
    def _hosts_behind(self) -> list[tuple[Rule, str]]:
        settings = self.config.settings.nav.domains
        domains = [getattr(settings, name) for name in settings.__struct_fields__]
        if not any(domain.primary or domain.hosts for domain in domains):
            return []  # as where nobody has a gate, which then costs nothing
        from dino_os.nav.ways import hosts_behind  # noqa: PLC0415

        return hosts_behind(self.nav.ways.domains)

    def carrier(self, skill: str) -> Carrier | None:
        """Who carries that skill's requests to hosts behind a gate; None where there are none."""
        if not self._hosts_behind:
            return None
        from dino_os.nav.carrying import SkillCarrier  # noqa: PLC0415

        return SkillCarrier(self.nav, self._hosts_behind, skill)

    @cached_property
    def sandbox(self) -> Sandbox:
        from dino_os.tool_sandbox.sandbox import Sandbox  # noqa: PLC0415

        settings = self.config.settings.sandbox
        return Sandbox(
            require_namespaces=settings.require_namespaces,
            private_hosts=settings.private_hosts,
            warm=self.stays,
        )

    @cached_property
    def limits(self) -> Limits:
        from dino_os.tool_sandbox.policy import Limits  # noqa: PLC0415

        settings = self.config.settings.sandbox
        names = [name for name in Limits.__slots__ if name in settings.__struct_fields__]
        return Limits(**{name: getattr(settings, name) for name in names})

    @cached_property
    def admission(self) -> Admission:
        from dino_os.admission import Admission  # noqa: PLC0415

        return Admission(lambda: self.security_log, self.granted)

    @cached_property
    def granted(self) -> Mapping[str, Permissions]:
        """Skill, or `tool:NAME` → what the settings grant it."""
        from dino_os.grants import Permissions  # noqa: PLC0415

        given = self.config.settings.sandbox.grants
        return {name: Permissions.of(to_builtins(what)) for name, what in given.items()}

    @property
    def operator(self) -> str:
        """Who gives an answer, and through which door."""
        return who(self.door)

    def broker(self, request: Request, until: float = math.inf) -> Broker:
        """The other end of the inherited socket of a run that ends by *until*, monotonic."""
        from dino_os.broker import Broker  # noqa: PLC0415
        from dino_os.message_bus import nesting  # noqa: PLC0415

        depth = nesting.depth()  # of this thread; the run's calls are answered in another

        def bus() -> SkillBus:
            from dino_os.message_bus.skill_bus import SkillBus  # noqa: PLC0415

            return SkillBus(self.bus, until, depth)

        def tap() -> SkillTap:
            from dino_os.provenance.taps import SkillTap  # noqa: PLC0415  by those who tap

            return SkillTap(self.provenance, request.name)

        def memory() -> SkillMemory:
            from dino_os.memory_layer.skill_memory import SkillMemory  # noqa: PLC0415

            return SkillMemory(self.memory_store)

        entity = f"skill:{request.name}"
        keys = [f"key:{name}" for name in request.permissions.keys]
        usual = self.config.settings.sandbox.skill_permissions
        self.security.lend(entity, [*(one for one in usual if one not in self.withheld), *keys])
        tools = self.tools.for_skill(request.name, request.permissions, until)
        parts = {
            **self.parts,
            "tools": lambda: tools,
            "bus": bus,
            "scheduler": lambda: self.jobs.for_skill(request.name, entity),
            "memory": memory,
            "tap": tap,
            "agent_core": lambda: self.agent_core(entity, until),
        }
        # Whoever may get a key may print it, publish it, or name a host after it.
        redactor = self.security.redactor if self.security.gives_keys(entity) else None
        return Broker(parts, self.security, entity, redactor=redactor)

    @cached_property
    def tools(self) -> Tools:
        from dino_os.grants import Permissions  # noqa: PLC0415
        from dino_os.tool_sandbox.tools import Tools  # noqa: PLC0415

        return Tools(
            self.journal("runs"),
            self.root,
            sandbox=lambda: self.sandbox,
            granted=lambda tool: self.granted.get(f"tool:{tool}", Permissions()),
            limits=self.limits,
            functions=self.plugins.tools,
        )

    @property
    def parts(self) -> Mapping[str, Callable[[], Any]]:
        """What faces and the broker call, by the broker's names; each says in CALLS what may be."""
        return {
            "memory": lambda: self.memory_store,
            "bus": lambda: self.bus,
            "scheduler": lambda: self.jobs,
            "tools": lambda: self.tools,
            "tap": lambda: self.tap,
            "agent_core": self.agent_core,
        }

    def agent_core(self, entity: str | None = None, until: float = math.inf) -> Core:
        """The language models, as a program asks them, or the skill *entity* in its run."""
        from dino_os.agent_core.core import Core  # noqa: PLC0415

        return Core(self, entity, until)


def memory_at(path: Path, *, embedder: str | None = None) -> MemoryStore:
    """
    This process's one object for the memory in *path*, whose journal lies beside it.

    Args:
        embedder: The model it is searched by; None is the configured one.
    """
    from dino_os.memory_layer.store import MemoryStore  # noqa: PLC0415
    from engines.journal import Journal  # noqa: PLC0415

    root = path.parent.parent
    if path == root / "memory" / "memory.db":
        return Workspace.shared(root).memory_store
    # Beside the workspace's own a journal has no dot in its name, and is verified with them.
    name = path.name.replace(".", "-") if path.parent.name == "memory" else path.name
    file = path.with_name(f"{name}_log.jsonl")
    journal = Journal(file, by=who(), on_recovery=report_recovery)

    def embedder_named(name: str | None) -> Embedder | None:
        return Workspace.shared().embedder(name or embedder)

    if path not in _memories:
        # What lies in a workspace is kept as it says; a file elsewhere is its owner's own.
        home = Workspace.shared(root) if (root / "config.yaml").is_file() else None
        _memories[path] = MemoryStore(
            path,
            journal,
            embedder=embedder_named,
            clean=home.to_remember if home else None,
            key=home.memory_key if home and path.parent == home.memory else None,
        )
    return _memories[path]
