"""
The files of a skill's folder, or of a ZIP file of one, taken in: nothing is written or run here.

What leads out of the folder, links, and what would be too large is refused as a whole.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dino_os.errors import InvalidInput
from dino_os.skill_md.document import FILE, FrontMatter, read

_MOST_FILES, _MOST_FILE, _MOST_BYTES, _DEEPEST = 500, 16 * 2**20, 64 * 2**20, 8
_LEFT_OUT = frozenset({".git", ".DS_Store", "__MACOSX", "__pycache__"})
_part_fits = re.compile(r"[^\\/:]{1,200}").fullmatch


@dataclass(frozen=True, slots=True)
class Bundle:
    """
    A skill's folder.

    Attributes:
        files: Path below the folder → content, in order.
    """

    front: FrontMatter
    files: dict[str, bytes]


def taken(path: Path) -> Bundle:
    """
    What is in the folder or the ZIP file at *path*.

    Raises:
        InvalidInput: It is no skill, or holds what no skill may.
    """
    folder: str | None
    if path.is_dir():
        files, folder = _collected(_in_folder(path)), path.resolve().name
    elif path.is_file() and zipfile.is_zipfile(path):
        files, folder = _without_top(_collected(_in_zip(path)))
    else:
        raise InvalidInput(f"{path}: neither a folder nor a ZIP file")
    if FILE not in files:
        raise InvalidInput(f"{path}: there is no {FILE} in it")
    try:
        text = files[FILE].decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{FILE}: not UTF-8") from None
    return Bundle(read(text, folder), files)


def _collected(found: Iterator[tuple[str, bytes]]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    size = 0
    for name, content in found:
        size += len(content)
        if len(files) >= _MOST_FILES or size > _MOST_BYTES:
            raise InvalidInput(
                f"more than {_MOST_FILES} files or {_MOST_BYTES // 2**20} MiB are no skill"
            )
        alike = unicodedata.normalize("NFKC", name).casefold()
        if alike in seen:
            raise InvalidInput(f"{name!r} is in it twice")
        seen.add(alike)
        files[name] = content
    for name in files:
        if any(str(above) in files for above in PurePosixPath(name).parents):
            raise InvalidInput(f"{name!r} lies in what is a file")
    return dict(sorted(files.items()))


def _in_folder(root: Path) -> Iterator[tuple[str, bytes]]:
    waiting = [PurePosixPath()]
    while waiting:
        below = waiting.pop()
        with os.scandir(root / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = below / entry.name
                if entry.name in _LEFT_OUT:
                    continue
                _check(str(name))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif entry.is_file(follow_symlinks=False):
                    yield str(name), _content(root / name)
                else:
                    raise InvalidInput(f"{str(name)!r} is a link, or no file at all")


def _content(path: Path) -> bytes:
    # Between the look and the opening it may have become a link.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        return _bounded(opened.read(_MOST_FILE + 1), path.name)


def _in_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as packed:
            for entry in packed.infolist():
                parts = entry.filename.rstrip("/").split("/")
                if not _LEFT_OUT.isdisjoint(parts):
                    continue
                _check_entry(entry)
                if not entry.is_dir():
                    with packed.open(entry) as opened:  # what it says of its size is not believed
                        content = opened.read(_MOST_FILE + 1)
                    yield entry.filename, _bounded(content, entry.filename)
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001  each way of packing has errors of its own
        raise InvalidInput(f"{path}: not a ZIP file that can be read: {error}") from None


def _check_entry(entry: zipfile.ZipInfo) -> None:
    _check(entry.filename.rstrip("/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise InvalidInput(f"{entry.filename!r} is a link, or no file at all")
    if entry.flag_bits & 1:
        raise InvalidInput(f"{entry.filename!r} is encrypted")


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > _MOST_FILE:
        raise InvalidInput(f"{name!r} has more than {_MOST_FILE // 2**20} MiB")
    return content


def _check(name: str) -> None:
    """
    Raises:
        InvalidInput: *name* may lead out of the folder, or is none on every system.
    """
    parts = name.split("/")
    fits = name.isprintable() and all(map(_part_fits, parts)) and not {".", ".."} & {*parts}
    if not fits or len(parts) > _DEEPEST:
        raise InvalidInput(f"{name[:200]!r} is no name of a file in a skill")


def _without_top(files: dict[str, bytes]) -> tuple[dict[str, bytes], str | None]:
    """The files of a ZIP file without the folder they all lie in, and what that is called."""
    if FILE in files:
        return files, None
    tops = {name.partition("/")[0] for name in files}
    if len(tops) != 1:
        return files, None
    (top,) = tops
    return {name.partition("/")[2]: content for name, content in files.items()}, top
