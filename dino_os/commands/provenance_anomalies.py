"""`dino provenance anomalies`: what was odd, against what was expected, and why that is told."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.log import Moment
from dino_os.commands.provenance_shown import domain_of
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace
from engines.errors import JournalWriteFailed

if TYPE_CHECKING:
    from engines.anomalies import Anomaly

# As engines.anomalies.AnomalyKind, which is not imported to show help.
_KINDS = (
    *("burst", "rate_spike", "drift", "mix_drift", "failing", "new_kind", "unusual_sequence"),
    "silence",
)
_SEVERITIES = ("low", "medium", "high", "critical")


@click.command(
    epilog=options.example(
        "dino provenance anomalies --since 24h",
        "dino provenance anomalies --kind silence --explain",
        "dino provenance anomalies --severity high --json",
    )
)
@click.option("--since", type=Moment(), help="From then on: a time, or an age.")
@click.option("--kind", type=click.Choice(_KINDS), help="Only of that kind.")
@click.option("--severity", type=click.Choice(_SEVERITIES), help="Only so bad, or worse.")
@click.option("--explain", is_flag=True, help="What each is based on.")
@options.show
@options.as_json
@pass_workspace
def anomalies(
    workspace: Workspace,
    since: float | None,
    kind: str | None,
    severity: str | None,
    explain: bool,
    show: int,
    as_json: bool,
) -> None:
    """
    What was odd in what happened, latest first; of the last thousand.

    What should have come by now and did not is looked for, and recorded, when this is asked.
    """
    domain = domain_of(workspace)
    with contextlib.suppress(JournalWriteFailed):  # what was found is shown even so
        domain.look()
    least = _SEVERITIES.index(severity) if severity else 0
    found = [
        one
        for one in reversed(domain.anomaly_detector.anomalies)
        if (since is None or one.timestamp >= since)
        and (kind is None or one.kind.value == kind)
        and _SEVERITIES.index(one.severity.value) >= least
    ]
    shown, left = output.first_of(found, show)
    if as_json:
        documents = [_document(one, explain=explain) for one in shown]
        detector = domain.anomaly_detector
        watched = {"series": detector.series, "dropped": detector.dropped}
        output.emit_json({"anomalies": documents, "left_out": left, "watched": watched})
        return
    if not found:
        output.say("nothing odd was found")
        return
    if explain:
        for one in shown:
            _explain(one)
    else:
        rows = [(_time(one), one.severity.value, one.message) for one in shown]
        output.table(("time", "severity", "what"), rows)
    output.more(left, "anomaly", "anomalies")


def _document(anomaly: Anomaly, *, explain: bool) -> dict[str, Any]:
    from engines.anomalies import explained  # noqa: PLC0415

    return anomaly.as_dict() | ({"explained": explained(anomaly.kind)} if explain else {})


def _explain(anomaly: Anomaly) -> None:
    from engines.anomalies import explained  # noqa: PLC0415

    output.heading(f"{_time(anomaly)} {anomaly.severity.value}: {anomaly.message}")
    output.say(f"  {explained(anomaly.kind)}")
    statistic, threshold = anomaly.statistic, anomaly.threshold
    output.say(f"  statistic {statistic:.4g}, an alarm from {threshold:.4g} on")
    for name, value in anomaly.evidence.items():
        output.say(f"  {name.replace('_', ' ')}: {value}")


def _time(anomaly: Anomaly) -> str:
    return str(anomaly.as_dict()["timestamp"])
