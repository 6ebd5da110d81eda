"""
What a program did to a folder, by strace: each call that reached the file system, in its order.

Nothing is passed over: a call on the folder that is not known here is an error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
FOLDER = 0  # in the place of a file's number


@dataclass(frozen=True)
class Write:
    """Bytes written to a file (by its number: names change) at an offset."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Resize:
    file: int
    size: int


@dataclass(frozen=True)
class SyncFile:
    file: int


@dataclass(frozen=True)
class SyncFolder:
    path: str


@dataclass(frozen=True)
class Names:
    """Names that change at one stroke, and the files they then stand for; None is none."""

    changes: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Mark:
    """What the program said about itself between two calls."""

    said: dict[str, Any]


Step = Write | Resize | SyncFile | SyncFolder | Names | Mark

_call = re.compile(r"(?P<name>\w+)\((?P<args>.*)\)\s+= (?P<result>-?\d+)").match
_unfinished = re.compile(r"(?P<begun>.*) <unfinished \.\.\.>$").fullmatch
_resumed = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)").fullmatch
_strings = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?').findall

_FLAGS = "-f --seccomp-bpf -xx -s 10000000 -e signal=none"
# All that could change a file, and what tells where the next write goes.  Reads move that place
# too, so no file may be written to after a read without a seek; none of ours is.
_TRACED = (
    "/^(open|creat|close|dup|p?write|f?truncate|fallocate|rename|link|symlink|unlink|mkdir|rmdir|"
    "mknod|f?sync|fdatasync|msync|sendfile|copy_file_range|splice|lseek|f?chmod|fchown|chown|lchown)"
)


def record(program: str, *args: object, root: Path, **env: str) -> list[Step]:
    """Run a program of `programs/` and return what it did below *root*, and what it said."""
    log, marks = root.with_name("strace"), root.with_name("marks")
    watched = ["strace", *_FLAGS.split(), f"-etrace={_TRACED}", "-o", log, sys.executable]
    subprocess.run(
        [*watched, HERE / "programs" / f"{program}.py", marks, root, *map(str, args)],
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **env},
    )
    recorder = _Recorder(root, marks)
    for name, arguments, result in _calls(log):
        recorder.take(name, arguments, result)
    return recorder.steps


def _calls(log: Path) -> Iterator[tuple[str, str, int]]:
    """The calls that succeeded, each at the moment it returned."""
    waiting: dict[str, str] = {}
    for line in log.read_text().splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if found := _unfinished(text):
            waiting[thread] = found["begun"]
            continue
        if found := _resumed(text):
            text = waiting.pop(thread) + found["rest"]
        if (call := _call(text)) and int(call["result"]) >= 0:
            yield call["name"], call["args"], int(call["result"])


@dataclass
class _Open:
    file: int
    path: str
    offset: int = 0
    appends: bool = False


