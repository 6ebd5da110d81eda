"""
Journals to be damaged again and again, and where a damage begins.

Where it begins is worked out from the bytes before and after, not from what a verifier would say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zstandard

from engines.journal import Journal, Rotation, files_of
from tests.journal.conftest import ORIGIN, Forge

forge = Forge()


@dataclass(frozen=True)
class Mutation:
    """
    What the changed files hold (None: removed), and the lines in them that stand by themselves.

    Such a line was made by somebody who computes hashes: only a line behind it, or the head, tells.
    """

    files: dict[str, bytes | None]
    forged: frozenset[bytes] = frozenset()


class Victim:
    """A sound journal in a folder of its own, to be damaged and restored again and again."""

    def __init__(self, path: Path, other: list[bytes]) -> None:
        self.path = path
        self.names = [file.name for file in files_of(path)]
        self.raw = {name: (path.parent / name).read_bytes() for name in self.names}
        self.content = {name: unpacked(name, raw) or b"" for name, raw in self.raw.items()}
        self.lines = [line for name in self.names for line in lines_of(self.content[name])]
        self.other = other

    def lines_before(self, name: str) -> int:
        before = self.names[: self.names.index(name)]
        return sum(self.content[other].count(b"\n") for other in before)

    def damage(self, mutation: Mutation) -> None:
        """In place, so that the head stays exact for the live file."""
        for name, content in mutation.files.items():
            file = self.path.parent / name
            if content is None:
                file.rename(file.with_suffix(".away"))
            else:
                with file.open("r+b") as there:
                    there.write(content)
                    there.truncate()

    def restore(self, mutation: Mutation) -> None:
        for name, content in mutation.files.items():
            file = self.path.parent / name
            if content is None:
                file.with_suffix(".away").rename(file)
        self.damage(Mutation({name: self.raw[name] for name in mutation.files}))


def plain(folder: Path) -> Victim:
    """Sixty lines in one file."""
    return Victim(_grown(folder / "notes.jsonl", None), _others(folder))


def rotated(folder: Path) -> Victim:
    """Sixty lines in several files, the older half of them packed."""
    return Victim(_grown(folder / "notes.jsonl", Rotation(max_bytes=2200)), _others(folder))


def _grown(path: Path, rotation: Rotation | None, least: int = 60) -> Path:
    journal = Journal(path, origin=ORIGIN, rotation=rotation)
    number = 0
    # Of the live file more lines than any mutation adds, wherever the last one was sealed.
    while journal.end.seq < least or path.read_bytes().count(b"\n") < 6:
        journal.append("noted", {"n": number, "text": f"pump {number} is back\n", "x": number / 7})
        if number == 30:
            journal.compress_sealed()
        number += 1
    journal.close()
    for file in files_of(path):
        file.chmod(0o644)
    return path


def _others(folder: Path) -> list[bytes]:
    """A journal of the same name and origin."""
    return forge.lines(_grown(folder / "another" / "notes.jsonl", None, 90))


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def unpacked(name: str, raw: bytes) -> bytes | None:
    """The lines in a file; None where it is packed and not one sound frame from end to end."""
    if not name.endswith(".zst"):
        return raw
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        content = frame.decompress(raw)
    except zstandard.ZstdError:
        return None
    return content if frame.eof and not frame.unused_data else None


def packed(name: str, content: bytes) -> bytes:
    if not name.endswith(".zst"):
        return content
    return zstandard.ZstdCompressor(level=9, write_checksum=True).compress(content)


# --- where a change begins ------------------------------------------------------------------------


@dataclass(frozen=True)
class Beginning:
    """
    Where the first fault must be found: file and line, and how many lines before it stand.

    Between the last line that stands and the first that does not follow there may be two names for
    one place.  Line 0 stands for the file as a whole.
    """

    places: frozenset[tuple[str, int]]
    good_lines: int


def beginning(victim: Victim, mutation: Mutation) -> Beginning | None:
    """None where all files hold the same lines as before."""
    for name in victim.names:
        raw = mutation.files.get(name, victim.raw[name])
        good, behind = victim.lines_before(name), victim.names[victim.names.index(name) + 1 :]
        if raw is None:  # where it was, or where it is missed
            return _begin([(file, 1) for file in behind[:1] or [name]], good)
        content = unpacked(name, raw)
        if content is None:
            return _begin([(name, 0), (name, 1)], good)
        if content != victim.content[name]:
            return _in_file(victim, name, content, mutation.forged, behind)
    return None


def _in_file(
    victim: Victim, name: str, content: bytes, forged: frozenset[bytes], behind: list[str]
) -> Beginning:
    before, good = victim.content[name], victim.lines_before(name)
    same = _common(before, content)
    line = before[:same].count(b"\n")
    if same == len(content) and content[-1:] in {b"", b"\n"}:  # cut between two lines
        seam = [(name, line + 1), *((file, 1) for file in behind[:1])]
        return _begin(seam if content else [(name, 0), *seam], good + line)
    if same == len(before) and not behind:  # past what was acknowledged
        return _begin([(name, line + 1)], good + line)
    lines = lines_of(content)
    while line < len(lines) and lines[line] in forged:
        line += 1
    if line < len(lines):
        return _begin([(name, line + 1)], good + line)
    if behind:
        return _begin([(behind[0], 1)], good + line)
    last = before.count(b"\n")  # the head remembers it
    return _begin([(name, last)], good + last - 1)


def _common(one: bytes, other: bytes) -> int:
    """How many first bytes they share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _begin(places: list[tuple[str, int]], good: int) -> Beginning:
    return Beginning(frozenset(places), good)
