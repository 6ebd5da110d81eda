"""
The files of a source: which there are, which were counted, and which can be forgotten.

A file whose size, times and inode are as remembered is not read again; where one of them differs
its hash decides.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dino_os.errors import InvalidInput
from dino_os.planning.runs import Memory, Stamp
from dino_os.typed_files import read_bytes

AT_ONCE = 10_000
"""So many new files one run takes."""
_GONE = 100_000  # of files that are no longer there so many of the last are remembered
_SETTLED_S = 2.0  # two writes that are closer may leave the same times


@dataclass(frozen=True, slots=True)
class File:
    """
    A file as it was met.

    Attributes:
        name: As it is remembered: the same wherever the command is typed.
        digest: Of its content.
        stamp: By which it is known again unread; None where it was written just now.
        known: Whether this content was counted.
    """

    path: Path
    name: str
    digest: str
    stamp: Stamp | None
    known: bool


def look_at(path: Path, folder: Path, memory: Memory, clock: Callable[[], float]) -> File:
    """
    The file at *path*, held against what is remembered of it.

    Raises:
        InvalidInput: It cannot be read, or its name cannot be written down.
    """
    name = name_of(path, folder)
    stamp = _stamp_of(path, clock)
    before = memory.content.get(name)
    unread = before if stamp and memory.stamps.get(name) == stamp else None
    digest = unread or digest_of(path)
    return File(path, name, digest, stamp, digest == before)


def matching(folder: Path, pattern: str, *, but_in: Path | None) -> list[Path]:
    """
    The files of *pattern*, from *folder*, but for those that lie in *but_in* itself.

    Raises:
        InvalidInput: It is no pattern.
    """
    absolute = Path(pattern).is_absolute()
    base, what = (Path("/"), pattern.lstrip("/")) if absolute else (folder, pattern)
    try:
        found = sorted(path for path in base.glob(what) if path.is_file())
    except (ValueError, NotImplementedError, IndexError) as error:
        raise InvalidInput(f"{pattern}: not a pattern: {error}") from None
    if but_in is None:
        return found
    apart = but_in.resolve()
    meant = {parent: parent.resolve() != apart for parent in {path.parent for path in found}}
    return [path for path in found if meant[path.parent]]


def forgotten(memory: Memory, there: Iterable[Path], folder: Path) -> list[str]:
    """Of what is remembered and no longer *there*, what is too much: the oldest."""
    if len(memory.content) <= _GONE:
        return []
    names = set(_names(there, folder))
    gone = [name for name in memory.content if name not in names]
    return gone[: max(len(gone) - _GONE, 0)]


def name_of(path: Path, folder: Path) -> str:
    """
    What *path* is remembered by: from *folder*, where it lies below.

    Raises:
        InvalidInput: It is not UTF-8.
    """
    resolved, folder = path.resolve(), folder.resolve()
    name = str(resolved.relative_to(folder) if resolved.is_relative_to(folder) else resolved)
    try:
        f"{path}{name}".encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise InvalidInput(f"{shown}: its name is not UTF-8; rename it") from None
    return name


def digest_of(path: Path) -> str:
    """
    The hash of what is in the file.

    Raises:
        InvalidInput: It cannot be read.
    """
    if path.exists() and not path.is_file():
        raise InvalidInput(f"{path}: not a regular file")
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _stamp_of(path: Path, clock: Callable[[], float]) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None  # reading it says why
    settled = clock() - max(found.st_mtime, found.st_ctime) >= _SETTLED_S
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    return stamp if settled else None


def _names(paths: Iterable[Path], folder: Path) -> Iterator[str]:
    for path in paths:
        try:
            yield name_of(path, folder)
        except InvalidInput:
            continue  # it was never remembered
