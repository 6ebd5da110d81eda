"""`dino provenance anomalies`: what was found, for people and programs."""

from __future__ import annotations

import time
from pathlib import Path

from dino_os.workspace import Workspace
from engines.provenance import Tapped
from tests.conftest import Dino


def test_what_was_odd_is_shown_with_what_it_is_based_on(workspace: Path, dino: Dino) -> None:
    assert dino("provenance", "anomalies").out == "nothing odd was found\n"
    domain = Workspace(workspace).provenance
    with domain.deciding():
        for number in range(30):
            domain.tap_event("knock", {}, f"run-{number}")
    lines = dino("provenance", "anomalies").out.splitlines()
    assert len(lines) == 2
    assert "burst in (all): 25 events within 1 s, not fewer" in lines[1]
    answer = dino("provenance", "anomalies", "--since", "1h", "--json").json
    assert answer["watched"] == {"series": 1, "dropped": 0}
    (found,) = answer["anomalies"]
    assert (found["kind"], found["severity"], found["seen"]) == ("burst", "medium", 25)
    shown = dino("provenance", "anomalies", "--explain").out
    assert "statistic 25, an alarm from 25 on" in shown
    assert "run: run-24" in shown
    for narrowed in (("--kind", "silence"), ("--severity", "high"), ("--since", "2050-01-01")):
        assert dino("provenance", "anomalies", *narrowed).out == "nothing odd was found\n"


def test_what_the_settings_expect_is_missed(workspace: Path, dino: Dino) -> None:
    (workspace / "config.yaml").write_text(
        "provenance: {anomalies: {expected: [{series: knock, every: 10m}]}}\n"
    )
    domain = Workspace(workspace).provenance
    domain.tap([Tapped("knock", time.time() - 3600)])
    for _ in range(2):  # recorded, and told once
        (found,) = dino("provenance", "anomalies", "--json").json["anomalies"]
        assert (found["kind"], found["series"], found["expected"]) == ("silence", "knock", 600)
    text = (workspace / "memory" / "provenance_log.jsonl").read_text()
    assert text.count('"anomaly_detected"') == text.count('"silence_found"') == 1


def test_looking_for_silence_leaves_no_line_where_there_is_none(
    workspace: Path, dino: Dino
) -> None:
    dino("provenance", "anomalies")
    assert not (workspace / "memory" / "provenance_log.jsonl").exists()
