"""
Plugins: the built-in one, which finds the workspace's skills, and those of installed packages.

Each is loaded and asked on its own; whoever fails is quarantined with its error and harms nobody
else.  `DINO_NO_PLUGINS=1` leaves installed packages out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from dino_os.errors import SkillConflict, UnknownSkill
from dino_os.hookspecs import DinoSpec, SignalReader, hookimpl
from dino_os.installed import installed_plugins
from dino_os.skill_index import Skill, UnreadableSkill, read_skills
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.memory_layer.embedding import Maker
    from dino_os.payments import PaymentProvider
    from engines.redaction import Detector


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A plugin or a skill file that cannot be used, and why."""

    name: str
    error: str

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "error": self.error}


class WorkspaceSkills:
    """The built-in plugin: the files in a workspace's `skills/` folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @hookimpl
    def dino_skill_paths(self) -> Iterable[Path]:
        return [self._folder] if self._folder.is_dir() else []


class Plugins:
    """All plugins of a workspace, each isolated from the others."""

    def __init__(self, skills_folder: Path) -> None:
        self.quarantined: list[Quarantined] = []
        self._manager = pluggy.PluginManager("dino")
        self._manager.add_hookspecs(DinoSpec)
        self._manager.register(WorkspaceSkills(skills_folder), name="workspace")
        self._load_installed()

    def skills(self) -> SkillTable:
        """Every skill there is, from every plugin."""
        table = SkillTable()
        for plugin, paths in self._ask("dino_skill_paths", lambda found: [Path(p) for p in found]):
            for path in paths:
                for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
                    table.add_file(file, plugin)
        table.quarantined[:0] = self.quarantined  # those included that failed when they were asked
        return table

    def commands(self) -> Mapping[str, Any]:
        """Name → command, of every plugin; where two bring one name the first keeps it."""
        return self._gather("dino_commands", lambda found: {c.name: c for c in found})

    def tools(self) -> Mapping[str, Callable[..., Any]]:
        """Name → function, of every plugin."""
        return self._gather("dino_tools", dict)

    def payment_providers(self) -> Mapping[str, PaymentProvider]:
        """Name → payment provider, of every plugin."""
        return self._gather("dino_payment_providers", dict)

    def embedders(self) -> Mapping[str, Maker]:
        """Name → maker of an embedder, of every plugin."""
        return self._gather("dino_embedders", dict)

    def detectors(self) -> Mapping[str, Detector]:
        """Name → detector for redaction, of every plugin."""
        return self._gather("dino_detectors", dict)

    def set_aside(self, name: str, error: Exception) -> None:
        """Quarantine what a plugin brought, as it failed at work."""
        self._set_aside(name, error)

    def signal_sources(self) -> Mapping[str, SignalReader]:
        """File ending → reader, of every plugin."""
        return self._gather("dino_signal_sources", dict)

    def _load_installed(self) -> None:
        for entry in installed_plugins():
            try:
                self._manager.register(entry.load(), name=entry.name)
            except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
                self._set_aside(entry.name, error)

    def _ask(self, hook: str, check: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
        """Each plugin's answer to *hook*; one that fails, or answers nonsense, is set aside."""
        for name, plugin in list(self._manager.list_name_plugin()):
            if plugin is None:
                continue
            others = [p for p in self._manager.get_plugins() if p is not plugin]
            try:
                answers = self._manager.subset_hook_caller(hook, others)()
                yield from ((name, check(answer)) for answer in answers)
            except Exception as error:  # noqa: BLE001  as above
                self._set_aside(name, error)

    def _gather(self, hook: str, check: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for plugin, answer in self._ask(hook, check):
            for name, value in answer.items():
                if name in found:
                    self._set_aside(plugin, ValueError(f"{hook}: {name!r} is taken already"))
                else:
                    found[name] = value
        return found

    def _set_aside(self, name: str, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        self.quarantined.append(Quarantined(f"plugin {name}", text))


class SkillTable:
    """Skills by name.  Two of one name are both refused, by an error that names both."""

    def __init__(self) -> None:
        self.quarantined: list[Quarantined] = []
        self._skills: dict[str, list[Skill]] = {}

    def add_file(self, file: Path, source: str) -> None:
        if file.name.startswith("_"):
            return
        try:
            skills = _read(file, source, _stamp(file))
        except UnreadableSkill as error:
            self.quarantined.append(Quarantined(f"skill file {file.name}", str(error)))
            return
        for skill in skills:
            self._skills.setdefault(skill.name, []).append(skill)

    def __iter__(self) -> Iterator[Skill]:
        return iter(sorted((s[0] for s in self._skills.values() if len(s) == 1), key=_by_name))

    @property
    def conflicts(self) -> dict[str, list[Skill]]:
        """Name → the skills that share it."""
        return {name: skills for name, skills in self._skills.items() if len(skills) > 1}

    def find(self, name: str) -> Skill:
        """
        The skill of that name.

        Raises:
            SkillConflict: Several have it.
            UnknownSkill: None has.
        """
        found = self._skills.get(name, [])
        if len(found) > 1:
            raise SkillConflict(
                f"{len(found)} skills are named {name!r}: {places(found)}",
                hint="rename all but one; until then none of them runs",
            )
        if not found:
            broken = "; see `dino list` for files that cannot be read" if self.quarantined else ""
            raise UnknownSkill(
                f"no skill named {name!r}{did_you_mean(name, self._skills)}{broken}",
                hint="`dino list` shows the skills there are",
            )
        return found[0]


@functools.lru_cache(maxsize=1024)
def _read(file: Path, source: str, stamp: tuple[int, ...]) -> list[Skill]:
    """A file that stayed as it was is not read again: one process runs many skills."""
    del stamp
    return read_skills(file, source)


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:  # reading it says why
        return ()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def places(skills: Iterable[Skill]) -> str:
    """Where these skills stand, for people."""
    return " and ".join(f"{skill.file}:{skill.line}" for skill in skills)


def _by_name(skill: Skill) -> str:
    return skill.name
