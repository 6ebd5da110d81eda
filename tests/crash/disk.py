"""
A disk that may lose power, after ALICE (Pillai et al., OSDI 2014).

What was synced is there: a file's bytes and size after an fsync or fdatasync of the file, a folder's
names after an fsync of the folder.  Everything else may or may not have arrived, each change by
itself: writes are lost, torn at sectors, pages or any byte, or leave zeros where the size grew and
the bytes did not come; later ones are there without earlier ones; names are old or new.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, islice, pairwise, zip_longest
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

from tests.crash.trace import FOLDER, Mark, Names, Resize, Step, SyncFile, SyncFolder, Write

SECTOR, PAGE = 512, 4096
_FEW = 5  # so many changes are tried in every combination
_SOME = 12  # so many combinations of more are drawn

Change = Write | Resize
Tree = dict[str, tuple[int, bytes]]
"""What lies on the disk: path → number and content of the file, or FOLDER and nothing."""


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

    def states(self, chance: Random, draws: int) -> Iterator[Tree]:
        """
        What may be on the disk: each way of each file and of the names, with all else lost and
        with all else arrived; then *draws* at random, each of all by itself.
        """
        ways = [list(self._ways_of_names(chance))]
        ways += [list(_ways(file, chance)) for file in self._files.values()]
        for others in (0, -1):
            for one, several in enumerate(ways):
                for way in several:
                    yield self._tree(
                        [
                            *(w[others] for w in ways[:one]),
                            way,
                            *(w[others] for w in ways[one + 1 :]),
                        ]
                    )
        for _ in range(draws):
            yield self._tree([chance.choice(several) for several in ways])

    def _tree(self, ways: list) -> Tree:
        contents = dict(zip(self._files, ways[1:], strict=True))
        names: dict[str, int] = ways[0]
        return {
            path: (file, contents.get(file, b""))
            for path, file in sorted(names.items())
            if all(names.get(above) == FOLDER for above in _folders_above(path))
        }

    def _ways_of_names(self, chance: Random) -> Iterator[dict[str, int]]:
        for some in _subsets(self._pending, chance):
            names = dict(self._names)
            _rename(names, some)
            yield names

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


def _ways(file: _File, chance: Random) -> Iterator[bytes]:
    """What a file may hold: as synced first, all of it last."""
    found = {file.synced: None}
    for some in _subsets(file.pending, chance):
        found[_written(file.synced, some)] = None
    for here, change in enumerate(file.pending):
        if isinstance(change, Write):
            for before in {
                b"": file.synced,
                b"all": _written(file.synced, file.pending[:here]),
            }.values():
                found.update(dict.fromkeys(_torn(before, change, chance)))
    whole = _written(file.synced, file.pending)
    del found[whole]
    yield from found
    yield whole


def _torn(before: bytes, write: Write, chance: Random) -> Iterator[bytes]:
    """A write of which some units arrived, and some of the room that it needs."""
    begin, end = write.offset, write.offset + len(write.data)
    for unit in (SECTOR, PAGE):
        edges = [begin, *range(begin - begin % unit + unit, end, unit), end]
        units = [
            Write(write.file, a, write.data[a - begin : b - begin]) for a, b in pairwise(edges)
        ]
        for some in _subsets(units, chance):
            arrived = _written(before, some)
            yield arrived
            yield arrived.ljust(end, b"\0")  # the size grew, whatever came
    # Any byte; the ends of lines above all, where half a batch looks like a whole one.
    ends = [here + 1 for here, byte in enumerate(write.data) if byte == 0x0A]
    cuts = {
        *chance.sample(ends, min(8, len(ends))),
        *(chance.randrange(len(write.data)) for _ in range(24)),
    }
    for cut in sorted(cuts | {1, len(write.data) - 1}):
        yield (some := _written(before, [Write(write.file, begin, write.data[:cut])]))
        yield some.ljust(end, b"\0")
        yield _written(before, [Write(write.file, begin + cut, write.data[cut:])])


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
class Crash:
    """One state of a disk, and what the program had said by then."""

    tree: Tree
    said: tuple[Mark, ...]

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
        for path, (file, content) in self.tree.items():
            target = root / path
            if file == FOLDER:
                target.mkdir()
            elif file in first:
                os.link(first[file], target)
            else:
                target.write_bytes(content)
                first[file] = target
        return root


def crashes(steps: list[Step], count: int, *, seed: int, draws: int = 16) -> list[Crash]:
    """
    *count* distinct states of those behind the mark "go", each moment in between with its share.

    Where a state may be found at several moments, by the last of them most had been promised.
    """
    chance, disk, said, going = Random(seed), Disk(), [], False
    found: dict[frozenset, Crash] = {}
    # Whatever may be found behind a write or a rename may be found behind the next of them too.
    for step, after in zip_longest(steps, steps[1:]):
        disk.take(step)
        if isinstance(step, Mark):
            said.append(step)
            if "go" in step.said:
                going = True
                disk.settle()
        if going and (isinstance(step, Mark) or isinstance(after, SyncFile | SyncFolder | None)):
            for tree in disk.states(chance, draws):
                found[_identity(tree)] = Crash(tree, tuple(said))
    return _in_turn(list(found.values()), count, chance)


def _in_turn(found: list[Crash], count: int, chance: Random) -> list[Crash]:
    assert len(found) >= count, f"{len(found)} states"
    chance.shuffle(found)
    moments: dict[int, list[Crash]] = {}
    for crash in found:
        moments.setdefault(len(crash.said), []).append(crash)
    turns = zip_longest(*moments.values())
    return list(islice((crash for turn in turns for crash in turn if crash), count))


def _identity(tree: Tree) -> frozenset:
    """Content, and which names are one file; not the numbers, which no reader sees."""
    same: dict[int, list[str]] = {}
    for path, (file, _) in tree.items():
        same.setdefault(file, []).append(path)
    return frozenset(
        (path, tuple(same[file]) if file else None, content)
        for path, (file, content) in tree.items()
    )
