"""
Where raw records come from: CSV, JSON lines, YAML, and what plugins add.

A reader yields (line number, column → text).  A file that is broken as a file is an error with its
line; a record that is merely odd is the map's to judge.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput
from dino_os.hookspecs import SignalReader
from dino_os.typed_files import Document, read_text
from engines.personas import Row


def read_csv(path: Path) -> Iterator[tuple[int, Row]]:
    """Records of a CSV file whose first line names the columns; blank lines are passed over."""
    records = _csv_records(path)
    columns = _header(path, records)
    for line, fields in records:
        if len(fields) != len(columns):
            found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            raise InvalidInput(f"{path}:{line}: {found}, but the header names {len(columns)}")
        yield line, dict(zip(columns, fields, strict=True))


def columns_of(path: Path, rows: Sequence[tuple[int, Row]]) -> list[str]:
    """The columns of a file: a CSV file states them once, elsewhere a record may leave one out."""
    if path.suffix.lower() == ".csv":
        return list(rows[0][1]) if rows else _header(path, _csv_records(path))
    return list(dict.fromkeys(name for _, row in rows for name in row))


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The fields of each record and the line on which it begins."""
    reader = csv.reader(_lines(path, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"{path}:{line}: not CSV: {error}") from None


def _header(path: Path, records: Iterator[tuple[int, list[str]]]) -> list[str]:
    line, columns = next(records, (1, []))
    if not columns:
        raise InvalidInput(f"{path}: the file is empty")
    if twins := {name for name in columns if columns.count(name) > 1}:
        raise InvalidInput(f"{path}:{line}: two columns are named {min(twins)!r}")
    return columns


def read_json_lines(path: Path) -> Iterator[tuple[int, Row]]:
    """Records of a file with one JSON object on each line; blank lines are passed over."""
    for line, record in json_lines(path):
        yield line, as_row(record)


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """
    The objects of a file with one on each line.

    Raises:
        InvalidInput: A line is no JSON object.
    """
    # Not splitlines(), which also breaks where JSON does not: at U+2028 within a text, for example.
    for line, text in enumerate(_lines(path, newline="\n"), start=1):
        if text.strip():
            yield line, read_object(path, line, text.removesuffix("\n"))


def _lines(path: Path, newline: str) -> Iterator[str]:
    """The lines of a file, with their ends, as they are asked for: a large one is never held."""
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield from file
    except (OSError, UnicodeDecodeError):
        read_text(path)  # says what is wrong, and on which line
        raise


def read_yaml(path: Path) -> Iterator[tuple[int, Row]]:
    """Records of a YAML (or JSON) file: a list of mappings, bare or under `signals`."""
    document = Document(read_text(path), str(path))
    under = ("signals",) if isinstance(document.data, dict) else ()
    records = document.data.get("signals") if under else document.data
    if not isinstance(records, list):
        raise InvalidInput(f"{path}: expected a list of records, found {records!r:.60}")
    for index, record in enumerate(records):
        line = document.line_of((*under, index)) or 1
        if not isinstance(record, dict):
            raise InvalidInput(f"{path}:{line}: expected a mapping, found {record!r:.60}")
        yield line, as_row(record)


READERS: Mapping[str, SignalReader] = {
    ".csv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_yaml,
    ".yaml": read_yaml,
    ".yml": read_yaml,
}


def reader_for(path: Path, from_plugins: Mapping[str, SignalReader]) -> SignalReader:
    """
    The reader for a file of that ending.

    Raises:
        InvalidInput: No reader knows the ending.
    """
    readers = {**from_plugins, **READERS}
    if reader := readers.get(path.suffix.lower()):
        return reader
    known = ", ".join(sorted(readers))
    raise InvalidInput(f"{path}: no reader for files ending in {path.suffix!r} (known: {known})")


def read_object(path: Path, line: int, text: str) -> dict[str, Any]:
    """
    The JSON object that is *text*.

    Raises:
        InvalidInput: It is not one, a name stands twice, a number is not finite, or a text holds
            half a surrogate pair.
    """
    try:
        data = json.loads(
            text,
            object_pairs_hook=_no_twins,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        if "\\u" in text:
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        if isinstance(error, UnicodeEncodeError):
            what = "half a surrogate pair"
        raise InvalidInput(f"{path}:{line}: not JSON: {what}") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"{path}:{line}: expected a JSON object, found {text[:60]!r}")
    return data


def as_row(record: Mapping[str, Any]) -> dict[str, str]:
    """A record of JSON values as text by column; an object or list becomes its JSON."""
    return {str(key): as_text(value) for key, value in record.items()}


def within(data: Any, steps: Sequence[str], label: str) -> Any:
    """
    What *steps* lead to in *data*.

    Raises:
        InvalidInput: There is nothing.
    """
    for step in steps:
        if not isinstance(data, dict) or step not in data:
            raise InvalidInput(f"{label}: there is no {'.'.join(steps)!r} in it")
        data = data[step]
    return data


def refuse_halves(row: Row) -> None:
    """
    Let through a record whose text can be written down.

    Raises:
        InvalidInput: It holds half a surrogate pair, as JSON can spell it.
    """
    try:
        "".join(part for item in row.items() for part in item).encode()
    except UnicodeEncodeError:
        raise InvalidInput("holds half a surrogate pair, which is no text") from None


def as_text(value: Any) -> str:
    """A JSON value as a record has it: text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | dict | list):
        return json.dumps(value)
    return str(value)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twin!r} stands twice")
    return dict(pairs)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not a finite number")


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is too large a number")
    return number


def shown_url(url: str) -> str:
    """An address as it is named: without what in it may be nobody's business."""
    return url.partition("#")[0].partition("?")[0][:200]
