"""
The files and folders that a policy names, each resolved once to a descriptor.

Between a check and its use a path can be swapped for a link; a descriptor cannot.  What is mounted
or allowed later is what was opened here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from dino_os.errors import InvalidInput
from dino_os.keys_folder import keys_folder
from dino_os.tool_sandbox.kernel import calls

# In a workspace: what only Dino itself writes, and what nobody but Dino reads.
NEVER_WRITTEN = ("config.yaml", "memory", "skills", ".git", ".venv")
NEVER_READ = ("memory/vault",)
_unwritable = re.compile(r"[\0\ud800-\udfff]")
_NO_MAGIC_LINKS, _BENEATH = 0x02, 0x08


@dataclass(frozen=True, slots=True)
class Opened:
    """A path as the skill names it, and the descriptor of what it is."""

    path: str
    descriptor: int


def check(declared: str, what: str, *, writes: bool = False) -> str:
    """
    A declared path in its one spelling: no `..`, no doubled or trailing slashes.

    Raises:
        InvalidInput: It is empty, goes up, or names what is never written or read.
    """
    if not declared or _unwritable.search(declared) or declared.startswith("~"):
        raise InvalidInput(f"{what}: expected a path in the workspace, found {declared!r}")
    path = PurePosixPath(declared)
    if ".." in path.parts:
        raise InvalidInput(
            f"{what}: {declared!r} goes up", hint="name the folder by its absolute path"
        )
    kept = NEVER_WRITTEN if writes else NEVER_READ
    if not path.is_absolute():
        for name in kept:
            own = PurePosixPath(name)
            if path.is_relative_to(own) or (writes and own.is_relative_to(path)):
                raise InvalidInput(
                    f"{what}: {declared!r} would let it {'change' if writes else 'read'} {name}, "
                    "which only Dino itself does",
                    hint="name the folders that it needs, for example reports/",
                )
    return str(path)


class Paths:
    """Opens what a policy names, and closes it again; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._root = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._opened.callback(os.close, self._root)
        root = _true_path(self._root)
        # A workspace may keep its memory elsewhere, behind a link of its own.
        keys = str(keys_folder())
        self._unwritten, self._unread = (
            {Path(where) for name in (*names, keys) for where in _places(root, name)}
            for names in (NEVER_WRITTEN, NEVER_READ)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def read(self, declared: Iterable[str]) -> list[Opened]:
        """What is there of *declared*; in parts where a folder holds what is never read."""
        found: list[Opened] = []
        for name in declared:
            path = check(name, "reads")
            if opened := self._open(path):
                self._refuse_planted(opened, path)
                found += self._without_secrets(opened)
        return found

    def write(self, declared: Iterable[str]) -> list[Opened]:
        """*declared*, a folder of the workspace made where it is not there."""
        found = []
        for name in declared:
            path = check(name, "writes", writes=True)
            opened = self._open(path)
            if opened is None and not path.startswith("/"):
                try:
                    self._make(path, folder=name.endswith("/") or not PurePosixPath(path).suffix)
                except OSError as error:
                    raise InvalidInput(f"writes: cannot make {name!r}: {error.strerror}") from None
                opened = self._open(path)
            if opened:
                self._refuse_own(opened, path)
                found.append(opened)
        return found

    def _make(self, path: str, *, folder: bool) -> None:
        """Make what is to be written to: from the workspace down, through no link."""
        *parents, last = PurePosixPath(path).parts
        with ExitStack() as passed:
            at = self._root
            for name in [*parents, last] if folder else parents:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=at)
                at = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=at)
                passed.callback(os.close, at)
            if not folder:
                new = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                os.close(os.open(last, new, 0o644, dir_fd=at))

    def _open(self, path: str) -> Opened | None:
        """
        None where nothing is there.

        Raises:
            InvalidInput: A link leads out of the workspace.
        """
        beneath = 0 if path.startswith("/") else _BENEATH
        try:
            descriptor = _open_at(self._root, path, beneath | _NO_MAGIC_LINKS)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR}:
                return None
            if error.errno in {errno.EXDEV, errno.ELOOP}:
                raise InvalidInput(
                    f"{path}: a link on the way leads out of the workspace",
                    hint="name what it leads to by its absolute path",
                ) from None
            raise InvalidInput(f"cannot open {path!r}: {error.strerror}") from None
        self._opened.callback(os.close, descriptor)
        return Opened(str(self._folder / path), descriptor)

    def _refuse_own(self, opened: Opened, path: str) -> None:
        """Links can lead to what a check of the name alone would not see."""
        true = Path(_true_path(opened.descriptor))
        for own in self._unwritten:
            if true.is_relative_to(own) or own.is_relative_to(true):
                raise InvalidInput(f"writes: {path!r} would let it change {own.name}")

    def _refuse_planted(self, opened: Opened, path: str) -> None:
        """A link to the record is one that a skill with leave to write may have put there."""
        asked = PurePosixPath(path)
        if asked.is_absolute() or any(asked.is_relative_to(name) for name in NEVER_WRITTEN):
            return
        true = Path(_true_path(opened.descriptor))
        if true == Path(_true_path(self._root), path):
            return
        if any(true.is_relative_to(own) or own.is_relative_to(true) for own in self._unwritten):
            raise InvalidInput(
                f"reads: {path!r} is a link to what Dino itself keeps",
                hint="name what it leads to",
            )

    def _without_secrets(self, opened: Opened) -> Iterator[Opened]:
        true = Path(_true_path(opened.descriptor))
        if any(true.is_relative_to(secret) for secret in self._unread):
            raise InvalidInput(f"reads: {opened.path} holds secrets, which no skill reads")
        if not any(secret.is_relative_to(true) for secret in self._unread):
            yield opened
            return
        for name in sorted(os.listdir(f"/proc/self/fd/{opened.descriptor}")):
            if true / name in self._unread:
                continue
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                descriptor = os.open(name, flags, dir_fd=opened.descriptor)
            except FileNotFoundError:  # gone in the meantime
                continue
            self._opened.callback(os.close, descriptor)
            if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
                yield from self._without_secrets(Opened(f"{opened.path}/{name}", descriptor))


def _true_path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _places(root: str, name: str) -> tuple[str, str]:
    place = os.path.join(root, name)
    return place, os.path.realpath(place)


def _open_at(root: int, path: str, resolve: int) -> int:
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, resolve)
    return calls.syscall(calls.OPENAT2, root, os.fsencode(path) + b"\0", how, len(how))
