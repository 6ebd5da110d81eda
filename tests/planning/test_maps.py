"""Maps as files: what is refused when a map is read, where it stands, and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.desk import CALL, MAP, calls_text, line_of, map_text
from tests.planning.conftest import Plan

EITHER = "a rule needs either a column or a value"
BELONGS = "a table or a default belongs to a column, not to a value"
POSITION = "a position needs either x and y or a column"


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("severity", "{}", f"severity: {EITHER}"),
        ("severity", "{table: {fire: 1}}", f"severity: {EITHER}"),
        ("severity", "{column: kind, value: 1}", f"severity: {EITHER}"),
        ("severity", "{value: 1, table: {fire: 1}}", f"severity: {BELONGS}"),
        ("severity", "{value: 1, default: 1}", f"severity: {BELONGS}"),
        ("severity", "{column: hours, add: [{value: 1}, {}]}", f"severity.add[1]: {EITHER}"),
        ("sector", "{default: North}", f"sector: {EITHER}"),
        ("zone", "{column: place, value: Mole}", f"zone: {EITHER}"),
        ("identifier", "{add: []}", f"identifier: {EITHER}"),
        ("skills", "{value: [pump], table: {fire: [pump]}}", f"skills: {BELONGS}"),
        ("effort_hours", "{value: 2, default: 1}", f"effort_hours: {BELONGS}"),
        ("position", "{}", f"position: {POSITION}"),
        ("position", "{x: lon}", f"position: {POSITION}"),
        ("position", "{x: lon, y: lat, column: place}", f"position: {POSITION}"),
        ("position", "{y: lat, column: place}", f"position: {POSITION}"),
        ("position", "{x: lon, y: lat, pattern: a}", "position: a pattern belongs to a column"),
        ("position", "{column: place, pattern: '('}", "position: not a regular expression"),
        ("position", "{column: place, pattern: 'a'}", "position: needs groups (?P<x>…)"),
        ("time", "{column: seen, format: '%Q'}", "time: the format '%Q' reads no time"),
        ("time", "{column: seen, format: '%Y %Y'}", "time: names a part twice"),
        ("time", "{column: seen, timezone: Mars}", "time: no time zone named 'Mars'"),
        ("summary", '"{kind:>10}"', "summary: put just {kind} between the braces"),
        ("summary", '"{kind!r}"', "summary: put just {kind} between the braces"),
        ("summary", '"{}"', "summary: name a column between the braces"),
        ("summary", '"{kind"', "summary: expected '}'"),
        ("severity_scale", "0", "severity_scale: expected float > 0"),
        ("severity", "true", "severity: expected str | object, found True"),
        ("effort_hours", "true", "effort_hours: found True"),
        ("severty", "kind", "severty: no such setting (did you mean 'severity'?)"),
    ],
)
def test_a_bad_map_is_refused_with_its_line_and_path(
    desk: Path, plan: Plan, field: str, text: str, said: str
) -> None:
    """Before a record is read: the calls are not even there."""
    (desk / "map.yaml").write_text(map_text(**{field: text}))
    (desk / "calls.csv").unlink()
    message = plan(code=2).error["message"]
    path, _, what = said.partition(": ")
    line = line_of(field) if field in MAP else len(MAP) + 1
    assert message.startswith(f"map.yaml:{line}: $.{path}: ")
    assert what in message


def test_a_map_without_a_place_is_refused(desk: Path, plan: Plan) -> None:
    """A record must be somewhere."""
    (desk / "map.yaml").write_text(map_text(zone=None, position=None))
    assert plan(code=2).error["message"] == "map.yaml:1: $: a map needs a zone or a position"


@pytest.mark.parametrize(
    ("severity", "found"),
    [
        ("{column: kind, table: {fire: true}}", "severity must be a finite number, found True"),
        ("{column: kind, table: {fire: 1_0.5}}", None),  # a number in YAML: ten and a half
        ("{column: kind, table: {fire: '1_000'}}", "must be a finite number, found '1_000'"),
        ("{value: true}", "severity must be a finite number, found True"),
        ("{value: 'high'}", "severity must be a finite number, found 'high'"),
        ("{column: id}", "severity must be a finite number, found '1_000'"),
        ("{column: kind, table: {fire: 1.5}}", "severity must lie in 0…1, found 1.5"),
        ("{column: kind, table: {flood: 1}}", "severity: 'fire' is not in the table of 'kind'"),
    ],
)
def test_what_is_no_severity_rejects_the_record(
    desk: Path, plan: Plan, severity: str, found: str | None
) -> None:
    """True is not 1, and 1_000 is text that some languages take for a number."""
    (desk / "map.yaml").write_text(map_text(severity=severity))
    (desk / "calls.csv").write_text(calls_text([{"id": "1_000"}]))
    rejected = plan().json["rejected"]
    assert [row["line"] for row in rejected] == [2]
    assert (found or "severity must lie in 0…1, found 10.5") in rejected[0]["reason"]


@pytest.mark.parametrize("hours", ["1_000", "nan", "inf", "1e999", "two", "0", "-1", "٣"])
def test_what_is_no_effort_rejects_the_record(desk: Path, plan: Plan, hours: str) -> None:
    """Hours are a finite number above 0, in decimal digits."""
    (desk / "calls.csv").write_text(calls_text([{}, {"id": "C-2", "hours": hours}]))
    report = plan().json
    assert [(row["line"], "effort_hours" in row["reason"]) for row in report["rejected"]] == [
        (3, True)
    ]
    assert report["counts"]["signals"] == 1


def test_a_position_that_cannot_be_read_rejects_the_record(desk: Path, plan: Plan) -> None:
    """Even where the zone is named; one that is not there does not."""
    calls = [{"lon": "0.5E"}, {"id": "C-2", "lon": ""}, {"id": "C-3", "lon": "1_0"}]
    (desk / "calls.csv").write_text(calls_text(calls))
    report = plan().json
    assert [row["line"] for row in report["rejected"]] == [2, 4]
    assert report["rejected"][0]["reason"] == ("position: (0.5E, 0.5) are not two finite numbers")


@pytest.mark.parametrize(
    ("call", "zone"),
    [
        ({"place": "Mole", "lon": "1.5"}, "Mole"),
        ({"place": "", "lon": "1.5"}, "Quay"),
        ({"place": "Bridge", "lon": "1.5"}, "Quay"),
        ({"place": "n/a", "lon": "0.25"}, "Mole"),
    ],
)
def test_the_zone_that_is_named_comes_before_the_position(
    desk: Path, plan: Plan, call: dict[str, str], zone: str
) -> None:
    """The position decides where no known zone is named."""
    (desk / "calls.csv").write_text(calls_text([call]))
    (task,) = plan().json["tasks"]
    assert task["metadata"]["zone"] == zone


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"place": "Bridge", "lon": "9"}, "unknown zone 'Bridge', and position (9.0, 0.5) lies"),
        ({"place": "", "lon": ""}, "zone: column 'place' is empty"),
        ({"net": "West"}, "unknown sector 'West'"),
        ({"net": ""}, "sector: column 'net' is empty"),
        ({"id": ""}, "identifier: column 'id' is empty"),
        ({"id": "C-0"}, "identifier 'C-0' is taken already, by line 2"),
        ({"seen": "yesterday"}, "time: 'yesterday' is not in the form ISO 8601"),
        ({"seen": "0001-01-01T00:00:00+14:00"}, "time: a time out of range"),
    ],
)
def test_a_record_that_does_not_fit_is_reported_with_its_reason(
    desk: Path, plan: Plan, call: dict[str, str], reason: str
) -> None:
    """The others go on."""
    (desk / "calls.csv").write_text(calls_text([{"id": "C-0"}, call]))
    report = plan().json
    assert [row["line"] for row in report["rejected"]] == [3]
    assert reason in report["rejected"][0]["reason"]
    assert report["counts"]["signals"] == 1


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("{3: 0.5}", "3"),
        ("{2.5: 0.5}", "2.5"),
        ("{true: 0.5}", "true"),
        ('{"yes": 0.5}', "yes"),
    ],
)
def test_what_yaml_takes_for_a_number_is_text_in_a_table(
    desk: Path, plan: Plan, table: str, text: str
) -> None:
    """The left side of a table is what a record may say."""
    (desk / "map.yaml").write_text(
        map_text(severity=f"{{column: hours, table: {table}}}", effort_hours="1")
    )
    (desk / "calls.csv").write_text(calls_text([{"hours": text}]))
    report = plan().json
    assert report["rejected"] == []
    assert report["tasks"][0]["metadata"]["observed_severity"] == 0.5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"severity": "{column: hours, add: [{value: 1}]}", "severity_scale": "4"}, 0.75),
        ({"severity": "{value: 0.25}"}, 0.25),
        ({"severity": "{column: kind, table: {flood: 1}, default: 0.125}"}, 0.125),
    ],
)
def test_severities_are_constants_columns_and_sums(
    desk: Path, plan: Plan, changes: dict[str, str], expected: float
) -> None:
    """Divided by the scale, and seen before the risk persona raises them."""
    (desk / "map.yaml").write_text(map_text(**changes))
    (task, *_) = plan().json["tasks"]
    assert task["metadata"]["observed_severity"] == expected


def test_a_task_has_what_the_map_reads(desk: Path, plan: Plan) -> None:
    """Every field of one record, all the way through."""
    (desk / "calls.csv").write_text(calls_text([{}]))
    (task,) = plan().json["tasks"]
    seen: dict[str, Any] = task["metadata"]
    assert task["identifier"] == CALL["id"]
    assert task["description"] == "fire at Mole"
    assert task["required_skills"] == ["pump"]
    assert task["estimated_effort_hours"] == 2
    assert (seen["zone"], seen["sector"]) == ("Mole", "North")
    assert (seen["line"], seen["observed_severity"]) == (2, 0.9)


def test_a_map_says_nothing_about_signals_that_are_ready(plan: Plan) -> None:
    """--map without --signals is a slip, not a wish."""
    assert "name both" in plan("--map", "map.yaml", code=2).error["message"]
