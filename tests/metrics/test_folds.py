"""The other journals, counted; journals that are wrong, pruned or of another version; snapshots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines import engine as engine_module
from engines.metrics import MetricsCollector, known_families
from engines.metrics.collector import FOLDS
from engines.metrics.entities import EntityFold
from engines.metrics.fold import JournalFold
from engines.metrics.history import History
from engines.metrics.journals import size_of
from engines.metrics.security import SecurityFold
from engines.metrics.tasks import TaskFold
from tests.audit.drivers import DRIVERS
from tests.conftest import REPOSITORY
from tests.metrics.desk import NOON, Clock, Queue, Series, exposed, series, write

Line = tuple[float, str, Mapping[str, Any]]


def read(memory: Path, name: str, lines: list[Line]) -> tuple[MetricsCollector, Series]:
    clock = Clock()
    write(memory / f"{name}.jsonl", clock, lines)
    collector = MetricsCollector(memory, clock=clock)
    collector.update_all()
    found = exposed(collector)
    assert found[series("dino_metrics_unread_lines_total", journal=name)] == 0
    return collector, found


def test_a_file_that_is_pruned_while_it_is_counted_is_no_file(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(memory / "bus.jsonl", Clock(), [(0, "message_published", {})])
    whole = size_of(memory / "bus.jsonl")
    files = [memory / "bus.000001.jsonl.zst", memory / "bus.jsonl"]
    monkeypatch.setattr("engines.metrics.journals.files_of", lambda _: files)
    assert size_of(memory / "bus.jsonl") == whole


def test_runs_are_counted_by_skill_and_outcome(memory: Path) -> None:
    def ended(skill: str, outcome: str, duration_s: float) -> Line:
        facts = {"run_id": "r", "skill": skill, "outcome": outcome, "duration_s": duration_s}
        return 1, "run_finished", {**facts, "output_bytes": 10}

    collector, found = read(
        memory,
        "runs",
        [
            (0, "run_started", {"run_id": "r", "skill": "a"}),
            *(ended("a", "ok", 0.2), ended("a", "ok", 2), ended("a", "error", 0.01)),
            ended("b", "timeout", 30),
            (2, "tool_started", {"run_id": "t", "tool": "shell"}),
            (3, "tool_finished", {"run_id": "t", "tool": "shell", "cause": "x", "success": True}),
            (4, "tool_finished", {"run_id": "t", "tool": "shell", "cause": "not run"}),
        ],
    )
    assert collector.counts()["runs"] == {
        "started": 1,
        "ok": 2,
        "error": 1,
        "timeout": 1,
        "denied": 0,
        "cancelled": 0,
        "tools_started": 1,
        "tools_finished": 2,
    }
    assert found[series("dino_runs_total", skill="a", outcome="ok")] == 2
    assert found[series("dino_run_duration_seconds_count", skill="a")] == 3
    assert found[series("dino_run_duration_seconds_sum", skill="a")] == pytest.approx(2.21)
    assert found[series("dino_run_duration_seconds_bucket", skill="b", le="10")] == 0
    assert found[series("dino_run_duration_seconds_bucket", skill="b", le="30")] == 1
    assert found[series("dino_run_output_bytes_total")] == 40
    assert found[series("dino_tool_runs_total", tool="shell", success="false")] == 1


def test_due_times_are_counted_with_how_late_they_were_heeded(memory: Path) -> None:
    def due(at: float, due: float, why: str = "due") -> Line:
        facts = {"job_id": "j", "due": NOON + due, "task_id": "t", "why": why, "next_run": None}
        return at, "occurrence_recorded", facts

    skipped = {"job_id": "j", "count": 7, "reason": "misfire", "why": "due"}
    ended = {"job_id": "j", "due": NOON, "task_id": "t"}
    collector, found = read(
        memory,
        "scheduler",
        [
            *(due(0.05, 0), due(100, 60), due(200, 200, "requested")),
            (201, "occurrences_skipped", skipped),
            (202, "occurrence_submitted", ended),
            (203, "occurrence_ended", {**ended, "outcome": "ok"}),
            (204, "occurrence_ended", {**ended, "outcome": "timeout"}),
            (205, "clock_jumped", {"by_s": 60.0, "now": 1.0}),
        ],
    )
    assert collector.counts()["scheduler"] == {
        "due": 2,
        "late": 1,
        "skipped": 7,
        "requested": 1,
        "submitted": 1,
        "ended_ok": 1,
        "ended_otherwise": 1,
        "clock_jumps": 1,
    }
    assert found[series("dino_schedule_lateness_seconds_sum")] == pytest.approx(40.05, abs=1e-3)
    assert found[series("dino_schedule_skipped_total", reason="misfire")] == 7


def test_entities_are_counted_by_where_they_are_now(memory: Path) -> None:
    collector, found = read(
        memory,
        "entities",
        [
            (0, "entity_spawned", {"entity_id": "a"}),
            (0, "entity_spawned", {"entity_id": "b"}),
            (1, "entity_awakening", {"entity_id": "a"}),
            (2, "entity_active", {"entity_id": "a", "recovered": 0}),
            (3, "entity_run_ended", {"entity_id": "a", "outcome": "error"}),
            (4, "entity_error_correction", {"entity_id": "a"}),
            (5, "entity_awakening", {"entity_id": "a"}),
            (6, "entity_active", {"entity_id": "a", "recovered": 1}),
            (7, "entity_run_ended", {"entity_id": "a", "outcome": "ok"}),
            (8, "entity_alerted", {"entity_id": "a"}),
        ],
    )
    assert found[series("dino_entities", state="active")] == 1
    assert found[series("dino_entities", state="hibernating")] == 1
    assert found[series("dino_entities", state="awakening")] == 0
    assert found[series("dino_entity_transitions_total", state="active")] == 2
    assert collector.counts()["entities"] == {
        "spawned": 2,
        "runs_ok": 1,
        "runs_failed": 1,
        "corrections": 1,
        "recoveries": 1,
        "alerts": 1,
    }


def test_orders_are_counted_with_how_long_they_took(memory: Path) -> None:
    order = {"order_id": "o"}
    _, found = read(
        memory,
        "orders",
        [
            (0, "order_created", order),
            (0, "order_created", {"order_id": "p"}),
            (1, "payment_answered", {**order, "state": "confirmed"}),
            (2, "order_confirmed", order),
            (90, "order_fulfilled", order),
            (95, "refund_answered", {**order, "state": "failed"}),
            (99, "problem_found", order),
        ],
    )
    assert found[series("dino_orders_open")] == 1
    assert found[series("dino_order_fulfilment_seconds_sum")] == 90
    assert found[series("dino_transfer_answers_total", kind="refund", state="failed")] == 1


def test_refusals_are_attempts_that_were_blocked(memory: Path) -> None:
    """A run may stand for several; what was asked for too often is none."""
    denied = {"entity": "skill:a", "result": "denied"}
    several = {"system_calls": {"mount": 3}, "connections": [{}, {}], "more_connections": 4}
    collector, found = read(
        memory,
        "security_log",
        [
            (0, "run_denied", denied),
            (1, "run_refused", {**denied, **several, "calls": [{}]}),
            (2, "key_denied", {"entity": "skill:a", "result": "rate_limited"}),
            (3, "unlock_failed", {"entity": "user", "result": "failed"}),
            (4, "key_rolled_back", {"entity": "user", "result": "failed"}),
            (5, "key_accessed", {"entity": "skill:a"}),
        ],
    )
    assert found[series("dino_breach_attempts_total", result="blocked")] == 1 + 10 + 1
    gauge = collector.gauges["threshold_lock"]
    assert (gauge.current_value, gauge.of) == (100, 12)
    assert collector.counts()["security_log"]["decisions"] == 6


def test_breaches_that_a_gate_let_through_are_found_later(memory: Path) -> None:
    """Refusals may stand for several; what was let through is of another hour than its finding."""
    at_info = {"domain": "info", "subject": "s"}
    collector, _ = read(
        memory,
        "gate_log",
        [
            (0, "gate_allowed", at_info),
            (1, "gate_denied", {**at_info, "count": 1}),
            (2, "gate_denied", {**at_info, "count": 5}),
            (3, "gate_limited", {**at_info, "count": 2}),
            (4, "gate_queued", at_info),
            (5, "gate_revoked", {"passed": {"info": 1, "myth": 1}}),
        ],
    )
    gauge = collector.gauges["threshold_lock"]
    assert (gauge.current_value, gauge.of) == (75, 8)
    assert gauge.history[-1].value == 75
    assert collector.counts()["gate_log"] == {
        "decisions": 10,
        "let_through": 1,
        "queued": 1,
        "breaches_blocked": 6,
        "breaches_passed": 2,
        "rate_limited": 2,
    }
    assert collector.meters["gate_density"].measured


def test_journals_tell_their_lines_and_bytes(memory: Path, queue: Queue) -> None:
    queue.submit("a")
    collector = MetricsCollector(memory, clock=queue.clock)
    collector.update_all()
    found = exposed(collector)
    path = memory / "engine_state.jsonl"
    assert found[series("dino_journal_lines_total", journal="engine_state")] == 2
    assert found[series("dino_journal_size_bytes", journal="engine_state")] == path.stat().st_size
    assert found[series("dino_journal_broken", journal="engine_state")] == 0


def test_the_docs_name_every_series_and_no_other() -> None:
    """As `docs/metrics.md` has them in its table."""
    table = (REPOSITORY / "docs" / "metrics.md").read_text().partition("| series |")[2]
    named = re.findall(r"`(dino_\w+)`", table.partition("\n\n")[0])
    assert sorted(named) == sorted(family.name for family in known_families())


# --- what is not as it should be -----------------------------------------------------------------


@pytest.mark.parametrize("kind", FOLDS, ids=lambda kind: kind.journal_name)
def test_lines_of_another_version_are_passed_over_and_said(
    memory: Path, kind: type[JournalFold]
) -> None:
    """Whatever an event leaves out, what can be counted is, and all of it can be shown."""
    odd = ("of_tomorrow", {"entity": "a", "result": "denied", "system_calls": ["mount"]})
    lines = [*((name, {}) for name in sorted(kind._appliers)), odd]
    name, clock = kind.journal_name, Clock()
    write(memory / f"{name}.jsonl", clock, [(0, *line) for line in lines])
    collector = MetricsCollector(memory, clock=clock)
    collector.update_all()
    unread = exposed(collector)[series("dino_metrics_unread_lines_total", journal=name)]
    needy = {"bus": 0, "security_log": 1}  # every other one needs what is not there
    assert unread == needy.get(name, unread)
    assert name in needy or unread > 0


@pytest.mark.parametrize(
    "kind", [k for k in FOLDS if k.journal_name in DRIVERS], ids=lambda kind: kind.journal_name
)
def test_every_line_that_an_engine_writes_is_understood(
    workspace: Path, kind: type[JournalFold]
) -> None:
    """Commands that use all that the engine can keep: no line of theirs is passed over."""
    for step in DRIVERS[kind.journal_name]():
        step(Workspace(workspace))
    collector = Workspace(workspace).metrics()
    collector.update_all()
    assert (
        exposed(collector)[series("dino_metrics_unread_lines_total", journal=kind.journal_name)]
        == 0
    )


def test_the_bus_is_counted(workspace: Path) -> None:
    Workspace(workspace).bus.publish("tide", {"level": 3})
    collector = Workspace(workspace).metrics()
    collector.update_all()
    assert collector.counts()["bus"] == {"published": 1}
    assert not (workspace / "memory" / "engine_state.jsonl").exists()


def test_a_broken_journal_is_named_and_the_others_are_counted(memory: Path, queue: Queue) -> None:
    queue.submit("a")
    write(memory / "bus.jsonl", Clock(), [(0, "message_published", {"channel": "c"})])
    broken = memory / "engine_state.jsonl"
    broken.write_bytes(broken.read_bytes().replace(b'"task_id":"a"', b'"task_id":"b"'))
    collector = MetricsCollector(memory, clock=queue.clock)
    collector.update_all()
    assert [*collector.problems] == ["engine_state"]
    assert collector.counts() == {"bus": {"published": 1}}
    found = exposed(collector)
    assert found[series("dino_journal_broken", journal="engine_state")] == 1
    assert found[series("dino_journal_broken", journal="bus")] == 0


# --- snapshots -----------------------------------------------------------------------------------


def state(fold: JournalFold) -> dict[str, Any]:
    return {name: getattr(fold, name) for name in fold._state_names}


def test_what_was_counted_is_kept_and_gone_on_from(queue: Queue, memory: Path) -> None:
    """Its own snapshot, beside that of the engine; with it and without the counts are the same."""
    path, kept = memory / "engine_state.jsonl", memory / "metrics"
    queue.join()
    queue.submit("a", payload={"skill": "hello", "params": {}})
    queue.submit("b", after=("a",))
    TaskFold(path, kept).save_snapshot()
    assert [file.name for file in kept.iterdir()] == ["engine_state.snapshot"]
    queue.clock.go(5)
    queue.work()
    queue.work("error", final=True)
    again = TaskFold(path, kept)
    assert state(again) == state(TaskFold(path))
    assert again.totals["dead"] == 1
    again.save_snapshot()
    assert again.check_snapshot() is None


def test_snapshots_come_by_themselves_and_not_in_a_rehearsal(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_SNAPSHOT_EVERY", 3)
    for number in range(5):
        Workspace(workspace).bus.publish("tide", number)
    kept = workspace / "memory" / "metrics"
    Workspace(workspace, rehearsal=True).metrics().update_all()
    assert not kept.exists()
    Workspace(workspace).metrics().update_all()
    assert [file.name for file in kept.iterdir()] == ["bus.snapshot"]


def test_a_pruned_journal_is_counted_on_from_the_snapshot_else_from_what_is_left(
    workspace: Path,
) -> None:
    (workspace / "config.yaml").write_text(
        "memory: {rotate_bytes: 2000, compress: false}\nsecurity: {signing_key: w.key}\n"
    )
    site = Workspace(workspace)
    Auditing(site).new_key(None)
    for number in range(40):
        site.security_log.note("key_accessed", "skill:tide", key=str(number))
    kept = security(workspace)
    kept.save_snapshot()
    Auditing(site).checkpoint()
    prune_journal(Workspace(workspace), "security_log", before=20)
    assert security(workspace).totals["decisions"] == 40
    kept.journal.snapshot_path.unlink()  # type: ignore[union-attr]
    assert 20 <= security(workspace).totals["decisions"] < 40


def security(root: Path) -> SecurityFold:
    return SecurityFold(root / "memory" / "security_log.jsonl", root / "memory" / "metrics")


# --- history -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3 * 10**7), st.integers(1, 5)), max_size=400))
def test_nothing_is_lost_while_it_moves_to_hours_and_days(found: list[tuple[int, int]]) -> None:
    """Whatever the order of the times: each count stands in one bucket, which covers its time."""
    history = History()
    for at, count in found:
        history.add("n", at, count)
    total = sum(count for _, count in found)
    assert history.since(float("-inf"))[0]["n"] == total
    assert sum(step["n"] for step in history.series(0, 3 * 10**7, 24)) == total
    for begin in (10**6, 10**7):
        counted, first = history.since(begin)
        assert begin - 86_400 < first <= begin
        at_least = sum(count for at, count in found if at >= begin)
        at_most = sum(count for at, count in found if at >= first)
        assert at_least <= counted["n"] <= at_most


def test_it_does_not_grow_for_ever() -> None:
    history = History()
    for hour in range(24 * 700):
        history.add("n", hour * 3600.0)
        history.add("n", hour * 3600.0 + 60)
    assert len(history.minutes) + len(history.hours) + len(history.days) <= 180 + 200 + 400


def test_one_wrong_time_does_not_push_the_others_out(memory: Path) -> None:
    history = History()
    history.add("n", 9e9)
    for minute in range(1000):
        history.add("n", minute * 60.0)
    assert history.since(float("-inf"))[0]["n"] == 1001
    assert EntityFold(memory / "entities.jsonl").history == History()
