"""A table without a spreadsheet: types, gaps, outliers, correlations, groups, simple answers."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from dino_os import skill
from dino_os.errors import InvalidInput
from skills.in_words import of_table
from skills.robust import outliers, quantiles, ranks, short
from skills.second_opinion import second_opinion
from skills.text_file import Numbers, kept, names_of, rows_of

_SAMPLE = 10_000  # rows that quantiles, outliers and correlations are taken from
_MOST_VALUES = 5_000  # different values of a column that are counted
_MOST_GROUPS = 50
_MOST_PAIRED = 30  # columns that correlations and groups are looked for in
_MOST_COLUMNS = 2_000
_MOST_CELLS = 1_000_000  # of the sample; of values that are counted half as many
_FEW = 20  # different values up to which a column makes groups
_STRONG = 0.3
_NEARLY_ALL = 0.95
_A_FEW_ROWS = 5  # from which a group is shown
_YES_NO = frozenset({"true", "false", "yes", "no", "t", "f", "y", "n"})
_NOTHING = frozenset({"", "null", "none", "nan", "n/a", "na", "-"})
_TIMES = ("", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S")
_timely = re.compile(r"\d{4}-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_word = re.compile(r"\w+")
_identifies = re.compile(
    r"(?:(?:^|[_\W])(?i:id|no|nr|num|number|key|code)|[a-z](?:I[Dd]|No|Number))$"
)


@dataclass
class _Column:
    """
    One column as its values go by.

    The mean and the variance are Welford's (doi:10.1080/00401706.1962.10490022).
    """

    name: str
    numbers: Numbers
    empty: int = 0
    room: int = _MOST_VALUES  # different values that are counted
    kinds: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    is_counted: bool = True  # whether `values` has all there are
    count: int = 0
    mean: float = 0.0
    spread: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    last: float = -math.inf
    is_whole: bool = True
    is_rising: bool = True
    form: str = ""  # of the last time
    known: dict[str, tuple[str, float | None]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        known = self.known.get(text)
        if known is None:
            if text.lower() in _NOTHING:
                self.empty += 1
                return
            known = self._read(text)
            if len(self.known) < self.room:
                self.known[text] = known
        if text in self.known:
            self.values[text] += 1
        else:
            self.is_counted = False
        kind, number = known
        self.kinds[kind] += 1
        if number is None:
            return
        self.count += 1
        before = number - self.mean
        self.mean += before / self.count
        self.spread += before * (number - self.mean)
        self.least = min(self.least, number)
        self.most = max(self.most, number)
        self.is_rising = self.is_rising and number > self.last
        self.last = number

    def _read(self, text: str) -> tuple[str, float | None]:
        number = self.numbers.read(text)
        if number is not None:
            self.is_whole = self.is_whole and number.is_integer()
            return "number", number
        if text.lower() in _YES_NO:
            return "yes/no", None
        return ("time" if _timely.match(text) and self._is_time(text) else "text"), None

    @property
    def kind(self) -> str:
        """What nearly all of its values are."""
        found = self.kinds.total()
        if not found:
            return "empty"
        kind, many = self.kinds.most_common(1)[0]
        if kind == "number" and self.is_whole and found >= _FEW:
            unlike = len(self.values) >= _NEARLY_ALL * min(found, self.room)
            if unlike and (self.is_rising or _identifies.search(self.name)):
                return "identifier"
        return kind if many >= _NEARLY_ALL * found else "text"

    def _is_time(self, text: str) -> bool:
        for form in dict.fromkeys((self.form, *_TIMES)):
            try:
                datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007  only whether it is one
            except ValueError:
                continue
            self.form = form
            return True
        return False


class _Sample:
    """
    Rows drawn evenly from all that go by, always the same ones for the same file.

    Source: Vitter, "Random sampling with a reservoir", algorithm R, doi:10.1145/3147.3165.
    """

    def __init__(self, columns: int) -> None:
        self.rows: list[tuple[int, list[str]]] = []
        self._most = min(_SAMPLE, _MOST_CELLS // columns)
        self._chance = Random(0)  # noqa: S311  it hides nothing
        self._seen = 0

    def add(self, line: int, row: list[str]) -> None:
        self._seen += 1
        if len(self.rows) < self._most:
            self.rows.append((line, row))
        elif (place := self._chance.randrange(self._seen)) < self._most:
            self.rows[place] = line, row


@skill(reads=["data/"], timeout="10m", memory="1GB", idempotent=True)
def csv_analyst(path: Path, question: str = "", model: bool = True) -> dict[str, Any]:
    """
    Analyse a CSV file: columns and their types, what is missing, outliers, correlations, groups.

    Counts, means and extremes are of all rows; quantiles, outliers and correlations of a sample
    of 10,000, so that a file of any size fits.  Decimal commas are understood.  Outliers are
    judged by median and median absolute deviation, correlations by ranks.

    Args:
        path: The file, below data/.
        question: Asked of the table, such as "mean Delay by CallType" or "how many rows".
        model: Whether a model, where this skill may ask one, answers in words.
    """
    path = Path(path)
    written = _numbers_of(path)
    columns, sample, records, ragged = _read(path, written)
    numeric = [place for place, column in enumerate(columns) if column.kind == "number"]
    numbers = {
        place: {line: n for line, row in sample.rows if (n := written.read(row[place])) is not None}
        for place in numeric
    }
    facts: dict[str, Any] = {
        "file": str(path),
        "records": records,
        "sampled": len(sample.rows),
        "ragged": ragged,
        "decimal_mark": written.mark,
        "columns": {
            column.name: _told(column, numbers.get(place)) for place, column in enumerate(columns)
        },
        "correlations": _correlations(columns, numbers),
        "groups": _groups(columns, numbers, sample),
    }
    facts["question"] = question
    facts["answer"] = _answer(path, question, columns, records) if question else None
    asked = question or "What stands out in this table, and what should be looked at?"
    advice = second_opinion(asked, facts) if model else {"used": False, "why": "not asked"}
    facts["model"] = advice
    return {"report": of_table(facts), **facts}


def _numbers_of(path: Path) -> Numbers:
    rows = rows_of(path)
    next(rows, None)
    return Numbers(row for _, row in rows)


def _read(path: Path, written: Numbers) -> tuple[list[_Column], _Sample, int, int]:
    records = ragged = 0
    rows = rows_of(path)
    _, head = next(rows, (0, []))
    if not head:
        raise InvalidInput(f"{path}: the file is empty")
    if len(head) > _MOST_COLUMNS:
        raise InvalidInput(
            f"{path}: {len(head):,} columns; at most {_MOST_COLUMNS:,} are looked at"
        )
    room = min(_MOST_VALUES, _MOST_CELLS // 2 // len(head))
    columns = [_Column(name, written, room=room) for name in names_of(head)]
    sample = _Sample(len(columns))
    for line, row in rows:
        records += 1
        ragged += len(row) != len(columns)
        whole = [kept(text) for text in row[: len(columns)]]
        whole += [""] * (len(columns) - len(row))
        for column, text in zip(columns, whole, strict=True):
            column.add(text)
        sample.add(line, whole)
    return columns, sample, records, ragged


def _told(column: _Column, sampled: dict[int, float] | None) -> dict[str, Any]:
    distinct = len(column.values)
    told: dict[str, Any] = {
        "type": column.kind,
        "missing": column.empty,
        "distinct": distinct if column.is_counted else f"more than {distinct}",
        "frequent": dict(column.values.most_common(5)),
    }
    if len(column.kinds) > 1:
        told["mixed"] = dict(column.kinds.most_common())
    if sampled is None or not column.count:
        return told
    low, median, high = quantiles(sorted(sampled.values()))
    variance = column.spread / (column.count - 1) if column.count > 1 else 0.0
    return told | {
        "least": column.least,
        "most": column.most,
        "mean": short(column.mean),
        "deviation": short(math.sqrt(variance)),
        "quartiles": [short(low), short(median), short(high)],
        "outliers": outliers(sampled, median, high - low),
    }


def _correlations(
    columns: Sequence[_Column], numbers: dict[int, dict[int, float]]
) -> list[dict[str, Any]]:
    """Pairs of columns whose ranks go together (Spearman), the closest first."""
    import numpy as np

    found: list[dict[str, Any]] = []
    for a, b in combinations([*numbers][:_MOST_PAIRED], 2):
        lines = sorted(numbers[a].keys() & numbers[b].keys())
        ranked = [ranks([numbers[place][line] for line in lines]) for place in (a, b)]
        if len(lines) < _FEW or min(map(np.ptp, ranked)) == 0:
            continue
        rho = float(np.corrcoef(*ranked)[0, 1])
        if abs(rho) >= _STRONG:
            pair = [columns[a].name, columns[b].name]
            found.append({"columns": pair, "rho": round(rho, 3), "rows": len(lines)})
    return sorted(found, key=lambda one: -abs(one["rho"]))[:_FEW]


def _groups(
    columns: Sequence[_Column], numbers: dict[int, dict[int, float]], sample: _Sample
) -> list[dict[str, Any]]:
    """Of the sample: numbers whose medians differ most between the values of another column."""
    found = []
    few = [
        place
        for place, column in enumerate(columns)
        if column.kind not in {"number", "identifier"}
        and column.is_counted
        and 1 < len(column.values) <= _FEW
    ]
    for by in few[:_MOST_PAIRED]:
        for of in [*numbers][:_MOST_PAIRED]:
            parts: dict[str, list[float]] = {}
            for line, row in sample.rows:
                if row[by] and line in numbers[of]:
                    parts.setdefault(row[by], []).append(numbers[of][line])
            if told := _apart(parts):
                found.append({"of": columns[of].name, "by": columns[by].name, **told})
    return sorted(found, key=lambda one: -one["apart"])[:5]


def _apart(parts: dict[str, list[float]]) -> dict[str, Any] | None:
    """The medians of *parts*, and how far they are apart in quartile distances of all."""
    medians = {
        name: quantiles(sorted(values))[1]
        for name, values in parts.items()
        if len(values) >= _A_FEW_ROWS
    }
    low, _, high = quantiles(sorted(v for values in parts.values() for v in values) or [0])
    if not medians or high == low:
        return None
    ranked = sorted(medians.items(), key=lambda one: -one[1])
    told = {name: {"rows": len(parts[name]), "median": short(m)} for name, m in ranked}
    return {"apart": short((ranked[0][1] - ranked[-1][1]) / (high - low)), "groups": told}


# --- questions -----------------------------------------------------------------------------------

_VERBS = {
    "count": {"count", "many", "number"},
    "mean": {"mean", "average", "avg"},
    "sum": {"sum", "total"},
    "most": {"max", "maximum", "highest", "largest", "longest", "most"},
    "least": {"min", "minimum", "lowest", "smallest", "shortest", "least"},
    "frequent": {"frequent", "common", "top", "commonest"},
    "missing": {"missing", "empty", "gaps"},
}


def _answer(
    path: Path, question: str, columns: Sequence[_Column], records: int
) -> dict[str, Any] | None:
    """What can be said by arithmetic alone; None where the question is another."""
    words = [word.lower() for word in _word.findall(question)]
    verbs = [verb for verb, names in _VERBS.items() if names & {*words}]
    named = _columns_in(question, columns)
    verb = "frequent" if "frequent" in verbs else verbs[0] if verbs else None
    if verb is None:
        return None
    if not named:
        return {"count": records} if verb == "count" else None
    first, *others = named
    told = {"verb": verb, "of": columns[first].name}
    if verb == "frequent":
        return {**told, "values": dict(columns[first].values.most_common(10))}
    if verb == "missing":
        return {**told, "missing": columns[first].empty}
    by = others[0] if others else None
    if verb == "count":  # "how many rows by X", "count of X"
        by = first
    if by is not None:
        return {
            **told,
            "by": columns[by].name,
            "groups": _by(path, verb, (first, by), columns[first].numbers),
        }
    return {**told, "value": _value(columns[first], verb)} if columns[first].count else None


def _columns_in(question: str, columns: Sequence[_Column]) -> list[int]:
    """The columns that a question names, in its order; the longest of those that begin alike."""
    low, found = question.lower(), {}
    for place, column in sorted(enumerate(columns), key=lambda one: -len(one[1].name)):
        match = re.search(rf"(?<!\w){re.escape(column.name.lower())}(?!\w)", low)
        if match:
            found[match.start()] = place
            low = low[: match.start()] + "\0" * len(match[0]) + low[match.end() :]
    return [found[start] for start in sorted(found)]


def _value(column: _Column, verb: str) -> float:
    values = {
        "mean": column.mean,
        "sum": column.mean * column.count,
        "most": column.most,
        "least": column.least,
    }
    return short(values[verb])


def _by(path: Path, verb: str, places: tuple[int, int], written: Numbers) -> dict[str, float]:
    """The answer for each value of a column, the largest first; the table is read once more."""
    (of, by), parts = places, dict[str, _Column]()
    rows = rows_of(path)
    next(rows)
    for _, row in rows:
        name = row[by] if by < len(row) else ""
        if name not in parts and len(parts) >= _MOST_VALUES:
            name = "others"
        part = parts.setdefault(name, _Column(name, written, is_counted=False))
        part.empty += 1
        number = written.read(row[of]) if of < len(row) else None
        if number is not None:
            part.count += 1
            part.mean += (number - part.mean) / part.count
            part.least, part.most = min(part.least, number), max(part.most, number)
    found = {
        name: part.empty if verb == "count" else _value(part, verb)
        for name, part in parts.items()
        if verb == "count" or part.count
    }
    return dict(sorted(found.items(), key=lambda one: -one[1])[:_MOST_GROUPS])
