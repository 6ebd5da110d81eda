"""Journals to test with: where they lie, what they hold, and the hands of a forger."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.journal import Journal
from engines.journal.head import Head, HeadFile

Snapshot = Callable[[Path], dict[str, bytes]]

ORIGIN = {"workspace": "w-17", "name": "harbour"}


class Forge:
    """Reads and rewrites journal files behind the journal's back."""

    @staticmethod
    def lines(path: Path) -> list[bytes]:
        return path.read_bytes().splitlines(keepends=True)

    @staticmethod
    def seal(body: bytes) -> bytes:
        """*body* (a JSON object) as a line with the hash that fits its bytes."""
        digest = hashlib.sha256(body).hexdigest().encode()
        return body[:-1] + b',"event_hash":"' + digest + b'"}\n'

    def resealed(self, line: bytes, **changes: Any) -> bytes:
        """*line* with some members changed and a hash that fits again."""
        event = json.loads(line) | changes
        del event["event_hash"]
        return self.seal(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())

    def rechained(self, lines: list[bytes], start: int, **changes: Any) -> list[bytes]:
        """*lines* with one changed and all from there on sealed again, one upon the other."""
        done = list(lines)
        done[start] = self.resealed(done[start], **changes)
        for index in range(start + 1, len(done)):
            parent = json.loads(done[index - 1])["event_hash"]
            done[index] = self.resealed(done[index], parent_hash=parent)
        return done

    @staticmethod
    def head(path: Path) -> Head:
        head = HeadFile(path.with_suffix(".head")).read()
        assert head is not None
        return head

    @staticmethod
    def write_head(path: Path, head: Head) -> None:
        file = HeadFile(path.with_suffix(".head"))
        file.lock(10)
        file.write(head)
        file.close()

    def reboot(self, path: Path, **changes: Any) -> None:
        """Make the head one of an earlier boot, by which it is no more than a lower bound."""
        self.write_head(path, replace(self.head(path), boot="an-earlier-boot", **changes))


@pytest.fixture(scope="session")
def forge() -> Forge:
    return Forge()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.jsonl"


@pytest.fixture(scope="session")
def new_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Paths of journals that do not exist yet, for properties that need one per example."""
    root, numbers = tmp_path_factory.mktemp("journals"), itertools.count()

    def make() -> Path:
        folder = root / str(next(numbers))
        folder.mkdir()
        return folder / "notes.jsonl"

    return make


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """A journal that does not exist before its first event."""
    ticks = itertools.count(1_789_412_345)
    journal = Journal(path, origin=ORIGIN, clock=lambda: next(ticks) + 0.25, lock_timeout_s=10)
    yield journal
    journal.close()


@pytest.fixture
def ten(journal: Journal, path: Path) -> Path:
    """The file of a journal of ten lines: its beginning and nine notes."""
    for number in range(1, 10):
        journal.append("noted", {"n": number, "text": f"pump {number} is back"})
    journal.close()
    return path


@pytest.fixture
def folder_bytes() -> Snapshot:
    """What a journal's folder holds, to show that nothing was written; the lock file aside."""

    def snapshot(path: Path) -> dict[str, bytes]:
        return {
            file.name: file.read_bytes()
            for file in sorted(path.parent.iterdir())
            if file.suffix != ".head"
        }

    return snapshot
