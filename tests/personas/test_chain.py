"""The chain research → execution → risk: deterministic, and every record accounted for."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.personas import (
    ExecutionPersona,
    FieldRule,
    PersonaSignal,
    PositionRule,
    RejectedRow,
    ResearchPersona,
    RiskPersona,
    SignalMap,
    TimeRule,
)

MAP = SignalMap(
    summary="{what} in {zone}",
    zone=FieldRule("zone"),
    sector=FieldRule("sector", default="North"),
    position=PositionRule("x", "y"),
    severity=FieldRule("grade", table={"A": 9, "B": 5, "X": 11, "Y": -1}),
    severity_scale=10,
    skills=FieldRule("skills", default=()),
    effort_hours=FieldRule("hours", default=2),
    time=TimeRule("seen"),
    identifier=FieldRule("id", default="none"),
)
PLACES = {
    "zones": {"Pier", "Hub"},
    "sectors": {"North", "South"},
    "locate": lambda point: "Hub" if point == (1.0, 1.0) else None,
}
GOOD = {"what": "Fire", "zone": "Pier", "grade": "A", "skills": "Fire, boats", "id": "F-1"}


def researched(*rows: dict[str, str]) -> Any:
    return ResearchPersona().run({"rows": list(enumerate(rows, 2)), "map": MAP, **PLACES})


def executed(*rows: dict[str, str]) -> Any:
    return ExecutionPersona().run({"observations": researched(*rows).observations, "map": MAP})


def weighed(*signals: PersonaSignal, **payload: Any) -> Any:
    return RiskPersona().run({"signals": signals, **payload})


def test_a_signal_has_the_promised_fields() -> None:
    """In the promised order with the promised defaults; additions come behind."""
    shape = {f.name: ... if f.default is MISSING else f.default for f in fields(PersonaSignal)}
    assert list(shape.items())[:11] == [
        *((name, ...) for name in ("persona", "summary", "zone", "sector", "severity")),
        ("required_skills", ()),
        ("estimated_effort_hours", 4.0),
        ("task_identifier", None),
        ("metadata", None),
        ("zone_configuration", None),
        ("sector_configuration", None),
    ]
    assert all(default is None for default in list(shape.values())[11:])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"persona": ""}, "a signal's persona must not be empty"),
        ({"summary": " "}, "a signal's summary must not be empty"),
        ({"zone": None}, "a signal's zone must not be empty, found None"),
        ({"sector": 3}, "a signal's sector must not be empty, found 3"),
        ({"severity": float("nan")}, "severity must be finite, found nan"),
        ({"severity": "high"}, "severity must be a number, found 'high'"),
        ({"required_skills": "fire"}, "found the text 'fire'"),
        ({"estimated_effort_hours": 0}, "estimated_effort_hours must be above 0, found 0"),
        ({"estimated_effort_hours": float("inf")}, "estimated_effort_hours must be finite"),
        ({"metadata": []}, "metadata must be a mapping"),
        ({"timestamp": "now"}, "datetime, found 'now'"),
    ],
)
def test_a_wrong_signal_is_a_value_error_that_names_it(wrong: dict[str, Any], message: str) -> None:
    """The error is an InvalidInput, and so a ValueError."""
    good = {"persona": "p", "summary": "s", "zone": "z", "sector": "c", "severity": 0.5}
    with pytest.raises(InvalidInput, match=message):
        PersonaSignal(**{**good, **wrong})


def test_research_reads_where_what_and_when() -> None:
    """An observation has all that the map names."""
    (seen,) = researched({**GOOD, "x": "1", "y": "2", "seen": "2027-01-15"}).observations
    assert (seen.line, seen.zone, seen.sector, seen.summary) == (2, "Pier", "North", "Fire in Pier")
    assert (seen.identifier, seen.position) == ("F-1", (1.0, 2.0))
    assert seen.time == datetime(2027, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["", "Quay"])
def test_a_position_decides_where_the_zone_is_not_known(zone: str) -> None:
    """Research asks `locate` for the zone around the position."""
    (seen,) = researched({**GOOD, "zone": zone, "x": "1", "y": "1"}).observations
    assert seen.zone == "Hub"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"sector": "West"}, "unknown sector 'West'"),
        ({"zone": ""}, "zone: column 'zone' is empty"),
        ({"zone": "Quay"}, "unknown zone 'Quay', and there is no position"),
        (
            {"zone": "Quay", "x": "5", "y": "5"},
            "unknown zone 'Quay', and position (5.0, 5.0) lies in none",
        ),
        (
            {"zone": "", "x": "5", "y": "5"},
            "no zone is named, and position (5.0, 5.0) lies in none",
        ),
        ({"x": "here", "y": "5"}, "position: (here, 5) are not two finite numbers"),
        ({"seen": "soon"}, "time: 'soon' is not in the form ISO 8601"),
        (
            {"seen": "0001-01-01T00:00:00+14:00"},
            "time: a time out of range: 0001-01-01T00:00:00+14:00",
        ),
    ],
)
def test_research_rejects_a_record_with_its_line_and_reason(
    wrong: dict[str, str], reason: str
) -> None:
    """The others are read; the result says how many of each."""
    result = researched(GOOD, {**GOOD, **wrong}, GOOD)
    assert result.rejected == [RejectedRow(3, reason)]
    assert [seen.line for seen in result.observations] == [2, 4]
    assert result.to_dict() == {
        "agent": "research",
        "rationale": "2 records read, 1 not",
        "confidence": 2 / 3,
        "observations": 2,
        "rejected": [{"line": 3, "reason": reason}],
    }


def test_execution_makes_signals() -> None:
    """Severity on the map's scale, skills as words, effort in hours, the record's own name."""
    (signal,) = executed({**GOOD, "hours": "3.5", "x": "1", "y": "2"}).signals
    assert signal == PersonaSignal(
        "execution",
        "Fire in Pier",
        "Pier",
        "North",
        0.9,
        ("fire", "boats"),
        3.5,
        "F-1",
        {"line": 2, "position": (1.0, 2.0)},
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"grade": "C"}, "severity: 'C' is not in the table of 'grade'"),
        ({"grade": ""}, "severity: column 'grade' is empty"),
        ({"grade": "X"}, "severity must lie in 0…1, found 1.1"),
        ({"grade": "Y"}, "severity must lie in 0…1, found -0.1"),
        ({"hours": "long"}, "effort_hours must be a finite number, found 'long'"),
        ({"hours": "0"}, "estimated_effort_hours must be above 0, found 0"),
        ({"hours": "-3"}, "estimated_effort_hours must be above 0, found -3"),
    ],
)
def test_execution_refuses_a_record_with_its_line_and_reason(
    wrong: dict[str, str], reason: str
) -> None:
    """The others become signals; the result says how many of each."""
    result = executed(GOOD, {**GOOD, **wrong}, GOOD)
    assert result.rejected == [RejectedRow(3, reason)]
    assert (len(result.signals), result.confidence) == (2, 2 / 3)
    assert result.to_dict()["rationale"] == "2 signals made, 1 records refused"


def signal(severity: float) -> PersonaSignal:
    return PersonaSignal("execution", "Fire", "Pier", "North", severity, metadata={"line": 2})


@pytest.mark.parametrize(
    ("load", "stability", "severity"),
    [(0, 1, 0.5), (2, 0, 0.6), (9, 0, 0.6), (1, 1, 0.525), (0, 0.5, 0.525)],
)
def test_risk_raises_severity_by_the_pressure_of_the_place(
    load: float, stability: float, severity: float
) -> None:
    """Up to a fifth of what is left to 1; what was seen is kept beside it."""
    (adjusted,) = weighed(
        signal(0.5), zone_load={"Pier": load}, sector_stability={"North": stability}
    ).signals
    assert adjusted.severity == pytest.approx(severity)
    assert adjusted.metadata == {"line": 2, "observed_severity": 0.5}


def test_risk_escalates_what_cannot_wait() -> None:
    """From the threshold on, with the reason for people."""
    result = weighed(signal(0.84), signal(0.85), zone_load={"Other": 9})
    (escalation,) = result.escalations
    assert escalation.as_dict() == {
        "summary": "Fire",
        "zone": "Pier",
        "sector": "North",
        "severity": 0.85,
        "reason": "severity 0.85 (seen as 0.85)",
    }
    (full,) = weighed(signal(0.9), zone_load={"Pier": 1.5}, critical_threshold=0.5).escalations
    assert full.reason.endswith("; zone at 150% of its capacity")


@given(st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1))
def test_risk_never_lowers_severity_nor_passes_1(seen: float, load: float, calm: float) -> None:
    """Whatever the strain."""
    (adjusted,) = weighed(
        signal(seen), zone_load={"Pier": load}, sector_stability={"North": calm}
    ).signals
    assert seen <= adjusted.severity <= 1


cells = st.sampled_from(["", "A", "B", "X", "Pier", "Quay", "North", "West", "1", "5", "here"])
records = st.lists(
    st.dictionaries(st.sampled_from([*GOOD, "sector", "x", "y", "hours", "seen"]), cells),
    max_size=6,
)


@given(records)
def test_the_chain_is_deterministic_and_loses_no_record(rows: list[dict[str, str]]) -> None:
    """The same records give the same result; each becomes a signal or a rejection, once."""
    research, execution = researched(*rows), executed(*rows)
    assert (research, execution) == (researched(*rows), executed(*rows))
    assert weighed(*execution.signals) == weighed(*execution.signals)
    lines = [
        *(signal.metadata["line"] for signal in execution.signals),
        *(row.line for row in (*research.rejected, *execution.rejected)),
    ]
    assert sorted(lines) == list(range(2, 2 + len(rows)))
    assert all(row.reason for row in (*research.rejected, *execution.rejected))
