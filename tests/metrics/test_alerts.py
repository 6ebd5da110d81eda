"""Alert rules: what they ask, where they stand, and who hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.metrics import watching
from dino_os.metrics.duty import MetricsDuty
from dino_os.metrics.rules import rules_in, rules_of
from dino_os.workspace import Workspace
from engines.journal import Journal
from engines.metrics import AlertRule, AlertState, MetricsLog, Point, read_expression
from engines.resource_engine import Task
from tests.conftest import Dino
from tests.metrics.desk import Clock, exposed, series

POINTS = [
    Point("resource_flow", {}, 75.0),
    Point("dino_tasks", {"state": "dead"}, 3.0),
    Point("dino_tasks", {"state": "ready"}, 40.0),
]


def said(text: str) -> tuple[bool, float | None]:
    answer = read_expression(text).answer(POINTS, lambda name, value, span_s: value - span_s)
    return answer.holds, answer.value


@pytest.mark.parametrize(
    ("text", "holds", "value"),
    [
        ("resource_flow < 80", True, 75),
        ("resource_flow < 80%", True, 75),
        ("resource_flow>=80", False, 75),
        ('dino_tasks{state="dead"} > 10', False, 3),
        ('dino_tasks{state!="dead"}>10', True, 40),
        ("dino_tasks > 10", True, 40),
        ("dino_tasks < 10", True, 3),
        ("sum(dino_tasks) == 43", True, 43),
        ('max( dino_tasks{state="dead", } ) != 3', False, 3),
        ("avg(dino_tasks) <= 21.5", True, 21.5),
        ("min(dino_tasks) > 2e0", True, 3),
        ("count(dino_tasks) > 1", True, 2),
        ('increase(dino_tasks{state="ready"}[30s]) > 9', True, 10),
        ("absent(dino_engine_sessions)", True, None),
        ("absent(dino_tasks)", False, None),
        ("not_measured < 80", False, None),
        ("sum(not_measured) < 80", False, None),
    ],
)
def test_an_expression_holds_or_not(text: str, holds: bool, value: float | None) -> None:
    """What was not measured does not hold, but for absent()."""
    assert said(text) == (holds, value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not an expression"),
        ("resource_flow", "a threshold is missing"),
        ("resource_flow < low", "must be a number"),
        ("resource_flow < nan", "must be a number"),
        ("resource_flow =< 3", "not an expression"),
        ("total(dino_tasks) > 3", "no function 'total'"),
        ("sun(dino_tasks) > 3", "did you mean 'sum'"),
        ('dino_tasks{state="dead} > 3', "labels are written as"),
        ("dino tasks > 3", "not an expression"),
        ("increase(dino_tasks) > 3", "belongs to increase"),
        ("sum(dino_tasks[5m]) > 3", "belongs to increase"),
        ("increase(dino_tasks[5 minutes]) > 3", "not a time"),
        ("absent(dino_tasks) > 3", "has no threshold"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        read_expression(text)


# --- where a rule stands -------------------------------------------------------------------------


def test_a_rule_goes_from_pending_to_firing_to_resolved_and_a_new_process_goes_on(
    memory: Path, clock: Clock
) -> None:
    rule = AlertRule("flow", read_expression("resource_flow < 80"), for_s=60, severity="critical")

    def judge(value: float, after: float) -> AlertState:
        """By another process each time."""
        clock.go(after)
        log = MetricsLog(Journal(memory / "metrics_log.jsonl", clock=clock), clock=clock)
        log.judge([rule], [Point("resource_flow", {}, value)])
        return log.alerts[rule.name].state if log.alerts else AlertState.INACTIVE

    seen = [judge(*step) for step in [(90, 1), (70, 1), (85, 30), (70, 1), (70, 59), (70, 1)]]
    assert seen == ["inactive", "pending", "inactive", "pending", "pending", "firing"]
    assert [judge(*step) for step in [(70, 600), (90, 1), (90, 1), (70, 1)]] == [
        *("firing", "resolved", "resolved", "pending"),
    ]
    text = (memory / "metrics_log.jsonl").read_text()
    assert text.count('"alert_changed"') == 6  # and nothing where nothing changed


def test_a_counter_is_held_against_what_it_was(memory: Path, clock: Clock) -> None:
    """Also where it began anew in between; without a reading from before nothing is said."""
    log = MetricsLog(Journal(memory / "metrics_log.jsonl", clock=clock), clock=clock)
    assert log.grown("c", 5, 600) is None
    for value in (5, 9, 2, 3):
        log.take({"c": float(value)})
        clock.go(100)
    assert log.grown("c", 4, 600) == 4 + 2 + 1 + 1
    assert log.grown("c", 4, 250) == 2 + 1 + 1
    assert log.grown("c", 4, 150) == 1 + 1


def test_the_first_of_what_was_never_counted_has_grown(memory: Path, clock: Clock) -> None:
    """A series is there from its first event on: before that it was read, and was none."""
    log = MetricsLog(Journal(memory / "metrics_log.jsonl", clock=clock), clock=clock)
    log.take({"errors": None, "flow": 1.0})
    clock.go(7200)
    assert log.grown("errors", 3, 3600) == 3
    log.take({"errors": 3.0})
    clock.go(60)
    assert log.grown("errors", 4, 3600) == 4
    assert log.grown("errors", 4, 30) == 1


def test_a_rule_that_held_while_the_clock_was_wrong_waits_no_longer_than_others(
    memory: Path, clock: Clock
) -> None:
    rule = AlertRule("flow", read_expression("resource_flow < 80"), for_s=60)
    log = MetricsLog(Journal(memory / "metrics_log.jsonl", clock=clock), clock=clock)
    seen = []
    for after in (1e9, -1e9, 30, 31):
        clock.go(after)
        log.judge([rule], [Point("resource_flow", {}, 70.0)])
        seen.append(log.alerts["flow"].state)
    assert seen == ["pending", "pending", "pending", "firing"]


# --- in a workspace ------------------------------------------------------------------------------

RULES = """
metrics:
  every_s: 1
  alerts:
    - name: talk
      expr: dino_messages_total > 2
      severity: info
