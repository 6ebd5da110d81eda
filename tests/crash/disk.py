"""
A disk that may lose power, after ALICE (Pillai et al., OSDI 2014).

What was synced is there: a file's bytes and size after an fsync or fdatasync of the file, a folder's
names after an fsync of the folder.  Everything else may or may not have arrived, each change by
itself: writes are lost, torn at sectors, pages or any byte, or leave zeros where the size grew and
the bytes did not come; later ones are there without earlier ones; names are old or new.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, pairwise, zip_longest
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

from tests.crash.trace import FOLDER, Mark, Names, Resize, Step, SyncFile, SyncFolder, Write

SECTOR, PAGE = 512, 4096
_FEW = 5  # so many changes are tried in every combination
_SOME = 12  # so many combinations of more are drawn

Change = Write | Resize
Visible = list[tuple[str, int]]
"""Paths that can be reached, and the number of the file of each, or FOLDER."""


@dataclass
class _File:
    synced: bytes = b""
    pending: list[Change] = field(default_factory=list)


class Disk:
    """Takes steps; hands out what may be found after a power cut behind the last of them."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._pending: list[Names] = []

    def take(self, step: Step) -> None:
        match step:
            case Names():
                self._pending.append(step)
            case Write() | Resize():
                self._file(step.file).pending.append(step)
            case SyncFile():
                self._sync(self._file(step.file))
            case SyncFolder():
                done = [n for n in self._pending if _folder_of(n) == step.path]
                _rename(self._names, done)
                self._pending = [n for n in self._pending if n not in done]

    def settle(self) -> None:
        """As after a quiet minute: everything has arrived."""
        for file in self._files.values():
            self._sync(file)
        _rename(self._names, self._pending)
        self._pending = []

    def states(self, chance: Random, draws: int) -> Iterator[State]:
        """
        What may be on the disk: each way of each file and of the names, with all else lost and
        with all else arrived; then *draws* at random, each of all by itself.
        """
        names = [*self._ways_of_names(chance)]
        ways = {number: [*_ways(file, chance)] for number, file in self._files.items()}
        for others, told in ((0, "lost"), (-1, "arrived")):
            contents = {number: several[others][1] for number, several in ways.items()}
            for visible in names:
                yield State(f"names, else {told}", visible, contents)
            for one, several in ways.items():
                for how, content in several:
                    kind = f"{how} of file {one}, else {told}"
                    yield State(kind, names[others], {**contents, one: content})
        for _ in range(draws):
            contents = {number: chance.choice(several)[1] for number, several in ways.items()}
            yield State("drawn", chance.choice(names), contents)

    def _ways_of_names(self, chance: Random) -> Iterator[Visible]:
        for some in _subsets(self._pending, chance):
            names = dict(self._names)
            _rename(names, some)
            yield [
                (path, file)
                for path, file in sorted(names.items())
                if all(names.get(above) == FOLDER for above in _folders_above(path))
            ]

    def _file(self, number: int) -> _File:
        return self._files.setdefault(number, _File())

    @staticmethod
    def _sync(file: _File) -> None:
        file.synced = _written(file.synced, file.pending)
        file.pending = []


@cache
def _folders_above(path: str) -> tuple[str, ...]:
    return tuple(map(str, [*PurePosixPath(path).parents][:-1]))


def _rename(names: dict[str, int], done: list[Names]) -> None:
    for step in done:
        for path, file in step.changes:
            if file is None:
                names.pop(path, None)
            else:
                names[path] = file


def _folder_of(step: Names) -> str:
    (folder,) = {str(PurePosixPath(path).parent) for path, _ in step.changes}
    return "" if folder == "." else folder


def _subsets(changes: list, chance: Random) -> Iterator[list]:
    """Which of them arrived: none first, all last, every subset in between if they are few."""
    count = len(changes)
    if count <= _FEW:
        for size in range(count + 1):
            yield from map(list, combinations(changes, size))
        return
    for here in range(count):
        yield changes[:here]
    for here in range(count - 1):
        yield changes[:here] + changes[here + 1 :]
        yield [changes[here]]
    for _ in range(_SOME):
        yield [change for change in changes if chance.random() < 0.5]
    yield changes


def _ways(file: _File, chance: Random) -> Iterator[tuple[str, bytes]]:
    """What a file may hold, and how it came to that: as synced first, all of it last."""
    found = {file.synced: "nothing"}
    for some in _subsets(file.pending, chance):
        found.setdefault(_written(file.synced, some), "some writes")
    for here, change in enumerate(file.pending):
        if isinstance(change, Write):
            for before in {
                b"": file.synced,
                b"all": _written(file.synced, file.pending[:here]),
            }.values():
                for how, content in _torn(before, change, chance):
                    found.setdefault(content, how)
    whole = _written(file.synced, file.pending)
    del found[whole]
    yield from ((how, content) for content, how in found.items())
    yield "all", whole


