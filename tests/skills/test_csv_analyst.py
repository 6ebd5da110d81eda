"""The CSV analyst: on the calls of the example, on planted figures, and on what is no table."""

from __future__ import annotations

import csv
import gzip
import json
import re
import statistics
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from dino_os.errors import InvalidInput
from skills.csv_analyst import csv_analyst
from skills.text_file import Numbers
from tests.conftest import REPOSITORY

CALLS = REPOSITORY / "examples" / "fire-duty" / "calls.csv"
REAL = REPOSITORY.parent / "shared" / "data" / "sf-fire-calls.csv"


def analysed(file: Path, question: str = "") -> dict[str, Any]:
    return csv_analyst(file, question, model=False)


def table(folder: Path, rows: list[list[Any]]) -> Path:
    file = folder / "t.csv"
    with file.open("w", newline="") as text:
        csv.writer(text).writerows(rows)
    return file


def test_the_examples_calls_are_described() -> None:
    found = analysed(CALLS)
    rows = list(csv.DictReader(CALLS.read_text("utf-8-sig").splitlines()))
    assert found["records"] == len(rows) == 43
    kinds = {name: column["type"] for name, column in found["columns"].items()}
    assert list(kinds) == list(rows[0])
    assert (kinds["CallType"], kinds["Delay"], kinds["ALSUnit"]) == ("text", "number", "yes/no")
    delays = [float(row["Delay"]) for row in rows if row["Delay"] not in {"", "null"}]
    told = found["columns"]["Delay"]
    assert told["mean"] == pytest.approx(statistics.mean(delays), rel=1e-5)
    assert told["deviation"] == pytest.approx(statistics.stdev(delays), rel=1e-5)
    assert (told["least"], told["most"]) == (min(delays), max(delays))
    assert told["quartiles"][1] == pytest.approx(statistics.median(delays), rel=1e-5)


@pytest.mark.skipif(not REAL.exists(), reason="the real calls are not beside this repository")
def test_the_real_calls_show_what_is_odd() -> None:
    found = analysed(REAL, "mean Delay by Battalion")
    assert found["records"] == 1000
    assert found["columns"]["AvailableDtTm"]["type"] == "time"
    assert found["columns"]["CallNumber"]["type"] == "identifier"
    assert found["columns"]["CallTypeGroup"]["type"] == "empty"
    assert found["columns"]["Delay"]["outliers"]["worst"][0] == {
        "line": 113,
        "value": 95.28333,
        "score": pytest.approx(71, abs=1),
    }
    rows = list(csv.DictReader(REAL.read_text("utf-8-sig").splitlines()))
    of_b03 = [float(row["Delay"]) for row in rows if row["Battalion"] == "B03"]
    answer = found["answer"]["groups"]
    assert answer["B03"] == pytest.approx(statistics.mean(of_b03), rel=1e-5)
    assert len(answer) == 10


