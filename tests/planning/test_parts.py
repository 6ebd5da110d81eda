"""Files of many records are read in parts, which nothing in the plan tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os.planning import cycle
from engines import spool
from tests.conftest import Dino
from tests.desk import calls_text
from tests.planning.test_sources import BAD, as_json_lines, planned

CALLS = [
    {"id": "C-1"},
    {"id": "C-2", "place": "Quay", "kind": "alarm"},
    BAD,
    {"id": "C-1", "kind": "alarm"},  # a twin, two parts behind
    {"id": "C-5", "hours": "1"},
    {"id": "C-6", "net": "South"},
    {"id": "C-2"},
]


@pytest.mark.parametrize(("name", "write"), [("c.csv", calls_text), ("c.jsonl", as_json_lines)])
def test_records_in_parts_come_to_the_same_as_all_at_once(
    desk: Path, dino: Dino, monkeypatch: pytest.MonkeyPatch, name: str, write: Any
) -> None:
    """Tasks, rejected records and twins, each with its line."""
    content = write(CALLS).encode()
    whole = comparable(planned(desk, dino, name, content).json)
    assert whole["counts"]["rejected"] == 3
    for parts in (1, 2, 3):
        monkeypatch.setattr(cycle, "_AT_ONCE", parts)
        monkeypatch.setattr(spool, "_TOGETHER", parts)
        assert comparable(planned(desk, dino, name, content).json) == whole


def comparable(report: Any) -> Any:
    times = {"planned_at", "duration_s", "issued_at", "generated_at"}
    if isinstance(report, dict):
        return {key: comparable(value) for key, value in report.items() if key not in times}
    return [comparable(item) for item in report] if isinstance(report, list) else report


def test_a_column_that_is_missing_is_found_after_many_records(
    desk: Path, dino: Dino, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a file whose records each name their own; nothing is planned."""
    monkeypatch.setattr(cycle, "_AT_ONCE", 2)
    lines = as_json_lines(CALLS).replace('"net"', '"nett"').encode()
    error = planned(desk, dino, "c.jsonl", lines, code=2).error
    assert "has no column 'net'" in error["message"]


def test_bytes_that_are_no_text_are_found_after_many_records(desk: Path, dino: Dino) -> None:
    """With their line, wherever they stand in the file."""
    content = calls_text(CALLS).encode() + b"C-9,M\xf4le,North,fire,2,,,\n"
    error = planned(desk, dino, "c.csv", content, code=2).error
    assert error["message"].startswith("c.csv:9: not UTF-8 (byte 0xf4)")
