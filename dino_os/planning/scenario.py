"""A scenario: everything one cycle needs, gathered from files and checked before anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dino_os.errors import InvalidInput
from dino_os.planning.forms import (
    AgentForm,
    AgentsFile,
    Desk,
    MapForm,
    Options,
    ScenarioForm,
    SectorForm,
    SectorsFile,
    SignalForm,
    SignalsFile,
    ZoneForm,
    ZonesFile,
)
from dino_os.planning.sources import json_lines
from dino_os.typed_files import Document, Step, convert, load, read_text, show_path
from engines.assign import AgentProfile
from engines.checks import did_you_mean
from engines.personas import PersonaSignal, SignalMap
from engines.space import SpaceSector
from engines.zone import Zone

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signals:
    """Where signals come from: *ready* ones, or a *file* that is read through a *map*."""

    ready: tuple[PersonaSignal, ...] = ()
    file: Path | None = None
    map: SignalMap | None = None
    map_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One cycle's input."""

    name: str
    zones: tuple[Zone, ...] = ()
    sectors: tuple[SpaceSector, ...] = ()
    agents: tuple[AgentProfile, ...] = ()
    signals: Signals = field(default_factory=Signals)
    options: Options = field(default_factory=Options)


def load_scenario(path: Path) -> Scenario:
    """
    Read a scenario file and the files it names, which are found beside it.

    Raises:
        InvalidInput: Something in one of them is wrong; says where.
    """
    form, document = load(path, ScenarioForm)
    beside = path.parent
    zones = (
        load_zones(beside / form.zones)
        if isinstance(form.zones, str)
        else build_all(form.zones, document, ("zones",))
    )
    sectors = (
        load_sectors(beside / form.sectors)
        if isinstance(form.sectors, str)
        else build_all(form.sectors, document, ("sectors",))
    )
    agents = (
        load_agents(beside / form.agents)
        if isinstance(form.agents, str)
        else build_all(form.agents, document, ("agents",))
    )
    return Scenario(
        name=form.name,
        zones=tuple(zones),
        sectors=tuple(sectors),
        agents=tuple(agents),
        signals=_signals(form, document, beside),
        options=form.options,
    )


def load_zones(path: Path) -> list[Zone]:
    """Zones from a YAML file: a list, bare or under `zones`."""
    return _load_list(path, "zones", ZonesFile, ZoneForm)


def load_sectors(path: Path) -> list[SpaceSector]:
    """Sectors from a YAML file: a list, bare or under `sectors`."""
    return _load_list(path, "sectors", SectorsFile, SectorForm)


def load_agents(path: Path) -> list[AgentProfile]:
    """Agents from a YAML file: a list, bare or under `agents`."""
    return _load_list(path, "agents", AgentsFile, AgentForm)


def load_staff(path: Path) -> list[tuple[AgentProfile, Desk]]:
    """As `load_agents`, each with where what is assigned to it is handed over."""
    return build_staff(*_list_in(path, "agents", AgentsFile, AgentForm))


def build_staff(
    forms: Sequence[AgentForm], document: Document, path: tuple[Step, ...]
) -> list[tuple[AgentProfile, Desk]]:
    """As `load_staff`, from *forms* that stand at *path* of *document*."""
    agents = build_all(forms, document, path)
    desks = [build(form.build_desk, document, (*path, index)) for index, form in enumerate(forms)]
    return list(zip(agents, desks, strict=True))


def load_map(path: Path) -> SignalMap:
    """A map from a YAML file."""
    form, document = load(path, MapForm)
    return build(form.build, document, ())


def signals_from(file: Path, map_file: Path | None) -> Signals:
    """
    Signals from *file*: records to be read through a map, or without one signals as they are.

    Raises:
        InvalidInput: The map or a signal is not one.
    """
    if map_file is not None:
        return Signals(file=file, map=load_map(map_file), map_file=map_file)
    if file.suffix.lower() in {".yaml", ".yml", ".json"}:
        return Signals(ready=tuple(_load_list(file, "signals", SignalsFile, SignalForm)))
    if file.suffix.lower() in {".jsonl", ".ndjson"}:
        return Signals(ready=tuple(_json_lines_signals(file)))
    raise InvalidInput(
        f"{file}: records need a map that says what their columns mean (--map MAP.yaml)"
    )


def _signals(form: ScenarioForm, document: Document, beside: Path) -> Signals:
    if isinstance(form.signals, list):
        return Signals(ready=tuple(build_all(form.signals, document, ("signals",))))
    if isinstance(form.signals, str):
        return signals_from(beside / form.signals, None)
    map_name = form.signals.map
    return signals_from(beside / form.signals.file, beside / map_name if map_name else None)


def _json_lines_signals(path: Path) -> list[PersonaSignal]:
    signals = []
    for line, record in json_lines(path):

        def error(at: tuple[Step, ...], what: str, line: int = line) -> InvalidInput:
            return InvalidInput(f"{path}:{line}: {show_path(at)}: {what}")

        form = convert(record, SignalForm, error)
        try:
            signals.append(form.build())
        except InvalidInput as problem:
            raise error((), problem.message) from None
    return signals


def _load_list(path: Path, key: str, file_form: Any, item_form: Any) -> list[Any]:
    return build_all(*_list_in(path, key, file_form, item_form))


def _list_in(
    path: Path, key: str, file_form: Any, item_form: Any
) -> tuple[list[Any], Document, tuple[Step, ...]]:
    """The forms in a file: a list, bare or under *key*."""
    document = Document(read_text(path), str(path))
    if isinstance(document.data, list):
        return document.convert(list[item_form]), document, ()
    if document.data is None:
        raise InvalidInput(f"{path}: the file is empty")
    return getattr(document.convert(file_form), key), document, (key,)


def build_all(forms: Sequence[Any], document: Document, path: tuple[Step, ...]) -> list[Any]:
    """What *forms*, which stand at *path*, build; no two of one name."""
    built = [build(form.build, document, (*path, index)) for index, form in enumerate(forms)]
    first: dict[str, int] = {}
    for index, item in enumerate(built):
        name = getattr(item, "name", None)
        if name is None:
            continue
        if name in first:
            line = document.line_of((*path, first[name], "name"))
            raise document.error(
                (*path, index, "name"), f"{name!r} is taken already, by line {line}"
            )
        first[name] = index
    return built


def build(make: Callable[[], T], document: Document, path: tuple[Step, ...]) -> T:
    """What *make* makes of the form at *path*, its errors told with file and line."""
    try:
        return make()
    except InvalidInput as error:
        raise document.error((*path, *getattr(error, "path", ())), error.message) from None


def check_columns(signals: Signals, columns: Sequence[str]) -> None:
    """
    Hold the map's columns against those of the file.

    Raises:
        InvalidInput: The map names a column that the file does not have.
    """
    if signals.map is None:
        return
    for what, names in signals.map.columns().items():
        for name in names:
            if name not in columns:
                raise InvalidInput(
                    f"{signals.map_file}: $.{what}: {signals.file} has no column {name!r}"
                    f"{did_you_mean(name, columns)}",
                    hint=f"its columns are {', '.join(columns)}",
                )
