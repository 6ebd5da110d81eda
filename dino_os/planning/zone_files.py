"""Files about zones: GeoJSON, points to be located, streams of positions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dino_os.errors import InvalidInput
from dino_os.planning.sources import reader_for
from dino_os.typed_files import read_text
from engines.zone.geojson import Imported, zones_from_geojson

GEOJSON = frozenset({".geojson", ".json"})


class Positions(NamedTuple):
    """Columns of a stream: whose position each is, seconds since the epoch, (x, y, z)."""

    objects: list[str]
    at: list[float]
    points: list[tuple[float, float, float]]


def load_geojson(path: Path, *, name: str, wide: str | None) -> list[Imported]:
    """
    The zones of a GeoJSON file.

    Raises:
        InvalidInput: It cannot be read; the message names the file and the feature.
    """
    try:
        document = json.loads(read_text(path))
    except ValueError as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput(f"{path}: not JSON: nested too deeply") from None
    try:
        return zones_from_geojson(document, name=name, wide=wide)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}", hint=error.hint) from None


def load_positions(path: Path, columns: Mapping[str, str]) -> Positions:
    """
    A stream of positions: CSV, JSON lines or what else signals come in.

    Args:
        path: The file.
        columns: Which column is `object`, `time`, `x`, `y`, `z`, where it has another name.

    Raises:
        InvalidInput: A line has no such column, or what is in it cannot be read.
    """
    found = Positions([], [], [])
    for line, row in reader_for(path, {})(path):
        where = f"{path}:{line}"
        found.objects.append(_text(row, columns, "object", where))
        found.at.append(read_time(_text(row, columns, "time", where), where))
        found.points.append(_point(row, columns, where))
    return found


def load_points(path: Path, columns: Mapping[str, str]) -> list[tuple[float, float, float]]:
    """
    The points of a file, with columns as in `load_positions`.

    Raises:
        InvalidInput: As there.
    """
    rows: Iterator[tuple[int, Any]] = reader_for(path, {})(path)
    return [_point(row, columns, f"{path}:{line}") for line, row in rows]


def read_columns(given: tuple[str, ...]) -> dict[str, str]:
    """
    What `--column x=lon` said.

    Raises:
        InvalidInput: It is not of that form, or there is no such field.
    """
    known = ("object", "time", "x", "y", "z")
    found = {}
    for text in given:
        field, equals, column = text.partition("=")
        if field not in known or not equals or not column:
            raise InvalidInput(f"--column: expected {'|'.join(known)}=COLUMN, found {text!r}")
        found[field] = column
    return found


def _point(
    row: Mapping[str, Any], columns: Mapping[str, str], where: str
) -> tuple[float, float, float]:
    x, y = (_number(_text(row, columns, axis, where), axis, where) for axis in "xy")
    up = row.get(columns.get("z", "z"))
    if up is None or not str(up).strip():
        if "z" in columns and columns["z"] not in row:
            raise InvalidInput(f"{where}: no column {columns['z']!r}")
        return x, y, 0.0
    return x, y, _number(str(up), "z", where)


def _text(row: Mapping[str, Any], columns: Mapping[str, str], field: str, where: str) -> str:
    column = columns.get(field, field)
    value = row.get(column)
    if value is None or not str(value).strip():
        raise InvalidInput(
            f"{where}: nothing in column {column!r}",
            hint=f"--column {field}=COLUMN names another one",
        )
    return str(value).strip()


def _number(text: str, what: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{where}: {what} must be a finite number, found {text!r}")
    return number


def read_time(text: str, where: str) -> float:
    """
    Seconds since the epoch, or RFC 3339; without a zone UTC.

    Raises:
        InvalidInput: It is neither; *where* it stands begins the message.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{where}: not a time: {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
