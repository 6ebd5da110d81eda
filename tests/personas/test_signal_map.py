"""How a map reads a record: tables, defaults, sums, words, times and positions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.personas import FieldRule, PositionRule, SignalMap, TimeRule
from engines.personas.signal_map import UnreadableRecord

TABLE = FieldRule("grade", table={"A": 0.9, "B": 0.5}, default=0.1)
STRICT = FieldRule("grade", table={"A": 0.9})
SUM = FieldRule("base", add=(FieldRule("alarm", table={"2": 0.25}, default=0), FieldRule(value=1)))


@pytest.mark.parametrize(
    ("rule", "row", "value"),
    [
        (FieldRule(value="North"), {}, "North"),
        (FieldRule("zone"), {"zone": " Pier "}, "Pier"),
        (TABLE, {"grade": "A"}, 0.9),
        (TABLE, {"grade": " B "}, 0.5),
        (TABLE, {"grade": "C"}, 0.1),
        (TABLE, {"grade": ""}, 0.1),
        (TABLE, {}, 0.1),
        (FieldRule("zone", default="Hub"), {"zone": "N/A"}, "Hub"),
        (FieldRule("zone", default="Hub"), {"zone": "Pier"}, "Pier"),
    ],
)
def test_a_field_is_a_constant_a_column_or_a_look_up(
    rule: FieldRule, row: dict[str, str], value: Any
) -> None:
    """The default stands in for what is missing or not in the table."""
    assert rule.read(row, "field") == value


@pytest.mark.parametrize("nothing", ["", "  ", "null", "None", "NaN", "n/a", "-"])
def test_the_usual_words_for_nothing_are_nothing(nothing: str) -> None:
    """A required column that holds one of them is empty."""
    with pytest.raises(UnreadableRecord, match="zone: column 'z' is empty"):
        FieldRule("z").read({"z": nothing}, "zone")


def test_a_value_outside_the_table_is_named() -> None:
    """The text says the field, the value and the column."""
    with pytest.raises(UnreadableRecord, match="severity: 'C' is not in the table of 'grade'"):
        STRICT.read({"grade": "C"}, "severity")


@pytest.mark.parametrize(
    ("row", "number"),
    [({"base": "0.5", "alarm": "2"}, 1.75), ({"base": "2", "alarm": "9"}, 3), ({"base": "-1"}, 0)],
)
def test_added_rules_add_their_numbers(row: dict[str, str], number: float) -> None:
    """A sum over columns, tables and constants."""
    assert SUM.read_number(row, "severity") == number


@pytest.mark.parametrize(
    "text", ["high", "nan", "inf", "-inf", "1e999", "1,5", "1_000", "١٢", "0x10", "true"]
)
def test_a_number_is_finite(text: str) -> None:
    """Whatever is none is told with its text; the words for nothing are an empty column."""
    with pytest.raises(UnreadableRecord, match="effort"):
        FieldRule("h").read_number({"h": text}, "effort")


@pytest.mark.parametrize("value", [True, False, None, [], {"a": 1}])
def test_what_a_table_holds_is_a_number_or_none(value: Any) -> None:
    """True is not 1."""
    with pytest.raises(UnreadableRecord, match=r"effort( must be a finite number|: 'x' is not in)"):
        FieldRule("t", table={"x": value}).read_number({"t": "x"}, "effort")


@pytest.mark.parametrize(
    "form",
    [
        *("%Y-%m-%d", "%d.%m.%y %H:%M", "%c", "%x %X", "%A %B %d %Y", "%G-W%V-%u", "%Y %j"),
        *("%Y %U %w", "%H:%M:%S.%f %z", "%I %p %Z", "%Y%%"),
    ],
)
def test_every_format_that_reads_is_taken(form: str) -> None:
    """Whatever `strptime` reads back of what `strftime` wrote."""
    moment = datetime(2027, 1, 15, 10, tzinfo=UTC)
    assert TimeRule("t", form).read({"t": moment.strftime(form)}) is not None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_written_number_is_read_back(number: float) -> None:
    """Through text, to the last bit."""
    assert FieldRule("h").read_number({"h": repr(number)}, "effort") == number


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (FieldRule("s"), ("fire", "rescue", "boats")),
        (FieldRule(value=("fire", " boats ")), ("fire", "boats")),
        (FieldRule(value=()), ()),
        (FieldRule("t", table={"x": ["fire", "boats"]}), ("fire", "boats")),
        (FieldRule("none", default="fire"), ("fire",)),
    ],
)
def test_words_are_a_list_or_text_with_separators(rule: FieldRule, words: tuple[str, ...]) -> None:
    """Commas and semicolons separate; empty parts are left out."""
    assert rule.read_words({"s": "fire, rescue;; boats,", "t": "x"}, "skills") == words


@pytest.mark.parametrize("value", [3, [1, 2], {"a": 1}])
def test_what_is_no_list_of_words_is_unreadable(value: Any) -> None:
    """A table may hold anything; the record is refused, not the run."""
    with pytest.raises(UnreadableRecord, match="skills must be words"):
        FieldRule("t", table={"x": value}).read_words({"t": "x"}, "skills")


@pytest.mark.parametrize(
    ("rule", "text", "moment"),
    [
        (TimeRule("t"), "2027-01-15T10:00:00Z", datetime(2027, 1, 15, 10, tzinfo=UTC)),
        (TimeRule("t"), "2027-01-15T10:00:00+09:00", datetime(2027, 1, 15, 1, tzinfo=UTC)),
        (TimeRule("t"), "2027-01-15 10:00", datetime(2027, 1, 15, 10, tzinfo=UTC)),
        (
            TimeRule("t", timezone="America/Los_Angeles"),
            "2027-01-15T10:00:00",
            datetime(2027, 1, 15, 18, tzinfo=UTC),
        ),
        (
            TimeRule("t", timezone="America/Los_Angeles"),
            "2027-07-15T10:00:00",  # summer time there
            datetime(2027, 7, 15, 17, tzinfo=UTC),
        ),
        (
            TimeRule("t", timezone="America/Los_Angeles"),
            "2027-01-15T10:00:00Z",  # what the text says goes before what the map says
            datetime(2027, 1, 15, 10, tzinfo=UTC),
        ),
        (
            TimeRule("t", "%m/%d/%Y %I:%M %p", "Europe/Berlin"),
            "01/15/2027 10:00 PM",
            datetime(2027, 1, 15, 21, tzinfo=UTC),
        ),
        (TimeRule("t", "%Y %z"), "2027 -0200", datetime(2027, 1, 1, 2, tzinfo=UTC)),
        (TimeRule("t"), "", None),
        (TimeRule("t"), "null", None),
    ],
)
def test_times_are_read_into_utc(rule: TimeRule, text: str, moment: datetime | None) -> None:
    """ISO 8601 or a format of one's own; the map's zone counts where the text has none."""
    assert rule.read({"t": text}) == moment


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (TimeRule("t"), "yesterday"),
        (TimeRule("t"), "01/15/2027"),
        (TimeRule("t", "%d.%m.%Y"), "2027-01-15"),
        (TimeRule("t"), "0001-01-01T00:00:00+14:00"),
        (TimeRule("t"), "9999-12-31T23:59:59.999999"),
    ],
)
def test_a_time_that_cannot_be_read_spoils_only_its_record(rule: TimeRule, text: str) -> None:
    """Wrong forms and the ends of the calendar are told with their text."""
    with pytest.raises(UnreadableRecord, match=r"time: .*(is not in the form|out of range)"):
        rule.read({"t": text})


@pytest.mark.parametrize(
    ("rule", "row", "point"),
    [
        (PositionRule("x", "y"), {"x": "1.5", "y": "-2"}, (1.5, -2.0)),
        (PositionRule("x", "y"), {"x": "1.5", "y": ""}, None),
        (PositionRule(column="p"), {"p": "1.5, -2"}, (1.5, -2.0)),
        (PositionRule(column="p"), {"p": "1.5 -2"}, (1.5, -2.0)),
        (PositionRule(column="p"), {}, None),
        (
            PositionRule(column="p", pattern=r"POINT \((?P<x>\S+) (?P<y>\S+)\)"),
            {"p": "POINT (-122.4 37.7)"},
            (-122.4, 37.7),
        ),
    ],
)
def test_positions_are_two_columns_or_one_with_a_pattern(
    rule: PositionRule, row: dict[str, str], point: tuple[float, float] | None
) -> None:
    """Where a part is missing there is no position."""
    assert rule.read(row) == point


@pytest.mark.parametrize(
    ("row", "message"),
    [({"p": "here"}, "'here' does not fit"), ({"p": "1 b"}, r"\(1, b\)"), ({"p": "1 inf"}, "inf")],
)
def test_a_position_that_cannot_be_read_is_told(row: dict[str, str], message: str) -> None:
    """The text is in the message."""
    with pytest.raises(UnreadableRecord, match=f"position: .*{message}"):
        PositionRule(column="p").read(row)


def signal_map(**fields: Any) -> SignalMap:
    good = {
        "summary": "{what}",
        "sector": FieldRule("s"),
        "severity": TABLE,
        "zone": FieldRule("z"),
    }
    return SignalMap(**{**good, **fields})


def test_a_summary_is_text_with_columns_in_it() -> None:
    """A missing column is a question mark; doubled braces are braces."""
    reading = signal_map(summary="{what} at {Street Name}: {{{grade}}}")
    assert reading.read_summary({"what": "Fire", "grade": "A"}) == "Fire at ?: {A}"


def test_a_map_knows_the_columns_it_reads() -> None:
    """By field, added rules and positions included, so that a file can be checked before."""
    columns = signal_map(
        severity=SUM, position=PositionRule("x", "y"), time=TimeRule("t")
    ).columns()
    assert columns == {
        "zone": ("z",),
        "sector": ("s",),
        "position": ("x", "y"),
        "severity": ("base", "alarm"),
        "skills": (),
        "effort_hours": (),
        "time": ("t",),
        "summary": ("what",),
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: signal_map(zone=None), "a map needs a zone or a position"),
        (lambda: signal_map(severity_scale=0), "severity_scale must be above 0, found 0"),
        (lambda: signal_map(severity_scale=float("nan")), "severity_scale must be finite"),
        (lambda: signal_map(summary="{}"), "name a column between the braces"),
        (lambda: signal_map(summary="{what"), "summary: "),
        (lambda: signal_map(summary="{what:>10}"), r"summary: .*just \{what\}"),
        (lambda: signal_map(summary="{what!r}"), r"summary: .*just \{what\}"),
        (lambda: signal_map(summary="{what:{grade}}"), r"summary: .*just \{what\}"),
        (FieldRule, "either a column or a value"),
        (lambda: FieldRule("grade", value=0.5), "either a column or a value"),
        (lambda: FieldRule(value=0.5, table={"A": 1}), "a table or a default belongs to a column"),
        (lambda: FieldRule(value=0.5, default=1), "a table or a default belongs to a column"),
        (lambda: PositionRule("x"), "needs either x and y or a column"),
        (PositionRule, "needs either x and y"),
        (lambda: PositionRule("x", "y", "p"), "needs either x and y or a column"),
        (lambda: PositionRule("x", column="p"), "needs either x and y or a column"),
        (lambda: PositionRule("x", "y", pattern="."), "a pattern belongs to a column"),
        (lambda: PositionRule(column="p", pattern=r"(?P<x>.)"), "needs groups"),
        (lambda: PositionRule(column="p", pattern="("), "not a regular expression"),
        (lambda: TimeRule("t", timezone="Mars/Olympus"), "no time zone named 'Mars/Olympus'"),
        (lambda: TimeRule("t", timezone="America"), "no time zone named 'America'"),
        (lambda: TimeRule("t", timezone="../UTC"), "no time zone named '../UTC'"),
        (lambda: TimeRule("t", "%Q"), "the format '%Q' reads no time: 'Q' is a bad directive"),
        (lambda: TimeRule("t", "%d.%m.%Y %"), "reads no time: stray %"),
        (lambda: TimeRule("t", "%G"), "reads no time: ISO year"),
        (lambda: TimeRule("t", "%Y %Y"), "the format '%Y %Y' names a part twice"),
    ],
)
def test_a_bad_map_is_refused_when_made(make: Callable[[], Any], message: str) -> None:
    """Before the first record is read, as a ValueError that says what is wrong."""
    with pytest.raises(InvalidInput, match=message):
        make()