def test_planted_figures_are_found(tmp_path: Path, chance: Random) -> None:
    """A wild value, two columns that go together, and a group that is apart."""
    rows: list[list[Any]] = [["site", "flow", "power", "noise"]]
    for number in range(400):
        site = "north" if number % 2 else "south"
        flow = round(chance.gauss(20 if number % 2 else 10, 1), 3)
        rows.append([site, flow, round(flow**3 + chance.random(), 3), round(chance.random(), 3)])
    rows[200][3] = 99.5
    found = analysed(table(tmp_path, rows))
    assert found["columns"]["noise"]["outliers"]["worst"][0]["line"] == 201
    assert found["columns"]["noise"]["outliers"]["count"] == 1
    assert found["correlations"][0]["columns"] == ["flow", "power"]
    assert found["correlations"][0]["rho"] > 0.95
    assert found["groups"][0]["by"] == "site"
    assert list(found["groups"][0]["groups"]) == ["north", "south"]
    assert {one["of"] for one in found["groups"][:2]} == {"flow", "power"}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how many rows?", {"count": 4}),
        ("What is the average of price?", {"verb": "mean", "of": "price", "value": 2.0}),
        ("sum of price", {"verb": "sum", "of": "price", "value": 6.0}),
        ("highest price by kind", {"verb": "most", "of": "price", "groups": {"b": 3.0, "a": 2.0}}),
        ("how many by kind", {"verb": "count", "groups": {"a": 2, "b": 2}}),
        ("most common kind", {"verb": "frequent", "values": {"a": 2, "b": 2}}),
        ("is price missing anywhere", {"verb": "missing", "missing": 1}),
        ("what shall we do?", None),
        ("mean kind", None),
    ],
)
def test_simple_questions_are_answered_by_arithmetic(
    tmp_path: Path, question: str, answer: dict[str, Any] | None
) -> None:
    file = table(tmp_path, [["kind", "price"], ["a", 1], ["a", 2], ["b", 3], ["b", "null"]])
    told = analysed(file, question)
    found = told["answer"]
    assert found is answer is None or {name: found[name] for name in answer or {}} == answer
    assert ("No answer by arithmetic" in told["report"]) is (answer is None)


def test_other_commas_torn_rows_and_empty_names_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes("\ufeffa;a;\n1;2;\x00x;more\n3\n\n\xff;4;y\n".encode("latin-1", "ignore"))
    found = analysed(file)
    assert (found["records"], found["ragged"]) == (3, 2)
    assert len(found["columns"]) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\n\n", "the file is empty"),
        (b'a,b\n1,"' + b"x" * (2**20 + 9), ":2: cannot be read from here on: field larger"),
        (b'a,b\n1,2\n1,"x\n2,y\n3,z\n', ":3: a quote that is opened here is never closed"),
        (b"," * 2**22, ":1: cannot be read from here on: it has a line of more than"),
        (b"," * 2_000, "2,001 columns"),
        (
            gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0)[:-9],
            "cannot be read from here on: Compressed",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=rf"t\.csv.*{re.escape(reason)}"):
        analysed(tmp_path / "t.csv")


def test_decimal_commas_are_numbers_too(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    rows = [f"Süd;{n // 2},{n % 2 * 5};1.{n * 7 % 40:03},00;17.{n % 9 + 1}.2026" for n in range(40)]
    file.write_text("\n".join(["Ort;Pegel;Euro;Tag", *rows]))
    found = analysed(file, "sum Pegel by Ort")
    kinds = {name: column["type"] for name, column in found["columns"].items()}
    assert kinds == {"Ort": "text", "Pegel": "number", "Euro": "number", "Tag": "time"}
    euro = found["columns"]["Euro"]
    assert (euro["least"], euro["most"], found["columns"]["Pegel"]["most"]) == (1000, 1039, 19.5)
    assert found["answer"]["groups"] == {"Süd": 390}
    assert found["decimal_mark"] == ","


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["0,125", "12,500"], [0.125, 12.5]),
        (["1.234,567", "2"], [1234.567, 2]),
        (["1234,567", "1.234"], [1234.567, 1234]),
        (["0.500", "3,5"], [0.5, None]),
        (["1234.500", "3,5"], [1234.5, None]),
        (["1.500e-3", "3,5"], [0.0015, None]),
        (["1,234", "12,345"], [None, None]),
        (["52.5,13", "7"], [None, 7]),
    ],
)
def test_three_digits_are_thousands_only_where_they_can_be(
    texts: list[str], numbers: list[float | None]
) -> None:
    written = Numbers([text] for text in texts)
    assert [written.read(text) for text in texts] == numbers


def test_what_is_no_utf_8_is_read_as_older_programs_write(tmp_path: Path) -> None:
    """Else two names would be one."""
    file = tmp_path / "t.csv"
    file.write_bytes("Name;Ä\nMüller;1\nMöller;2\n".encode("cp1252") + b"\x81;3\n")
    found = analysed(file, "sum Ä by Name")["answer"]
    assert found["groups"] == {"\ufffd": 3, "Möller": 2, "Müller": 1}