"""


@pytest.fixture
def ruled(workspace: Path) -> Workspace:
    (workspace / "config.yaml").write_text(RULES)
    return Workspace(workspace)


def look(workspace: Workspace) -> list[str]:
    found = watching.watch(workspace, rules_of(workspace), workspace.metrics())
    return [change["state"] for change in found.changes]


def test_a_change_is_said_on_the_bus_and_again_after_a_crash_in_between(
    ruled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruled.bus.publish_many([("tide", number) for number in range(3)])
    with monkeypatch.context() as crash:
        crash.setattr(MetricsLog, "told", lambda *_: (_ for _ in ()).throw(OSError("crashed")))
        with pytest.raises(OSError, match="crashed"):
            look(ruled)
    again = Workspace(ruled.root)
    assert look(again) == []
    (heard,) = again.bus.channel_history("dino.alerts")  # one id, one message
    assert (heard["message"]["from"], heard["message"]["state"]) == ("metrics", "firing")
    assert heard["message"]["series"] == ["dino_messages_total"]
    assert again.metrics_log.to_tell() == {}


def test_a_rule_that_is_taken_away_is_forgotten(ruled: Workspace) -> None:
    """Prometheus is told whether one fires, and how often it did."""
    ruled.bus.publish_many([("tide", number) for number in range(3)])
    collector, fires = ruled.metrics(), series("dino_alert_firing", rule="talk")
    assert look(ruled) == ["firing"]
    collector.update_all()
    assert exposed(collector)[fires] == 1
    found = watching.watch(ruled, [], collector)
    assert (found.changes, ruled.metrics_log.alerts) == ([], {})
    collector.update_all()
    assert fires not in exposed(collector)
    assert exposed(collector)[series("dino_alerts_fired_total", rule="talk")] == 1


def test_a_service_looks_when_it_is_time(ruled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr("dino_os.metrics.duty.time.time", lambda: now[0])
    duty = MetricsDuty(ruled)
    ruled.bus.publish_many([("tide", number) for number in range(3)])
    assert duty.turn() == now[0] + 1
    assert not (ruled.memory / "metrics_log.jsonl").exists()
    now[0] += 1
    assert duty.turn() == now[0] + 1
    assert ruled.metrics_log.alerts["talk"].state is AlertState.FIRING
    now[0] -= 1e6
    assert duty.turn() == now[0] + 1  # a clock that was set back makes nobody wait


def test_a_file_of_rules_is_heeded_as_it_changes_and_readings_go_on_where_it_is_wrong(
    ruled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr("dino_os.metrics.duty.time.time", lambda: now[0])
    file, config = ruled.root / "rules.yaml", ruled.root / "config.yaml"
    config.write_text(RULES.replace("  every_s: 1\n", "  every_s: 1\n  alerts_file: rules.yaml\n"))
    duty = MetricsDuty(Workspace(ruled.root))

    def turn(rules: str) -> set[str]:
        file.write_text(f"alerts:\n{rules}")
        now[0] += 1
        duty.turn()
        return {*Workspace(ruled.root).metrics_log.alerts}

    ruled.bus.publish_many([("tide", number) for number in range(3)])
    ruled.resources.submit_task(Task("a"))
    one = "- {name: one, expr: dino_messages_total > 1}\n"
    with pytest.raises(InvalidInput, match="not an expression"):
        turn("- {name: one, expr: ''}\n")
    assert Workspace(ruled.root).metrics_log.readings["resource_flow"].points
    assert turn(one) == {"talk", "one"}
    with pytest.raises(InvalidInput, match="did you mean 'dino_messages_total'"):
        turn(one + "- {name: two, expr: dino_mesages_total > 1}\n")
    assert {*Workspace(ruled.root).metrics_log.alerts} == {"talk", "one"}
    assert turn("- {name: two, expr: dino_messages_total > 1}\n") == {"talk", "two"}


@pytest.mark.parametrize(
    ("config", "where"),
    [
        (
            "metrics: {alerts: [{name: a, expr: 'b <'}]}",
            r"config\.yaml:1: \$\.metrics\.alerts\[0\]",
        ),
        (
            "metrics:\n  alerts:\n  - name: a\n    expr: nav_velocity < 1\n    for: soon\n",
            r"config\.yaml:5: \$\.metrics\.alerts\[0\]\.for",
        ),
        (
            "metrics:\n  alerts:\n  - name: a\n    expr: resorce_flow < 3\n",
            r"config\.yaml:4: .*\.expr: no metric 'resorce_flow' \(did you mean 'resource_flow'",
        ),
        (
            "metrics:\n  alerts:\n  - name: a\n    expr: sum(dino_task_run_seconds) > 3\n",
            r"config\.yaml:4: .* \(did you mean 'dino_task_run_seconds_(sum|count|bucket)'",
        ),
        ("metrics: {alerts_file: more.yaml}", r"more\.yaml:3: \$\.alerts\[0\]\.expr: a threshold"),
        (
            "metrics: {alerts_file: more.yaml, alerts: [{name: c, expr: nav_velocity > 1}]}",
            "two alert rules named 'c'|more.yaml:3",
        ),
    ],
)
def test_a_rule_that_is_wrong_is_told_with_file_and_line(
    workspace: Path, dino: Dino, config: str, where: str
) -> None:
    (workspace / "config.yaml").write_text(config)
    (workspace / "more.yaml").write_text("alerts:\n- name: c\n  expr: d\n")
    with pytest.raises(InvalidInput, match=where):
        rules_of(Workspace(workspace))


def test_more_than_is_kept_cannot_be_watched(workspace: Path) -> None:
    rules = [
        f"- {{name: r{n}, expr: 'increase(dino_messages_total[1h]) > {n}'}}\n" for n in range(300)
    ]
    (workspace / "config.yaml").write_text("metrics: {alerts_file: more.yaml}")
    (workspace / "more.yaml").write_text("alerts:\n" + "".join(rules))
    assert len(rules_of(Workspace(workspace))) == 300
    text = "".join(rules).replace("_total[", '_total{channel="r%"}[')
    for n in range(300):
        text = text.replace("r%", f"c{n}", 1)
    (workspace / "more.yaml").write_text(f"alerts:\n{text}")
    with pytest.raises(InvalidInput, match="300 things grew; readings of 150 are kept"):
        rules_of(Workspace(workspace))


def test_people_and_programs_see_where_each_rule_stands(ruled: Workspace, dino: Dino) -> None:
    file = ruled.root / "more.json"
    file.write_text('{"alerts": [{"name": "x", "expr": "absent(dino_tasks)", "for": "5m"}]}')
    assert [rule.for_s for rule in rules_in(file)] == [300.0]
    checked = dino("metrics", "alerts", "--check", file, "--json").json
    assert checked["x"]["state"] == "holds"
    assert not (ruled.memory / "metrics_log.jsonl").exists()
    assert dino("metrics", "alerts").out.splitlines()[1].split()[:3] == ["talk", "inactive", "info"]
    ruled.bus.publish_many([("tide", number) for number in range(3)])
    recorded = dino("metrics", "record", "--json").json
    assert [(one["rule"], one["state"]) for one in recorded["alerts"]] == [("talk", "firing")]
    shown: dict[str, Any] = dino("metrics", "alerts", "--json").json
    assert (shown["talk"]["state"], shown["talk"]["value"]) == ("firing", 4)  # with its own
