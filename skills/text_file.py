"""
Text files and tables as they are found: packed or not, in UTF-8, or with its mark UTF-16.

What is no UTF-8 is read as Windows-1252, which older programs write: Müller is not Möller then.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import ClassVar, TextIO, cast

from dino_os.errors import InvalidInput

_MOST_FIELD = 2**20  # characters of one
_MOST_LINE = 2**22
_HUGE = 1e150  # from here on squares have no room
_LONG = 200  # characters from which a value is kept as its beginning and its hash
_TELLING = 1_000  # rows by which it is judged how a table writes its numbers
_WESTERN = "western"
_END = "\0 end of the file \0"

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading raises where a packed file ends early, or is not as it was packed."""


def open_text(path: Path, *, newline: str) -> TextIO:
    """*path* to read, whatever its ending."""
    with path.open("rb") as plain:
        is_packed = plain.read(2) == b"\x1f\x8b"
    file = cast("io.BufferedReader", gzip.open(path)) if is_packed else path.open("rb")  # noqa: SIM115
    head = file.peek(2)[:2]
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding, errors = ("utf-16", "replace") if head in marks else ("utf-8-sig", _WESTERN)
    return io.TextIOWrapper(file, encoding, errors, newline)


def _western(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_WESTERN, _western)


def rows_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """
    The rows of a table with their lines, read as they are asked for.

    Raises:
        InvalidInput: It is no table from some line on.
    """
    csv.field_size_limit(_MOST_FIELD)
    began, ended = 1, 0
    try:
        with open_text(path, newline="") as file:
            first = file.readline(_MOST_LINE)
            comma = max(",;\t|", key=first.count)
            rows = csv.reader(_lines(file, first), delimiter=comma)
            for row in rows:
                if row == [_END]:
                    return
                began, ended = ended + 1, rows.line_num
                if row:
                    yield ended, [text.strip() for text in row]
    except (csv.Error, *DAMAGED) as error:
        raise InvalidInput(f"{path}:{ended + 1}: cannot be read from here on: {error}") from None
    raise InvalidInput(f"{path}:{began}: a quote that is opened here is never closed")


class Numbers:
    """
    How a table writes its numbers: 1234.5, or with a decimal comma 1234,5 and 1.234,5.

    Judged by its first rows: where some have commas, and none a decimal point.
    """

    _grouped = r"[1-9]\d{0,2}(?:\.\d{3})+"
    _whole = rf"[+-]?(?:\d+|{_grouped})"
    _forms: ClassVar = {
        ".": re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII),
        ",": re.compile(rf"{_whole}(?:,\d+)?", re.ASCII),
    }
    # Three digits behind a mark may be thousands; not behind 0, 1234 or 1.234.
    _only_with_comma = re.compile(
        rf"{_whole},(?:\d{{1,2}}|\d{{4,}})|[+-]?(?:0|\d{{4,}}|{_grouped}),\d+", re.ASCII
    )
    _only_with_point = re.compile(
        r"[+-]?(?:\d*\.(?:\d{1,2}|\d{4,})|(?:0*|\d{4,})\.\d+|\d*\.\d+e[+-]?\d+)",
        re.IGNORECASE | re.ASCII,
    )

    def __init__(self, rows: Iterable[Sequence[str]] = ()) -> None:
        texts = [text for row in islice(rows, _TELLING) for text in row]
        comma = any(map(self._only_with_comma.fullmatch, texts))
        self.mark = "," if comma and not any(map(self._only_with_point.fullmatch, texts)) else "."

    def read(self, text: str) -> float | None:
        """The number that *text* is; None where it is none, or one whose square has no room."""
        if not self._forms[self.mark].fullmatch(text):
            return None
        if self.mark == ",":
            text = text.replace(".", "").replace(",", ".")
        found = float(text)
        return found if abs(found) < _HUGE else None


def _lines(file: TextIO, line: str) -> Iterator[str]:
    """What is to be read of *file*, *line* before it and behind it the mark of its end."""
    while line:
        if len(line) >= _MOST_LINE:
            raise csv.Error(f"it has a line of more than {_MOST_LINE:,} characters")
        yield line
        line = file.readline(_MOST_LINE)
    yield _END


def kept(text: str) -> str:
    """*text*, or what tells it from others."""
    if len(text) < _LONG:
        return text
    known = blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()
    return f"{text[: _LONG // 2]}… [{known}]"


def names_of(row: Sequence[str]) -> list[str]:
    """The names of the columns, each its own."""
    seen: Counter[str] = Counter()
    names = []
    for place, text in enumerate(row, start=1):
        name = text or f"column {place}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names
