"""
How the columns of a raw record become the fields of a signal.

A map is plain data (see docs/planning.md for the file's form); reading a record through it either
gives a value or says, in `UnreadableRecord`, which column would not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from engines import checks
from engines.errors import InvalidInput
from engines.personas.model import Row

_decimal = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NULLS = frozenset({"", "null", "none", "nan", "n/a", "-"})


class UnreadableRecord(Exception):
    """A record that the map cannot read; the text says which column and why."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """
    One field: a constant, a column as it stands, or a column looked up in a table.

    Attributes:
        column: Where the value stands; None for a constant.
        value: The constant.
        table: Value of the column → value of the field; empty to take the column as it stands.
        default: For a value that is missing or not in the table; None makes that an error.
        add: Further rules whose numbers are added, for example for a second alarm.
    """

    column: str | None = None
    value: Any = None
    table: Mapping[str, Any] = field(default_factory=dict)
    default: Any = None
    add: tuple[FieldRule, ...] = ()

    def __post_init__(self) -> None:
        if (self.column is None) == (self.value is None):
            raise InvalidInput("a rule needs either a column or a value")
        if self.column is None and (self.table or self.default is not None):
            raise InvalidInput("a table or a default belongs to a column, not to a value")

    def read(self, row: Row, what: str) -> Any:
        if self.column is None:
            return self.value
        text = cell(row, self.column)
        found = (self.table.get(text) if self.table else text) if text is not None else None
        if found is None:
            found = self.default
        if found is None:
            if text is None:
                raise UnreadableRecord(f"{what}: column {self.column!r} is empty")
            raise UnreadableRecord(f"{what}: {text!r} is not in the table of {self.column!r}")
        return found

    def read_number(self, row: Row, what: str) -> float:
        """The field as a finite number, with what `add` finds added to it."""
        found = self.read(row, what)
        try:
            number = _number(found, what)
        except InvalidInput:
            raise UnreadableRecord(f"{what} must be a finite number, found {found!r}") from None
        return number + sum(rule.read_number(row, what) for rule in self.add)

    def read_words(self, row: Row, what: str) -> tuple[str, ...]:
        """The field as words: a list, or text with commas or semicolons between them."""
        found = self.read(row, what)
        parts = re.split(r"[,;]", found) if isinstance(found, str) else found
        if not isinstance(parts, Sequence) or not all(isinstance(part, str) for part in parts):
            raise UnreadableRecord(f"{what} must be words, found {found!r}")
        return tuple(part.strip() for part in parts if part.strip())

    def columns(self) -> Iterator[str]:
        if self.column is not None:
            yield self.column
        for rule in self.add:
            yield from rule.columns()


@dataclass(frozen=True, slots=True)
class TimeRule:
    """When: a column in ISO 8601, or in *format* (as `strptime`) in the named *timezone*."""

    column: str
    format: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise InvalidInput(f"no time zone named {self.timezone!r}") from None
        if self.format:
            self._refuse_unreadable(self.format)

    @staticmethod
    def _refuse_unreadable(format: str) -> None:  # noqa: A002  the attribute's name
        """Raise where not even what was written in *format* can be read with it."""
        some_time = datetime(2000, 1, 1, tzinfo=UTC)
        try:
            datetime.strptime(some_time.strftime(format), format)  # noqa: DTZ007  it is thrown away
        except re.error:
            raise InvalidInput(f"the format {format!r} names a part twice") from None
        except ValueError as error:
            raise InvalidInput(f"the format {format!r} reads no time: {error}") from None

    def read(self, row: Row) -> datetime | None:
        text = cell(row, self.column)
        if text is None:
            return None
        try:
            if self.format:
                # The zone is stated by the map, or by the format itself.
                stamp = datetime.strptime(text, self.format)  # noqa: DTZ007
            else:
                stamp = datetime.fromisoformat(text)
        except ValueError:
            expected = self.format or "ISO 8601"
            raise UnreadableRecord(f"time: {text!r} is not in the form {expected}") from None
        if stamp.tzinfo is None:
            stamp = stamp.replace(tzinfo=ZoneInfo(self.timezone))
        try:
            return checks.utc(stamp)
        except InvalidInput as error:
            raise UnreadableRecord(f"time: {error}") from None

    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True)
class PositionRule:
    """Where: an x and a y column, or one column and a *pattern* with groups named x and y."""

    x: str | None = None
    y: str | None = None
    column: str | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        given = tuple(name is not None for name in (self.x, self.y, self.column))
        if given not in {(True, True, False), (False, False, True)}:
            raise InvalidInput("a position needs either x and y or a column")
        if self.column is None and self.pattern is not None:
            raise InvalidInput("a pattern belongs to a column, not to x and y")
        if not {"x", "y"} <= set(self._matcher.groupindex):
            raise InvalidInput("the pattern needs groups (?P<x>…) and (?P<y>…)")

    @cached_property
    def _matcher(self) -> re.Pattern[str]:
        try:
            return re.compile(self.pattern or r"(?P<x>[^,;\s]+)[,;\s]+(?P<y>[^,;\s]+)")
        except re.error as error:
            raise InvalidInput(f"the pattern is not a regular expression: {error}") from None

    def read(self, row: Row) -> tuple[float, float] | None:
        if self.column is None:
            x, y = cell(row, self.x or ""), cell(row, self.y or "")
        else:
            text = cell(row, self.column)
            if text is None:
                return None
            match = self._matcher.search(text)
            if not match:
                raise UnreadableRecord(f"position: {text!r} does not fit the pattern")
            x, y = match["x"], match["y"]
        if x is None or y is None:
            return None
        try:
            return _number(x, "x"), _number(y, "y")
        except InvalidInput:
            raise UnreadableRecord(f"position: ({x}, {y}) are not two finite numbers") from None

    def columns(self) -> Iterator[str]:
        yield from (name for name in (self.x, self.y, self.column) if name)


@dataclass(frozen=True)
class SignalMap:
    """
    All fields together.

    Attributes:
        zone: Name of the zone; where it is missing or unknown, *position* decides.
        summary: Text with {Column} in it.
        identifier: What names the record, and so the task; None numbers them.
        severity_scale: What the severity rule's numbers are divided by.
    """

    summary: str
    sector: FieldRule
    severity: FieldRule
    zone: FieldRule | None = None
    position: PositionRule | None = None
    skills: FieldRule = field(default_factory=lambda: FieldRule(value=()))
    effort_hours: FieldRule = field(default_factory=lambda: FieldRule(value=4.0))
    time: TimeRule | None = None
    identifier: FieldRule | None = None
    severity_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.zone is None and self.position is None:
            raise InvalidInput("a map needs a zone or a position")
        if checks.finite(self.severity_scale, "severity_scale") <= 0:
            raise InvalidInput(f"severity_scale must be above 0, found {self.severity_scale:g}")
        try:
            self._summary_parts  # noqa: B018  made now, so that a bad one is found now
        except InvalidInput as error:
            raise InvalidInput(f"summary: {error}") from None

    @cached_property
    def _summary_parts(self) -> tuple[tuple[str, str | None], ...]:
        return template_parts(self.summary)

    def read_summary(self, row: Row) -> str:
        return "".join(
            text + (cell(row, name) or "?" if name else "") for text, name in self._summary_parts
        )

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Field → the columns it reads."""
        rules = {
            "zone": self.zone,
            "sector": self.sector,
            "position": self.position,
            "severity": self.severity,
            "skills": self.skills,
            "effort_hours": self.effort_hours,
            "time": self.time,
            "identifier": self.identifier,
        }
        found = {name: tuple(rule.columns()) for name, rule in rules.items() if rule}
        return {**found, "summary": tuple(name for _, name in self._summary_parts if name)}


def template_parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """
    Pairs of text and the column that follows it, None after the last.

    Raises:
        InvalidInput: The braces do not match, or hold something else than a column's name.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise InvalidInput(f"{error} in {template!r}") from None
    for _, name, spec, conversion in parts:
        if name == "":
            raise InvalidInput("name a column between the braces")
        if spec or conversion:
            raise InvalidInput(f"a column stands as it is; put just {{{name}}} between the braces")
    return tuple((text, name) for text, name, _, _ in parts)


def cell(row: Row, column: str) -> str | None:
    """The text of a column, or None where it is missing or one of the usual words for nothing."""
    text = (row.get(column) or "").strip()
    return None if text.lower() in _NULLS else text


def _number(value: Any, what: str) -> float:
    """A number, or text that is one in decimal digits; `float` takes more, such as 1_000."""
    if isinstance(value, str) and _decimal.fullmatch(value.strip()):
        value = float(value)
    return checks.finite(value, what)
