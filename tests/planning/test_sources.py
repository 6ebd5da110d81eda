"""Files of records: CSV, JSON lines and YAML give the same signals, and name the right lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dino_os.planning.sources import read_csv
from tests.conftest import Dino, Outcome
from tests.desk import CALL, COLUMNS, calls_text, map_text
from tests.planning.conftest import Plan

BAD = {"id": "C-9", "kind": "flood"}  # in no table of the map
HEADER = ",".join(COLUMNS)
GOOD_ROW = ",".join(CALL.values())


def planned(desk: Path, dino: Dino, name: str, content: bytes, code: int = 0) -> Outcome:
    """Plan on the records in a file of that name."""
    (desk / name).write_bytes(content)
    arguments = ("scenario.yaml", "--signals", name, "--map", "map.yaml", "--dry-run", "--json")
    return dino("plan-cycle", *arguments, code=code)


def tasks(report: Any) -> list[tuple[str, str]]:
    return [(task["identifier"], task["description"]) for task in report["tasks"]]


def as_json_lines(calls: list[dict[str, str]]) -> str:
    return "".join(json.dumps({**CALL, **call}) + "\n" for call in calls)


def as_json(calls: list[dict[str, str]]) -> str:
    return "[\n" + ",\n".join(as_json_lines(calls).splitlines()) + "\n]\n"


def as_yaml(calls: list[dict[str, str]]) -> str:
    return "".join(f"- {json.dumps({**CALL, **call})}\n" for call in calls)


@pytest.mark.parametrize(
    ("name", "write", "first_line"),
    [
        ("calls.csv", calls_text, 2),
        ("calls.CSV", calls_text, 2),
        ("calls.jsonl", as_json_lines, 1),
        ("calls.ndjson", as_json_lines, 1),
        ("calls.yaml", as_yaml, 1),
        ("calls.yml", as_yaml, 1),
        ("calls.json", as_json, 2),
    ],
)
def test_every_kind_of_file_gives_the_same(
    desk: Path, dino: Dino, name: str, write: Any, first_line: int
) -> None:
    """The same tasks, and the rejected record with its line."""
    calls = [{}, {"id": "C-2", "place": "Quay", "kind": "alarm"}, BAD, {"id": "C-4"}]
    report = planned(desk, dino, name, write(calls).encode()).json
    assert tasks(report) == [
        ("C-1", "fire at Mole"),
        ("C-2", "alarm at Quay"),
        ("C-4", "fire at Mole"),
    ]
    assert [row["line"] for row in report["rejected"]] == [first_line + 2]
    assert report["source"].endswith(name)


@pytest.mark.parametrize("name", ["calls.csv", "calls.jsonl", "calls.yaml"])
def test_a_byte_order_mark_is_passed_over(desk: Path, dino: Dino, name: str) -> None:
    """As spreadsheets write it."""
    write = {"csv": calls_text, "jsonl": as_json_lines, "yaml": as_yaml}[name.split(".")[1]]
    content = write([{"place": "Mole", "kind": "fire"}]).encode("utf-8-sig")
    assert tasks(planned(desk, dino, name, content).json) == [("C-1", "fire at Mole")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("calls.csv", f"{HEADER}\n{GOOD_ROW}\n{GOOD_ROW.replace('Mole', 'Môle')}\n"),
        ("calls.jsonl", f"\n{json.dumps(CALL)}\n" + '{"place": "Môle"}\n'),
        ("calls.yaml", "-\n  id: x\n- place: Môle\n"),
    ],
)
def test_another_encoding_is_refused_with_its_line(
    desk: Path, dino: Dino, name: str, content: str
) -> None:
    """Guessing would put wrong names into the record."""
    error = planned(desk, dino, name, content.encode("cp1252"), code=2).error
    assert error["message"] == f"{name}:3: not UTF-8 (byte 0xf4)"
    assert "iconv" in error["hint"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_are_counted_through_quoted_newlines_and_blank_lines(
    desk: Path, dino: Dino, ending: str
) -> None:
    """A record is where its first line is, as an editor counts."""
    lines = [
        HEADER,  # 1
        GOOD_ROW,
        "",
        "",
        GOOD_ROW.replace("C-1", '"C-5, again"').replace("fire", "flood"),  # 5
        '"C-6',  # 6, which goes on …
        GOOD_ROW.replace("C-1", '7"'),  # … here
        GOOD_ROW.replace("C-1", "C-8").replace("fire", "flood"),  # 8
        "",
        GOOD_ROW.replace("C-1", "C-10").replace("fire", "flood"),  # 10
    ]
    report = planned(desk, dino, "calls.csv", ending.join(lines).encode()).json
    assert [row["line"] for row in report["rejected"]] == [5, 8, 10]
    assert [task["metadata"]["line"] for task in report["tasks"]] == [2, 6]
    assert report["tasks"][1]["identifier"].splitlines() == ["C-6", "7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "calls.csv: the file is empty"),
        ("\n\n", "calls.csv: the file is empty"),
        (f"{HEADER},id\n", "calls.csv:1: two columns are named 'id'"),
        (f"\n{HEADER},id\n", "calls.csv:2: two columns are named 'id'"),
        (f"{HEADER}\n{GOOD_ROW}\na,b\n", "calls.csv:3: 2 fields, but the header names 8"),
        (f"{HEADER}\n\nlone\n", "calls.csv:3: 1 field, but the header names 8"),
        (f"{HEADER}\n{GOOD_ROW},9\n", "calls.csv:2: 9 fields, but the header names 8"),
        (f'{HEADER}\n{GOOD_ROW}\n"a"b,c\n', "calls.csv:3: not CSV: "),
        (f'{HEADER}\n{GOOD_ROW}\n"never\nclosed\n', "calls.csv:3: not CSV: unexpected end of data"),
        (f'{HEADER}\n"{"x" * 131_073}"\n', "calls.csv:2: not CSV: field larger than"),
        (f"{HEADER.replace('net', 'nett')}\n", "map.yaml: $.sector: calls.csv has no column 'net'"),
    ],
)
def test_a_broken_csv_file_is_refused_with_its_line(
    desk: Path, dino: Dino, text: str, message: str
) -> None:
    """A file that is broken as a file is not read in part."""
    error = planned(desk, dino, "calls.csv", text.encode(), code=2).error
    assert error["message"].startswith(message)


def test_the_columns_of_a_file_without_records_are_held_against_the_map(
    desk: Path, dino: Dino
) -> None:
    """A header alone is a file of no records; a wrong one is wrong with or without them."""
    assert planned(desk, dino, "calls.csv", HEADER.encode()).json["counts"]["signals"] == 0
    error = planned(desk, dino, "calls.csv", b"id,place,nett\n", code=2).error
    assert error["message"] == (
        "map.yaml: $.sector: calls.csv has no column 'net' (did you mean 'nett'?)"
    )
    assert error["hint"] == "its columns are id, place, nett"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}\n{"id": ', "calls.jsonl:2: not JSON: Expecting value"),
        ('{"id": 1}\n\n[1]', "calls.jsonl:3: expected a JSON object, found '[1]'"),
        ('{"id": NaN}', "calls.jsonl:1: not JSON: NaN is not a finite number"),
        ('{"id": -Infinity}', "calls.jsonl:1: not JSON: -Infinity is not a finite number"),
        ('{"id": 1e999}', "calls.jsonl:1: not JSON: 1e999 is too large a number"),
        (f'{{"id": {"9" * 5000}}}', "calls.jsonl:1: not JSON: Exceeds the limit"),
        ('{"id": 1, "id": 2}', "calls.jsonl:1: not JSON: the name 'id' stands twice"),
        ('{"id": "\\ud83d"}', "calls.jsonl:1: not JSON: half a surrogate pair"),
        ("[" * 100_000, "calls.jsonl:1: not JSON: "),
    ],
)
def test_a_line_that_is_no_json_object_is_refused(
    desk: Path, dino: Dino, text: str, message: str
) -> None:
    """Strictly, and with its line."""
    error = planned(desk, dino, "calls.jsonl", text.encode(), code=2).error
    assert error["message"].startswith(message)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_only_a_newline_ends_a_line_of_json(desk: Path, dino: Dino, separator: str) -> None:
    """Unicode has more line ends than JSON lines do; within a text they are text."""
    call = json.dumps({**CALL, "id": f"C{separator}1"}, ensure_ascii=False)
    report = planned(desk, dino, "calls.jsonl", f"{call}\r\n\r\n{call}\n".encode()).json
    assert [task["identifier"] for task in report["tasks"]] == [f"C{separator}1"]
    assert [row["line"] for row in report["rejected"]] == [3]  # the same identifier again


def test_a_pair_of_surrogates_is_one_character(desk: Path, dino: Dino) -> None:
    """As `json.dumps` writes what lies beyond the first plane."""
    call = json.dumps({**CALL, "id": "🚒"})
    assert "\\ud83d" in call
    report = planned(desk, dino, "calls.jsonl", call.encode()).json
    assert report["tasks"][0]["identifier"] == "🚒"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "calls.yaml: expected a list of records, found None"),
        ("id: C-1\n", "calls.yaml: expected a list of records, found None"),
        ("signals: 3\n", "calls.yaml: expected a list of records, found 3"),
        ("- {id: 1}\n- two\n", "calls.yaml:2: expected a mapping, found 'two'"),
        ("- {id: 1, id: 2}\n", "calls.yaml:1: the key 'id' stands twice"),
        ("- {id: 1\n", "calls.yaml:2: not YAML: "),
        ("- id: .inf\n", "calls.yaml:1: $[0].id: must be a finite number, found inf"),
        ("- id: !!python/name:os.system\n", "calls.yaml:1: not YAML: could not determine"),
    ],
)
def test_a_yaml_file_of_anything_else_is_refused(
    desk: Path, dino: Dino, text: str, message: str
) -> None:
    """A list of mappings, bare or under `signals`."""
    error = planned(desk, dino, "calls.yaml", text.encode(), code=2).error
    assert message in error["message"]


def test_values_of_every_kind_are_read_as_text(desk: Path, dino: Dino) -> None:
    """Numbers as they are written, truth as JSON has it, nothing as nothing."""
    call = {**CALL, "id": 17, "hours": 2.5, "place": None, "kind": True, "seen": None}
    (desk / "map.yaml").write_text(
        map_text(severity="{column: kind, table: {true: 0.5}}", skills="[check]")
    )
    (task,) = planned(desk, dino, "calls.jsonl", json.dumps(call).encode()).json["tasks"]
    assert task["identifier"] == "17"
    assert task["estimated_effort_hours"] == 2.5
    assert task["description"] == "true at ?"


def test_a_record_may_leave_a_column_out_where_no_header_names_it(desk: Path, dino: Dino) -> None:
    """One that no record has is a slip in the map."""
    lines = [{k: v for k, v in CALL.items() if k != "seen"}, {**CALL, "id": "C-2"}]
    text = "\n".join(map(json.dumps, lines))
    assert planned(desk, dino, "calls.jsonl", text.encode()).json["counts"]["signals"] == 2
    error = planned(desk, dino, "calls.jsonl", json.dumps(lines[0]).encode(), code=2).error
    assert error["message"].startswith("map.yaml: $.time: calls.jsonl has no column 'seen'")


@pytest.mark.parametrize("name", ["calls.xlsx", "calls", "calls.csv.gz"])
def test_a_file_that_no_reader_knows_is_refused(desk: Path, dino: Dino, name: str) -> None:
    """With the endings that are known."""
    error = planned(desk, dino, name, b"", code=2).error
    assert error["message"].startswith(f"{name}: no reader for files ending in ")
    assert ".csv, .json, .jsonl" in error["message"]


def test_every_record_is_found_on_the_line_that_it_is_given(tmp_path: Path) -> None:
    """A thousand of them, over one to three lines, with blank lines between."""
    path = tmp_path / "long.csv"
    records = [f'{n},"{"x" + chr(10) * (n % 3)}"{chr(10) * (n % 2)}' for n in range(1000)]
    path.write_text("\n".join(["n,text", *records]))
    text = path.read_text().splitlines()
    assert [text[line - 1].split(",")[0] for line, _ in read_csv(path)] == [
        str(n) for n in range(1000)
    ]


def test_a_folder_is_no_file(desk: Path, plan: Plan) -> None:
    """Said as what it is."""
    (desk / "calls.csv").unlink()
    (desk / "calls.csv").mkdir()
    assert plan(code=2).error["message"] == "calls.csv: cannot be read: Is a directory"
