"""The journals themselves: how many lines and bytes they have, and whether they could be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from engines.journal import RecordedJournal, files_of
from engines.metrics.families import Family, by, counters, gauges

_MOST = 100


class JournalSize(NamedTuple):
    """Lines since its beginning, pruned ones too; bytes and files on the disk."""

    lines: int
    size_bytes: int
    files: int


def size_of(path: Path) -> JournalSize:
    """
    How large the journal at *path* is; of its lines only the last is read.

    Raises:
        JournalError: It cannot be read, or its end does not stand.
    """
    length, sizes = RecordedJournal(path).length(), []
    for file in files_of(path):
        with contextlib.suppress(FileNotFoundError):  # packed or pruned since it was listed
            sizes.append(file.stat().st_size)
    return JournalSize(length, sum(sizes), len(sizes))


def journals_in(memory: Path) -> list[Path]:
    """The journals of that folder, by name; also those of which only the head is left."""
    found = {
        p.with_suffix(".jsonl") for kind in ("jsonl", "head") for p in memory.glob(f"*.{kind}")
    }
    return sorted(path for path in found if "." not in path.stem)[:_MOST]


def journal_families(sizes: Mapping[str, JournalSize], broken: Iterable[str]) -> Iterable[Family]:
    lines = {name: size.lines for name, size in sizes.items()}
    yield counters("dino_journal_lines_total", "Lines ever written.", by("journal", lines))
    size_bytes = {name: size.size_bytes for name, size in sizes.items()}
    yield gauges("dino_journal_size_bytes", "Bytes on the disk.", by("journal", size_bytes))
    files = {name: size.files for name, size in sizes.items()}
    yield gauges("dino_journal_files", "Files it is in.", by("journal", files))
    known = {*sizes, *broken}
    state = {name: int(name in set(broken)) for name in sorted(known)}
    yield gauges(
        "dino_journal_broken", "Whether a journal could not be read.", by("journal", state)
    )
