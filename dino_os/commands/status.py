"""`dino status`, also `execute status`: what this workspace holds and whether it is sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import DinoError
from dino_os.workspace import Workspace


@click.command(epilog=options.example("dino status", "execute status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """
    Show what this workspace holds and whether it is sound.

    Every journal is read and checked on the way; exits 1 where one does not stand.
    """
    workspace = Workspace(workspace.root, rehearsal=True)  # looking leaves no trace
    parts: dict[str, Any] = {}
    problems: list[DinoError] = []
    for name, look in _PARTS.items():
        try:
            parts[name] = look(workspace)
        except DinoError as problem:
            problems.append(problem)
            parts[name] = {"error": problem.message}
    healthy = not problems
    if as_json:
        output.emit_json({"workspace": str(workspace.root), "healthy": healthy, **parts})
    else:
        output.heading(f"{workspace.root}: {'healthy' if healthy else 'NOT HEALTHY'}")
        for name, facts in parts.items():
            told = ", ".join(_tell(key, value) for key, value in facts.items())
            output.say(f"{name:<9} {told}")
    if problems:
        raise problems[0]


def _tell(key: str, value: Any) -> str:
    words = key.replace("_", " ")
    if key in {"error", "file", "name"}:
        return str(value)
    if isinstance(value, float):
        return f"{words} {value:.2f}"
    if isinstance(value, list):
        return f"{words} {' '.join(map(str, value)) or 'none'}"
    return f"{words} {'none' if value is None else value}"


def _config(workspace: Workspace) -> dict[str, Any]:
    settings = workspace.config
    there = settings.path if settings.path.exists() else "no config.yaml, defaults"
    return {"name": settings.get("system.name"), "file": str(there)}


def _skills(workspace: Workspace) -> dict[str, Any]:
    table = workspace.plugins.skills()
    found = list(table)
    return {
        "usable": len(found),
        "quarantined": len(table.quarantined),
        "conflicting": len(table.conflicts),
    }


def _zones(workspace: Workspace) -> dict[str, Any]:
    snapshots = workspace.zones.snapshot().values()
    return {
        "known": len(snapshots),
        "active": sum(s.status == "active" for s in snapshots),
        "overloaded": [s.zone.name for s in snapshots if s.status == "overloaded"],
    }


def _sectors(workspace: Workspace) -> dict[str, Any]:
    horizon = workspace.config.settings.planning.horizon
    overview = workspace.sectors.network_overview(horizon=horizon)
    return {
        "known": len(overview.snapshots),
        "average_stability": overview.average_stability,
        "requiring_attention": list(overview.sectors_requiring_attention),
    }


def _states(workspace: Workspace) -> dict[str, Any]:
    snapshots = workspace.states.overview().values()
    return {"known": len(snapshots), "ready": sum(s.ready for s in snapshots)}


def _cycles(workspace: Workspace) -> dict[str, Any]:
    last = workspace.orchestrator().last_cycle
    if last is None:
        return {"planned": 0}
    return {
        "planned": last.cycle,
        "last_at": last.planned_at.isoformat(timespec="seconds"),
        "last_assigned": last.assigned,
        "last_left_over": last.unassigned,
    }


def _tasks(workspace: Workspace) -> dict[str, Any]:
    resources = workspace.resources
    totals = resources.totals()
    waiting = {state: count for state, count in resources.depth().items() if count}
    return {**waiting, "done": totals["succeeded"], "dead": totals["dead"]}


def _journals(workspace: Workspace) -> dict[str, Any]:
    from engines.errors import JournalBroken  # noqa: PLC0415
    from engines.journal import verify  # noqa: PLC0415

    reports = [verify(path) for path in workspace.journals()]
    broken = [report for report in reports if not report.ok]
    if broken:
        first = broken[0]
        raise JournalBroken(
            f"{_place(first.path, first.fault)}: {first.verdict}", hint="run `audit hashchain`"
        )
    return {"sound": len(reports), "lines": sum(report.lines for report in reports)}


def _place(path: Path, fault: Any) -> str:
    return f"{path}:{fault.line}" if fault else str(path)


_PARTS: dict[str, Callable[[Workspace], dict[str, Any]]] = {
    "config": _config,
    "skills": _skills,
    "journals": _journals,
    "cycles": _cycles,
    "zones": _zones,
    "sectors": _sectors,
    "states": _states,
    "tasks": _tasks,
}
