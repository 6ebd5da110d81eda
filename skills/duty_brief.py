"""The duty officer's brief: what a cycle would decide now, in a few lines."""

from pathlib import Path
from typing import Any

from dino_os import skill


@skill(reads=["examples/", "memory/", "config.yaml"], timeout="2m")
def duty_brief(scenario: Path, limit: int | None = None) -> str:
    """
    Rehearse a cycle from a scenario's data and brief the duty officer on it.

    Nothing is recorded: that is for `dino plan-cycle`.

    Args:
        scenario: The scenario file, relative to the workspace.
        limit: At most so many assignments.
    """
    from msgspec import structs

    from dino_os.planning.cycle import run_cycle
    from dino_os.planning.scenario import Scenario, load_scenario
    from dino_os.workspace import Workspace

    workspace = Workspace(Workspace.find().root, rehearsal=True)
    loaded = load_scenario(Path(scenario))
    options = structs.replace(loaded.options, limit=limit)
    report = run_cycle(
        workspace,
        Scenario(loaded.name, loaded.zones, loaded.sectors, loaded.agents, loaded.signals, options),
    )
    return "\n".join(_lines(report))


def _lines(report: Any) -> list[str]:
    result = report.result
    covered = f"{len(result.assignments)} of {len(result.tasks)} tasks have somebody"
    lines = [f"{report.scenario}, cycle {result.cycle}: {covered}."]
    tasks = {task.identifier: task for task in result.tasks}
    for decision in result.assignments[:3]:
        task = tasks[decision.task_id]
        lines.append(f"  {decision.agent}: {task.description} (priority {task.priority:.2f})")
    if result.unassigned:
        worst = result.unassigned[0]
        lines.append(
            f"Nobody for {len(result.unassigned)}; the gravest: "
            f"{tasks[worst.task_id].description}: {worst.reason}."
        )
    full = [name for name, zone in result.zone_snapshots.items() if zone.status == "overloaded"]
    if full:
        lines.append(f"Over capacity: {', '.join(full)}.")
    attention = result.space_overview.sectors_requiring_attention
    if attention:
        lines.append(f"Sectors needing attention: {', '.join(attention)}.")
    if report.rejected:
        lines.append(
            f"{len(report.rejected)} records could not be read; line {report.rejected[0].line}: "
            f"{report.rejected[0].reason}."
        )
    return lines
