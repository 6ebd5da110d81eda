"""`dino metrics alerts` and `record`: what the rules say, and readings by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.metrics_shown import number
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.journal import Event
    from engines.metrics import AlertRule, Answer


@click.command(
    epilog=options.example("dino metrics alerts", "dino metrics alerts --check alerts.yaml --json")
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What the rules of FILE say now; nothing is recorded.",
)
@options.as_json
@pass_workspace
def alerts(workspace: Workspace, check: Path | None, as_json: bool) -> None:
    """
    Hold the alert rules against the metrics as they are now, and show where each stands.

    What changes is recorded, and said on the bus, on `dino.alerts`.
    """
    found = _checked(workspace, check) if check else _judged(workspace)
    if as_json:
        output.emit_json(found)
    elif found:
        rows = [
            (
                name,
                one["state"],
                one["severity"],
                number(one["value"]),
                one["since"] or "",
                one["expr"],
            )
            for name, one in found.items()
        ]
        output.table(("", "state", "severity", "value", "since", "expression"), rows)
    else:
        output.say("there are no rules; `metrics.alerts` in config.yaml has them")


@click.command(epilog=options.example("dino metrics record", "dino metrics record --json"))
@options.as_json
@pass_workspace
def record(workspace: Workspace, as_json: bool) -> None:
    """Read the metrics into their history and judge the alerts, as a service does: for cron."""
    from dino_os.metrics.rules import rules_of  # noqa: PLC0415
    from dino_os.metrics.watching import measured, watch  # noqa: PLC0415

    found = workspace.metrics()
    changes = [_change(event) for event in watch(workspace, rules_of(workspace), found).changes]
    readings = {name: v if v is None else round(v, 3) for name, v in measured(found).items()}
    told = "".join(f"\n{one['rule']} is {one['state']}" for one in changes)
    count = sum(value is not None for value in readings.values())
    text = f"{output.counted(count, 'reading')}{told}"
    output.answer({"readings": readings, "alerts": changes}, text, as_json=as_json)


def _judged(workspace: Workspace) -> dict[str, Any]:
    from dino_os.metrics.rules import rules_of  # noqa: PLC0415
    from dino_os.metrics.watching import watch  # noqa: PLC0415

    rules = rules_of(workspace)
    if not rules:
        return {}
    every_s = workspace.config.settings.metrics.every_s
    answers = watch(workspace, rules, workspace.metrics(), every_s=every_s).answers
    stands = workspace.metrics_log.alerts
    return {
        rule.name: _shown(rule, answer, stands[rule.name].as_dict() if rule.name in stands else {})
        for rule, answer in zip(rules, answers, strict=True)
    }


def _checked(workspace: Workspace, file: Path) -> dict[str, Any]:
    from dino_os.metrics.rules import rules_in  # noqa: PLC0415
    from dino_os.metrics.watching import judged  # noqa: PLC0415

    rules = rules_in(file)
    answers = judged(workspace, rules, workspace.metrics())
    return {
        rule.name: _shown(rule, answer, {"state": "holds" if answer.holds else "does not hold"})
        for rule, answer in zip(rules, answers, strict=True)
    }


def _shown(rule: AlertRule, answer: Answer, stands: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "state": stands.get("state", "inactive"),
        "severity": rule.severity,
        "value": answer.value,
        "series": list(answer.series),
        "since": stands.get("since"),
        "expr": rule.expression.text,
        "for_s": rule.for_s,
        "summary": rule.summary,
    }


def _change(event: Event) -> dict[str, Any]:
    names = ("rule", "state", "value", "series", "severity", "expr", "summary")
    return {name: event[name] for name in names}


ALERT_COMMANDS = (alerts, record)
