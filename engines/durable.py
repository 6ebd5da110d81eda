"""
What it takes for bytes to survive a power cut, on the systems Dino runs on.

Owns the sync calls and the atomic replacement of a whole file.  A failed sync is never tried
again: after one, the kernel may have dropped the pages and a second call would report success
(Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from pathlib import Path

if sys.platform == "darwin":

    def sync_data(fd: int) -> None:
        """Return once the file's bytes and size are on the disk itself."""
        # Plain fsync leaves data in the drive's cache there.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

else:
    sync_data = os.fdatasync


def write_all(fd: int, data: bytes) -> None:
    """
    Write *data* in one call, or say why not.

    Raises:
        OSError: The disk did not take all of it; some of it may stand there.
    """
    written = os.write(fd, data)
    while written < len(data):  # the disk is filling up; the next call says why
        written += os.write(fd, data[written:])


def sync_folder(folder: Path) -> None:
    """Return once the names in *folder* are on the disk: after a create or a rename."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make *folder* and those above it that are missing; their names are on the disk on return."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode, exist_ok=True)
        sync_folder(folder.parent)


def create_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """
    Make *path*, holding *content*: after a crash it has all of it, or is not there.

    Raises:
        FileExistsError: It is there already; of several who make it one succeeds.
    """
    draft = _draft_of(path)
    try:
        _write_new(draft, content, mode)
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """
    Make *path* hold exactly *content*: after a crash it has the old bytes or the new ones.

    A file that is there keeps its mode; a new one gets *mode*.
    """
    draft = _draft_of(path)
    try:
        _write_new(draft, content, mode)
        with contextlib.suppress(FileNotFoundError):
            draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _write_new(file: Path, content: bytes, mode: int) -> None:
    file.unlink(missing_ok=True)  # of a process that had our number and died
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        write_all(fd, content)
        sync_data(fd)
    finally:
        os.close(fd)