class _Recorder:
    """Follows file descriptors, names and sizes, so that each step says which file it is about."""

    def __init__(self, root: Path, marks: Path) -> None:
        self.steps: list[Step] = []
        self._root, self._marks = str(root), str(marks)
        self._names: dict[str, int] = {"": FOLDER}
        self._sizes: dict[int, int] = {}
        self._open: dict[int, _Open] = {}

    def take(self, name: str, args: str, result: int) -> None:
        kind = name.removesuffix("64").removesuffix("2").removesuffix("at")
        texts = [_decode(*found) for found in _strings(args)]
        method = getattr(self, f"_on_{kind}", None)
        if method:
            method(args, texts, result)
        elif self._concerns(args, texts):
            raise NotImplementedError(f"{name}({args}) changes the folder in a way unknown here")

    def _concerns(self, args: str, texts: list[bytes]) -> bool:
        on_file = re.match(r"\d+", args) and _number(args) in self._open
        return bool(on_file) or any(self._ours(text) is not None for text in texts)

    def _ours(self, text: bytes) -> str | None:
        """The path below the root, or None where it is none of ours."""
        path = text.decode(errors="replace")
        if path == self._root:
            return ""
        return path.removeprefix(f"{self._root}/") if path.startswith(f"{self._root}/") else None

    # --- open files --------------------------------------------------------------------------

    def _on_open(self, args: str, texts: list[bytes], fd: int) -> None:
        self._open.pop(fd, None)
        if texts[0].decode(errors="replace") == self._marks:
            self._open[fd] = _Open(-1, self._marks)
        path = self._ours(texts[0])
        if path is None:
            return
        if path not in self._names:
            assert "O_CREAT" in args
            self._sizes[len(self._sizes) + 1] = 0
            self._rename((path, len(self._sizes)))
        file = self._names[path]
        self._open[fd] = _Open(file, path, appends="O_APPEND" in args)
        if "O_TRUNC" in args and self._sizes[file]:
            self._resize(file, 0)

    def _on_close(self, args: str, texts: list[bytes], result: int) -> None:
        self._open.pop(_number(args), None)

    def _on_dup(self, args: str, texts: list[bytes], fd: int) -> None:
        assert _number(args) not in self._open

    def _on_lseek(self, args: str, texts: list[bytes], place: int) -> None:
        if place_of := self._open.get(_number(args)):
            place_of.offset = place

    # --- content -----------------------------------------------------------------------------

    def _on_write(self, args: str, texts: list[bytes], count: int) -> None:
        here = self._open.get(_number(args))
        if here is None:
            return
        if here.path == self._marks:
            self.steps.append(Mark(json.loads(texts[0])))
            return
        offset = self._sizes[here.file] if here.appends else here.offset
        self._write(here.file, offset, texts[0][:count])
        here.offset = offset + count

    def _on_pwrite(self, args: str, texts: list[bytes], count: int) -> None:
        if here := self._open.get(_number(args)):
            self._write(here.file, int(args.rpartition(", ")[2]), texts[0][:count])

    def _write(self, file: int, offset: int, data: bytes) -> None:
        self.steps.append(Write(file, offset, data))
        self._sizes[file] = max(self._sizes[file], offset + len(data))

    def _on_ftruncate(self, args: str, texts: list[bytes], result: int) -> None:
        if here := self._open.get(_number(args)):
            self._resize(here.file, int(args.rpartition(", ")[2]))

    def _on_truncate(self, args: str, texts: list[bytes], result: int) -> None:
        if path := self._ours(texts[0]):
            self._resize(self._names[path], int(args.rpartition(", ")[2]))

    def _resize(self, file: int, size: int) -> None:
        self.steps.append(Resize(file, size))
        self._sizes[file] = size

    def _on_fsync(self, args: str, texts: list[bytes], result: int) -> None:
        if here := self._open.get(_number(args)):
            folder = here.file == FOLDER
            self.steps.append(SyncFolder(here.path) if folder else SyncFile(here.file))

    _on_fdatasync = _on_fsync

    # --- names -------------------------------------------------------------------------------

    def _on_mkdir(self, args: str, texts: list[bytes], result: int) -> None:
        if path := self._ours(texts[0]):
            self._rename((path, FOLDER))

    def _on_link(self, args: str, texts: list[bytes], result: int) -> None:
        old, new = map(self._ours, texts)
        if new:
            self._rename((new, self._names[old or ""]))

    def _on_rename(self, args: str, texts: list[bytes], result: int) -> None:
        old, new = map(self._ours, texts)
        if old or new:
            assert old, "moved in from elsewhere"
            assert new, "moved out"
            self._rename((old, None), (new, self._names[old]))

    def _on_unlink(self, args: str, texts: list[bytes], result: int) -> None:
        if path := self._ours(texts[0]):
            self._rename((path, None))

    def _on_chmod(self, args: str, texts: list[bytes], result: int) -> None:
        """Who may write is not part of what is simulated."""

    _on_fchmod = _on_chmod

    def _rename(self, *changes: tuple[str, int | None]) -> None:
        self.steps.append(Names(changes))
        for path, file in changes:
            if file is None:
                del self._names[path]
            else:
                self._names[path] = file


def _decode(text: str, cut: str) -> bytes:
    assert not cut, "strace cut a string short"
    return bytes.fromhex(text.replace("\\x", ""))


def _number(args: str) -> int:
    found = re.match(r"\d+", args)
    return int(found[0]) if found else -1
