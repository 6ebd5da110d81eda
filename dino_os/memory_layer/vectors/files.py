"""
What the files of an index have in common: drafts, wiping, and who a file is.

They hold what people said, in another form: they are nobody else's to read, and what is to go is
overwritten first (which reaches the disk itself where the file system writes in place).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from dino_os.memory_layer.vectors.rows import Unsound
from engines.durable import sync_data, sync_folder

Identity: TypeAlias = tuple[int, int] | None
"""Which file a path leads to: its device and number; None where there is none."""

_NOTHING = bytes(1 << 20)


def stem_of(name: str) -> str:
    """*name* as one of a file: whatever stands in it, and no two the same."""
    readable = _readable(name)
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{readable}-{digest}"


def _readable(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40]


def wipe_all(folder: Path, begins: str) -> None:
    """Wipe the files of every index whose name begins so: nobody may know the rest any more."""
    stem = _readable(begins)
    for pattern in (f"{stem}*.vectors", f"{stem}*.graph", f".{stem}*.tmp"):
        wipe(*folder.glob(pattern))


def mapped_file(path: Path, least: int) -> tuple[mmap.mmap, tuple[int, int]] | None:
    """
    The file at *path* to be read, and which one it is; None where there is none.

    Raises:
        Unsound: It has less than *least* bytes.
        OSError: It cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        if found.st_size < least:
            raise Unsound("it is too short")
        return mmap.mmap(fd, 0, access=mmap.ACCESS_READ), (found.st_dev, found.st_ino)
    finally:
        os.close(fd)


def identity(path: Path) -> Identity:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


@contextlib.contextmanager
def draft(path: Path) -> Iterator[tuple[Path, int]]:
    """
    A new file, and its descriptor, that takes the place of *path* when all went well.

    After a crash *path* has the old content or the new one.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield new, fd
        sync_data(fd)
        new.replace(path)
    except BaseException:
        wipe(new)
        raise
    finally:
        os.close(fd)
    sync_folder(path.parent)


def drafts_of(path: Path) -> list[Path]:
    """Those that are there; under the lock they are of processes that died."""
    return [*path.parent.glob(f".{path.name}.*.tmp")]


def wipe(*paths: Path) -> None:
    """Overwrite the files and take them away; those that are not there are no fault."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            _overwrite(path)
            path.unlink()
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(FileNotFoundError):
            sync_folder(folder)


def _overwrite(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        size = os.fstat(fd).st_size
        for at in range(0, size, len(_NOTHING)):
            os.pwrite(fd, _NOTHING[: size - at], at)
        sync_data(fd)
    finally:
        os.close(fd)


def zero(fd: int, offsets: list[int], length: int) -> None:
    """Overwrite *length* bytes at each of *offsets*; they are on the disk on return."""
    nothing = bytes(length)
    for offset in offsets:
        os.pwrite(fd, nothing, offset)
    sync_data(fd)
