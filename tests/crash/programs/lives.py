"""
Writers that go on until they are killed, and leave behind what they were doing.

Single events, batches, now and then one large enough to be killed in the middle of its write; files
are sealed after 20 kB, packed, and signed.  What was acknowledged is said as soon as it is.
"""

import contextlib
import mmap
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard  # noqa: F401  imported where something is packed first, which is not our subject

from engines.audit import CheckpointLog, SignerKey, load_key
from engines.journal import Journal, Rotation

ROTATION = Rotation(max_bytes=20_000)
DOING = ("starting", "between", "append", "batch", "rotation", "compression", "checkpoint")
ORIGIN = "dino.local/killed/shared"


class Doing:
    """What this process is about to do, in a file's shared memory: it outlives the process."""

    def __init__(self, file: str) -> None:
        fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(fd, 1)
        self._now = mmap.mmap(fd, 1)

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        before, self._now[0] = self._now[0], DOING.index(what)
        yield
        self._now[0] = before

    @staticmethod
    def last(file: Path) -> str:
        left = file.read_bytes() if file.exists() else b""
        return DOING[left[0] if left else 0]


class Watched(Journal):
    """Says when it goes on in a new file."""

    def __init__(self, path: Path, doing: Doing) -> None:
        super().__init__(path, rotation=ROTATION)
        self._doing = doing

    def rotate(self) -> None:
        with self._doing("rotation"):
            super().rotate()


class Writer:
    """One life of it: *name* tells its batches from all others."""

    def __init__(self, path: Path, name: str, doing: Doing, say: Callable[..., None]) -> None:
        self._chance = random.Random(name)
        self._name = name
        self._say = say
        self._batches = 0
        self._journal = Watched(path, doing)
        self._log = CheckpointLog(Journal(path.with_name("checkpoints.jsonl")))
        self._key: SignerKey = load_key(path.with_name("signing.key"))

    def append(self) -> None:
        self._write(1)

    def batch(self) -> None:
        self._write(self._chance.choice((2, 3, 5)))

    def _write(self, count: int) -> None:
        pad = "x" * self._chance.choice((0, 10, 100, 1000, 1000, 40_000 if count == 5 else 0))
        draft = {"batch": f"{self._name}-{self._batches}", "of": count, "pad": pad}
        self._batches += 1
        events = self._journal.append_many([("noted", draft)] * count)
        self._say(acked=[event["event_hash"] for event in events])

    def compression(self) -> None:
        self._journal.compress_sealed()

    def rotation(self) -> None:
        with self._journal.locked():
            self._journal.rotate()

    def checkpoint(self) -> None:
        if signed := self._log.sign(self._journal, ORIGIN, self._key):
            self._say(signed=signed.text)


def write(
    path: str, name: str, doing_file: str, say: Callable[..., None], gate: Callable[[], None]
) -> None:
    del gate
    doing = Doing(doing_file)
    writer = Writer(Path(path), name, doing, say)
    chance = random.Random(name)
    with doing("between"):
        while True:
            what = chance.choices(DOING[2:], (8, 8, 1, 2, 2))[0]
            with doing(what):
                getattr(writer, what)()
