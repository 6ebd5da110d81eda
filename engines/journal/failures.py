"""How a journal's troubles are told to people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engines.errors import JournalBroken, JournalWriteFailed
from engines.journal.reader import Fault


def broken(path: Path, fault: Fault) -> JournalBroken:
    """The error that tells a person about *fault*."""
    file = path.with_name(fault.file) if fault.file else path
    place = f"{file}:{fault.line}" if fault.line else str(file)
    one = fault.good_lines == 1
    good = "1 line before it stands" if one else f"{fault.good_lines} lines before it stand"
    stand = f"; {good}" if fault.line else ""
    return JournalBroken(
        f"{place}: {fault.kind}: {fault.what}{stand}",
        hint="run `audit hashchain`; restore the file from a copy that verifies",
    )


def interrupted(path: Path) -> JournalWriteFailed:
    return JournalWriteFailed(f"{path}: interrupted while writing; look whether it was recorded")


@contextlib.contextmanager
def as_journal_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalWriteFailed(
            f"{path}: cannot be written: {error.strerror}",
            hint="check the folder's permissions and free space",
        ) from None
