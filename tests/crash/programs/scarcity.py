"""
Do each operation with too little of something: `scarcity.py KIND FOLDER`; the folder is a disk.

What is lacking is lacking from the operation's gate on, by a little less each time.  Then it is
there again, and everything must be as `aftermath` has it.  To standard output go the ends.
"""

import contextlib
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engines.errors import DinoError
from tests.crash.aftermath import check_after, check_end
from tests.crash.programs import operations
from tests.crash.programs.operations import OF_A_JOURNAL, OF_A_WORKSPACE, Gate, Say

ROOT = Path(sys.argv[2])
PAGE, NOBODY = 4096, 65534


@contextlib.contextmanager
def space(room: int) -> Iterator[None]:
    """So many pages are free."""
    ballast = ROOT / "ballast"
    free = os.statvfs(ROOT)
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - room * PAGE))
    yield
    ballast.unlink()


@contextlib.contextmanager
def names(room: int) -> Iterator[None]:
    """So many files more can be made."""
    crowd = ROOT / "crowd"
    crowd.mkdir()
    for number in range(os.statvfs(ROOT).f_favail - room):
        (crowd / str(number)).touch()
    yield
    shutil.rmtree(crowd)


@contextlib.contextmanager
def size(room: int) -> Iterator[None]:
    """No file may grow beyond so much."""
    with limit(resource.RLIMIT_FSIZE, room * 350):
        yield


@contextlib.contextmanager
def descriptors(room: int) -> Iterator[None]:
    """So many files more can be opened."""
    free = os.open("/", os.O_RDONLY)
    os.close(free)
    with limit(resource.RLIMIT_NOFILE, free + room):
        yield


@contextlib.contextmanager
def limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    yield
    resource.setrlimit(kind, (soft, hard))


@contextlib.contextmanager
def rights(_: int) -> Iterator[None]:
    """Everything can be read and nothing changed."""
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


@contextlib.contextmanager
def writing(_: int) -> Iterator[None]:
    """The disk was mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", ROOT], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", ROOT], check=True)


KINDS = {
    "space": (space, range(6)),
    "names": (names, range(6)),
    "size": (size, range(1, 24, 4)),
    "descriptors": (descriptors, range(7)),
    "rights": (rights, (0,)),
    "writing": (writing, (0,)),
}


def attempt(operation: str, folder: Path, room: int) -> str:
    lacking = KINDS[sys.argv[1]][0]
    said: list[dict[str, Any]] = []
    before = open_files()
    with contextlib.ExitStack() as stack:
        begin = partial(stack.enter_context, lacking(room))
        if lacking is writing:  # it cannot be mounted so while somebody has a file open
            begin()
            begin = partial(int)
        end = do(operation, folder, say=lambda **words: said.append(words), gate=begin)
    check_end(operation, end)
    assert open_files() == before, "files were left open"
    check_after(folder, operation, said)
    return end["end"]


def open_files() -> list[str]:
    gc.collect()  # whoever failed is kept by the traceback of its error
    return sorted(str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.exists())


def do(operation: str, folder: Path, say: Say, gate: Gate) -> dict[str, Any]:
    try:
        getattr(operations, operation)(folder, say=say, gate=gate)
    except (DinoError, OSError) as error:
        why = traceback.format_exc()
        return {"end": "refused", "dino": isinstance(error, DinoError), "why": why}
    return {"end": "done"}


gc.freeze()  # what is imported holds no file open: it is not looked through for each attempt
ends: dict[str, Counter[str]] = {}
for operation in (*OF_A_JOURNAL, *OF_A_WORKSPACE):
    prepared = ROOT / "prepared"
    operations.prepare(operation, prepared)
    for file in prepared.rglob("*"):
        file.chmod(file.stat().st_mode | 0o444)
    for room in KINDS[sys.argv[1]][1]:
        folder = ROOT / "workspace"
        shutil.copytree(prepared, folder)
        operations.settle(folder)
        try:
            end = attempt(operation, folder, room)
        except Exception as error:
            raise AssertionError(f"{operation} with {sys.argv[1]} for {room}") from error
        ends.setdefault(operation, Counter())[end] += 1
        shutil.rmtree(folder)
    shutil.rmtree(prepared)
sys.stdout.write(json.dumps(ends))
