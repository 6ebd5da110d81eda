"""One look at the metrics that is recorded: readings, and alerts that changed, said on the bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dino_os.entities.alerts import CHANNEL
from engines.metrics import AlertRule, Answer, MetricsCollector, Point, points_of

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.journal import Event

_FROM = "metrics"


class Watched(NamedTuple):
    """What became of a look."""

    changes: list[Event]
    answers: list[Answer]


def watch(
    workspace: Workspace,
    rules: Sequence[AlertRule],
    found: MetricsCollector,
    *,
    every_s: float = 0.0,
) -> Watched:
    """
    Look, record, judge, tell.

    Args:
        found: What looks; it may have looked before.
        every_s: How old readings must be before there are new ones.

    Returns:
        The alerts that changed, and what each of *rules* says now.
    """
    points, plain = _look(found), measured(found)
    log = workspace.metrics_log
    log.take(plain | _watched(rules, points), every_s=every_s)
    changes = log.judge(rules, points) if rules or log.alerts else []
    tell(workspace)
    return Watched(changes, [rule.expression.answer(points, log.grown) for rule in rules])


def read(workspace: Workspace, found: MetricsCollector, *, every_s: float) -> None:
    """Look and record, as `watch` does where there are no rules; nothing is judged."""
    found.update_all()
    workspace.metrics_log.take(measured(found), every_s=every_s)


def judged(
    workspace: Workspace, rules: Sequence[AlertRule], found: MetricsCollector
) -> list[Answer]:
    """What *rules* say now; nothing is recorded."""
    points = _look(found)
    return [rule.expression.answer(points, workspace.metrics_log.grown) for rule in rules]


def _look(found: MetricsCollector) -> list[Point]:
    found.update_all()
    plain = {name: value for name, value in measured(found).items() if value is not None}
    return points_of(plain, found.families())


def measured(found: MetricsCollector) -> dict[str, float | None]:
    """Gauges and meters by name; None where nothing was measured."""
    shown: dict[str, float | None] = {
        gauge.name: gauge.current_value if gauge.measured else None
        for gauge in found.gauges.values()
    }
    for meter in found.meters.values():
        shown[meter.name] = meter.value if meter.measured else None
    return shown


def tell(workspace: Workspace) -> None:
    """
    Say on the bus what was not yet said there.

    It is noted behind that: after a crash between the two it is said again, under the same id.
    """
    for rule, (seq, alert) in workspace.metrics_log.to_tell().items():
        message = {"from": _FROM, "alert": seq, "rule": rule, **alert.as_dict()}
        workspace.bus.publish(CHANNEL, message, message_id=f"{_FROM}.{seq}")
        workspace.metrics_log.told(rule, seq)


def _watched(rules: Sequence[AlertRule], points: Sequence[Point]) -> dict[str, float | None]:
    """What rules need readings of from before: the sum of the series, as it is now."""
    found: dict[str, float | None] = {}
    for rule in rules:
        if name := rule.expression.watched:
            values = [point.value for point in rule.expression.selector.of(points)]
            found[name] = sum(values) if values else None
    return found
