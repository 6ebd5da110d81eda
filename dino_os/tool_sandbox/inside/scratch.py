"""The folders that jobs may write to for themselves: how full they are, and emptied after each."""

from __future__ import annotations

import os
from collections.abc import Iterable

_TOO_MANY = 1 << 62
_OWNER = 0o700
_KIND, _FOLDER = 0o170000, 0o040000  # of a mode: stat.S_ISDIR, without its import


def is_too_full(folders: Iterable[str], most_files: int, most_bytes: int) -> bool:
    """Whether one of *folders* holds more than that."""
    return any(_used(folder, most_files) > most_bytes for folder in folders)


def clear(folders: Iterable[str]) -> bool:
    """Empty *folders*, but for what is mounted in them; whether they are empty."""
    emptied = [_emptied(folder) for folder in folders]
    return all(emptied)


def _used(folder: str, most_files: int) -> int:
    if os.path.ismount(folder):
        system = os.statvfs(folder)
        if system.f_files - system.f_ffree > most_files:
            return _TOO_MANY
        return (system.f_blocks - system.f_bfree) * system.f_frsize
    total, count, folders = 0, 0, [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    count += 1
                    if count > most_files:
                        return _TOO_MANY
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:  # gone in the meantime, or too deep for a path
            continue
    return total


def _emptied(folder: str) -> bool:
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return _empty(at, os.fstat(at).st_dev)
    except OSError:
        return False
    finally:
        os.close(at)


def _empty(root: int, device: int) -> bool:
    """Remove all below *root*, as deep as it goes: what lies deeper is lifted up to be removed."""
    left = False
    lifted = 0
    fresh = os.urandom(8).hex()  # a name that nobody has taken to be in the way
    while True:
        before = lifted
        for name in os.listdir(root):
            status = os.stat(name, dir_fd=root, follow_symlinks=False)
            if status.st_dev != device:
                left = True
                continue
            if not _is_folder(status):
                os.unlink(name, dir_fd=root)
                continue
            lifted = _lift(root, name, fresh, lifted)
            os.rmdir(name, dir_fd=root)
        if lifted == before:
            return not left


def _lift(root: int, name: str, fresh: str, lifted: int) -> int:
    """Move the folders in *name* up into *root*, under new names, and remove its files."""
    os.chmod(name, _OWNER, dir_fd=root)
    at = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        for inner in os.listdir(at):
            if _is_folder(os.stat(inner, dir_fd=at, follow_symlinks=False)):
                lifted += 1
                os.chmod(inner, _OWNER, dir_fd=at)
                os.rename(inner, f"{fresh}-{lifted}", src_dir_fd=at, dst_dir_fd=root)
            else:
                os.unlink(inner, dir_fd=at)
    finally:
        os.close(at)
    return lifted


def _is_folder(status: os.stat_result) -> bool:
    return status.st_mode & _KIND == _FOLDER