def _torn(before: bytes, write: Write, chance: Random) -> Iterator[tuple[str, bytes]]:
    """A write of which some units arrived, and some of the room that it needs."""
    begin, end = write.offset, write.offset + len(write.data)
    for unit, told in ((SECTOR, "sectors"), (PAGE, "pages")):
        edges = [begin, *range(begin - begin % unit + unit, end, unit), end]
        units = [
            Write(write.file, a, write.data[a - begin : b - begin]) for a, b in pairwise(edges)
        ]
        for some in _subsets(units, chance):
            arrived = _written(before, some)
            yield told, arrived
            # The size grew, whatever came.
            yield f"{told} and zeros", arrived.ljust(end, b"\0")
    # Any byte; the ends of lines above all, where half a batch looks like a whole one.
    ends = [here + 1 for here, byte in enumerate(write.data) if byte == 0x0A]
    cuts = {
        *chance.sample(ends, min(8, len(ends))),
        *(chance.randrange(len(write.data)) for _ in range(24)),
    }
    for cut in sorted(cuts | {1, len(write.data) - 1}):
        some = _written(before, [Write(write.file, begin, write.data[:cut])])
        told = "lines" if cut in ends else "bytes"
        yield f"first {told}", some
        yield f"first {told} and zeros", some.ljust(end, b"\0")
        yield f"last {told}", _written(before, [Write(write.file, begin + cut, write.data[cut:])])


def _written(content: bytes, changes: list) -> bytes:
    for change in changes:
        if isinstance(change, Resize):
            content = content[: change.size].ljust(change.size, b"\0")
        else:
            end = change.offset + len(change.data)
            content = content.ljust(change.offset, b"\0")
            content = content[: change.offset] + change.data + content[end:]
    return content


@dataclass(frozen=True)
class State:
    """What may be on the disk, and of what kind that is."""

    kind: str
    names: Visible
    contents: dict[int, bytes]

    @property
    def identity(self) -> Hashable:
        """Content, and which names are one file; not the numbers, which no reader sees."""
        first: dict[int, str] = {}
        return tuple(
            (path, file and first.setdefault(file, path), self.contents.get(file))
            for path, file in self.names
        )


@dataclass(frozen=True)
class Crash:
    """One state of a disk, and what the program had said by then."""

    state: State
    said: tuple[Mark, ...]

    @property
    def kind(self) -> tuple[int, str]:
        """At which moment, and which of the ways there are."""
        return len(self.said), self.state.kind

    def promised(self, what: str) -> list[Any]:
        """Everything of that kind that had been said."""
        return [mark.said[what] for mark in self.said if what in mark.said]

    @property
    def acknowledged(self) -> list[str]:
        """Hashes of the events whose call had returned."""
        return [digest for some in self.promised("acked") for digest in some]

    def lay_out(self, root: Path) -> Path:
        """Make it real in a new folder."""
        root.mkdir()
        first: dict[int, Path] = {}
        for path, file in self.state.names:
            target = root / path
            if file == FOLDER:
                target.mkdir()
            elif file in first:
                os.link(first[file], target)
            else:
                target.write_bytes(self.state.contents.get(file, b""))
                first[file] = target
        return root


def crashes(steps: list[Step], each: int, *, chance: Random, draws: int = 16) -> list[Crash]:
    """
    Distinct states behind the mark "go": of every kind that there is *each*, or all there are.

    Where a state may be found at several moments, by the last of them most had been promised.
    """
    disk, said, going = Disk(), [], False
    found: dict[Hashable, Crash] = {}
    # Whatever may be found behind a write or a rename may be found behind the next of them too.
    for step, after in zip_longest(steps, steps[1:]):
        disk.take(step)
        if isinstance(step, Mark):
            said.append(step)
            if "go" in step.said:
                going = True
                disk.settle()
        if going and (isinstance(step, Mark) or isinstance(after, SyncFile | SyncFolder | None)):
            for state in disk.states(chance, draws):
                found[state.identity] = Crash(state, tuple(said))
    kinds: dict[tuple[int, str], list[Crash]] = {}
    for crash in found.values():
        kinds.setdefault(crash.kind, []).append(crash)
    return [crash for some in kinds.values() for crash in chance.sample(some, min(each, len(some)))]