@pytest.mark.parametrize("odd", ["3.5", "1,5;2.25", "1,234"])
def test_where_it_is_not_sure_a_comma_makes_no_number(tmp_path: Path, odd: str) -> None:
    """A wrong figure would be worse than none."""
    file = tmp_path / "t.csv"
    file.write_text("a;b\n" + "7;1.5\n1,25;2\n" * 3 + f"{odd}\n")
    found = analysed(file)
    assert found["decimal_mark"] == "."
    assert found["columns"]["a"]["mixed"]["text"] >= 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_in_each_coding_packed_or_not(
    tmp_path: Path, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "t.csv").write_bytes(pack('größe,b\n1,"x"'.encode(coding)))
    found = analysed(tmp_path / "t.csv")
    assert (found["records"], list(found["columns"])) == (1, ["größe", "b"])


def test_figures_are_those_of_numpy(tmp_path: Path) -> None:
    """Quartiles, outliers and rank correlations; sums of large numbers lose no digit."""
    chance = np.random.default_rng(7)
    a = chance.standard_t(2, 501) * 1e7
    both = np.column_stack((a, np.round(-a / 3e6 + chance.standard_normal(501))))
    found = analysed(table(tmp_path, [["a", "b"], *both.tolist()]), "sum of a")
    ranked = [np.array([np.flatnonzero(np.sort(c) == v).mean() for v in c]) for c in both.T]
    rho = np.corrcoef(*ranked)[0, 1]
    assert found["correlations"] == [
        {"columns": ["a", "b"], "rho": pytest.approx(rho, abs=0.001), "rows": 501}
    ]
    for values, told in zip(both.T, found["columns"].values(), strict=True):
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        off = np.abs(values - quartiles[1])
        assert told["quartiles"] == pytest.approx(quartiles, abs=0.005)
        assert told["outliers"]["count"] == (0.6745 * off / np.median(off) > 3.5).sum()
    assert found["answer"]["value"] == pytest.approx(a.sum(), abs=0.01)


def test_whole_numbers_are_names_only_where_they_count_or_are_called_so(
    tmp_path: Path, chance: Random
) -> None:
    rows = [[n, chance.randrange(10**9), chance.randrange(10**9)] for n in range(99)]
    told = analysed(table(tmp_path, [["row", "CallNumber", "people"], *rows]))["columns"]
    assert [column["type"] for column in told.values()] == ["identifier", "identifier", "number"]
    assert told["people"]["least"] <= told["people"]["mean"] <= told["people"]["most"]


def test_wild_values_leave_figures_that_json_has(tmp_path: Path) -> None:
    rows = [[f"{n % 2 * 2 - 1}e308", "inf", 10**400, "x" * 9_999 + str(n)] for n in range(30)]
    found = analysed(table(tmp_path, [["a", "b", "c", "d"], *rows]), "sum of a")
    assert len(json.dumps(found, allow_nan=False)) < 10_000
    assert {column["type"] for column in found["columns"].values()} == {"text"}
    assert found["columns"]["d"]["distinct"] == 30


def test_a_large_file_stays_in_bounded_memory(
    tmp_path: Path, chance: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skills.csv_analyst._SAMPLE", 500)
    monkeypatch.setattr("skills.csv_analyst._MOST_VALUES", 500)
    rows = ([n, f"{chance.random():.9f}", f"w{n}"] for n in range(3_000))
    file = table(tmp_path, [["n", "share", "word"], *rows])
    analysed(CALLS)  # numpy is here
    tracemalloc.start()
    found = analysed(file)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * 2**20
    assert found["columns"]["word"]["distinct"] == "more than 500"
    assert found["columns"]["n"]["type"] == "identifier"
    assert found["columns"]["share"]["mean"] == pytest.approx(0.5, abs=0.03)
    assert analysed(file) == found
