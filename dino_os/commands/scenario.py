"""A scenario on the command line: its file, or the files that it would name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options

if TYPE_CHECKING:
    from dino_os.planning.scenario import Scenario

_file = functools.partial(click.option, type=click.Path(path_type=Path))
_FILES = ("scenario", "signals", "map_file", "zones", "sectors", "agents")


def takes_scenario(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the scenario that its line names, as `plan`."""

    @options.file_argument("scenario", required=False)
    @_file("--signals", help="Records: CSV, JSON lines, YAML.")
    @_file("--map", "map_file", help="What their columns mean.")
    @_file("--zones", help="Zones to know, YAML.")
    @_file("--sectors", help="Sectors to know, YAML.")
    @_file("--agents", help="Who there is, YAML.")
    @functools.wraps(command)
    def with_plan(*args: Any, **given: Any) -> None:
        files = {name: given.pop(name) for name in _FILES}
        command(*args, plan=_gather(**files), **given)

    return with_plan


def _gather(
    scenario: Path | None,
    signals: Path | None,
    map_file: Path | None,
    zones: Path | None,
    sectors: Path | None,
    agents: Path | None,
) -> Scenario:
    """What is to be planned, from a scenario file or the files that it would name."""
    from dino_os.planning import scenario as files  # noqa: PLC0415

    if scenario is None and signals is None:
        raise click.UsageError("name a SCENARIO file, or records with --signals")
    if map_file and not signals:
        raise click.UsageError("--map says what the columns of --signals mean; name both")
    plan = files.load_scenario(scenario) if scenario else files.Scenario(name=_name_of(signals))
    changes: dict[str, Any] = {}
    if signals:
        changes["signals"] = files.signals_from(signals, map_file)
    if zones:
        changes["zones"] = tuple(files.load_zones(zones))
    if sectors:
        changes["sectors"] = tuple(files.load_sectors(sectors))
    if agents:
        changes["agents"] = tuple(files.load_agents(agents))
    return replace(plan, **changes)


def _name_of(signals: Path | None) -> str:
    return signals.stem if signals else "scenario"
