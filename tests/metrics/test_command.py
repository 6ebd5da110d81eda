"""`dino metrics`: for people, as JSON, and as a file for Prometheus."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.commands.metrics_shown import sparkline
from dino_os.workspace import Workspace
from engines.resource_engine import Ended, Task
from tests.conftest import Dino
from tests.metrics.desk import parsed, series


@pytest.fixture
def worked(workspace: Path) -> Path:
    """A workspace in which one task was done and one waits."""
    engine = Workspace(workspace).resources
    engine.submit_tasks([Task("a", payload={"skill": "hello", "params": {}}), Task("b")])
    session = engine.join(slots=1)
    (lease,) = engine.exchange(session, room=1).leases
    engine.exchange(session, ended=[Ended("a", lease.number, "ok", duration_s=0.5)])
    engine.leave(session)
    return workspace


def test_people_see_values_targets_and_what_was_not_measured(worked: Path, dino: Dino) -> None:
    lines = dino("metrics").out.splitlines()
    assert lines[0] == "since the beginning"
    shown = {line[:18].strip(): line.split() for line in lines[2:9]}
    assert shown["latency tolerance"][2:5] == ["100.0%", "100%", "1"]
    assert shown["threshold lock"][2:] == ["no", "data", "95%"]
    assert shown["resource flow"][2:5] == ["50.0%", "80%", "2"]
    assert shown["resource flow"][5] == "█"
    assert any(
        line.startswith("engine_state  submitted 2, claimed 1, succeeded 1") for line in lines
    )
    assert "tasks now     1 ready" in lines


def test_execute_is_a_door_to_it(worked: Path, dino: Dino) -> None:
    shown, same = (dino("metrics", "--json", door=door).json for door in ("execute", "dino"))
    assert shown["counters"] == same["counters"]


def test_an_empty_workspace_has_nothing_to_show_and_keeps_no_trace(
    workspace: Path, dino: Dino
) -> None:
    assert dino("metrics").out.count("no data") == 7
    assert dino("metrics", "--json").json["counters"] == {}
    assert "dino_gauge_ratio" not in dino("metrics", "--prometheus").out
    assert not (workspace / "memory").exists()


def test_json_has_it_all(worked: Path, dino: Dino) -> None:
    found = dino("metrics", "--json").json
    assert found["since"] is None
    assert found["gauges"]["resource_flow"]["current_value"] == 50
    assert found["meters"]["task_arrivals"]["measured"]
    assert found["counters"]["engine_state"]["survived_outage"] == 1
    assert found["tasks"]["ready"] == 1
    assert found["waits"]["normal"]["count"] == 1
    assert found["journals"]["engine_state"]["lines"] == 7
    assert found["problems"] == {}


def test_a_window_says_since_when(worked: Path, dino: Dino) -> None:
    found = dino("metrics", "--since", "24h", "--json").json
    assert found["since"] < found["at"]
    assert found["since"][-1] == "Z"
    assert found["counters"]["engine_state"]["submitted"] == 2
    assert dino("metrics", "--since", "90m").out.startswith("since 20")


def test_prometheus_reads_what_it_is_given(worked: Path, dino: Dino) -> None:
    found = parsed(dino("metrics", "--prometheus").out)
    assert found[series("dino_tasks_submitted_total")] == 2
    assert found[series("dino_tasks", state="ready")] == 1
    assert found[series("dino_gauge_ratio", gauge="resource_flow")] == 0.5
    assert found[series("dino_task_run_seconds_sum", runs="skill:hello")] == 0.5
    assert found[series("dino_pool_capacity", pool="compute")] > 0
    assert found[series("dino_engine_sessions")] == 0


def test_the_file_is_replaced_as_a_whole_and_keeps_its_mode(worked: Path, dino: Dino) -> None:
    """As node_exporter's textfile collector wants it; it reads *.prom alone."""
    folder = worked / "textfile"
    folder.mkdir()
    file = folder / "dino.prom"
    file.write_text("old\n")
    file.chmod(0o604)
    before = file.stat()
    shown = dino("metrics", "--prometheus", "--out", file)
    after = file.stat()
    assert shown.out == ""
    assert (after.st_mode, after.st_ino != before.st_ino) == (before.st_mode, True)
    assert parsed(file.read_text())[series("dino_tasks_submitted_total")] == 2
    assert [*folder.iterdir()] == [file]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--out", "x.prom"], "--out goes with --prometheus"),
        (["--prometheus", "--json"], "neither --json nor --watch"),
        (["--prometheus", "--watch"], "neither --json nor --watch"),
        (["--prometheus", "--since", "1h"], "--since"),
        (["--since", "yesterday"], "--since: expected a time"),
        (["--since", "1000000d"], "--since goes back 36500d at most"),
        (["--prometheus", "--out", "no/such/x.prom"], "no: no such folder"),
        (["--prometheus", "--out", "no-such/x.prom"], "no-such: no such folder"),
    ],
)
def test_what_makes_no_sense_is_refused(
    workspace: Path, dino: Dino, arguments: list[str], why: str
) -> None:
    assert why.rsplit(": ", maxsplit=1)[-1] in dino("metrics", *arguments, code=2).err


def test_a_broken_journal_fails_the_command_and_hides_nothing_else(
    worked: Path, dino: Dino
) -> None:
    Workspace(worked).bus.publish("tide", 1)
    broken = worked / "memory" / "engine_state.jsonl"
    broken.write_bytes(broken.read_bytes().replace(b'"a"', b'"c"', 1))
    outcome = dino("metrics", code=1)
    assert "bus           published 1" in outcome.out
    assert "engine_state.jsonl" in outcome.err
    text = dino("metrics", "--prometheus", code=1).out
    assert parsed(text)[series("dino_journal_broken", journal="engine_state")] == 1


def test_watching_goes_on_until_it_is_interrupted(
    worked: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started("metrics", "--watch", "--json")
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert all(line.startswith('{"at": ') for line in lines)
    assert lines[0] != lines[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


@given(st.lists(st.none() | st.floats(0, 200), max_size=30))
def test_a_sparkline_has_a_bar_for_each_value(values: list[float | None]) -> None:
    line = sparkline(values, top=100.0)
    assert len(line) <= len(values)
    assert all(bar in "▁▂▃▄▅▆▇█ " for bar in line)
    padded = line.ljust(len(values))
    assert [bar == " " for bar in padded] == [value is None for value in values]
