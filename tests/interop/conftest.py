"""
Two readings of one folder: Dino's, and that of a verifier which only knows docs/journal.md.

And what they are held together on: journals in files of every kind, and the real `audit`.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engines.journal import Journal, Rotation, verify

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # as for `python tests/interop/verifier.py`: it is a program

import verifier  # noqa: E402

from tests.conftest import Dino, Outcome  # noqa: E402
from tests.interop.hands import lines_of, put, unpacked, write_head  # noqa: E402

Audit = Callable[..., Outcome]

PAYLOADS: list[dict[str, Any]] = [
    {"text": "pump 3 is back", "n": 0},
    {"text": 'é ß 漢字 🦕 \u2028 \ufeff "quoted" \\ \t\x7f', "Å": "ключ"},
    {"x": 0.1, "y": -1e-7, "z": 1.7976931348623157e308, "one": 1.0, "zero": -0.0},
    {"big": 2**63, "bigger": -(2**64), "biggest": 10**400},
    {"deep": [[{"a": [None, True, False, {}]}], []], "": "empty name"},
]


@dataclass(frozen=True)
class Judgement:
    """What one of the two says; a place it does not name is None."""

    sound: bool
    lines: int
    head_hash: str | None
    root: bytes | None
    file: str | None
    line: int | None
    kind: str | None


def by_dino(folder: Path, name: str) -> Judgement:
    path = folder / f"{name}.jsonl"
    try:
        report = verify(path)
    except FileNotFoundError:
        return Judgement(False, 0, None, None, None, None, "missing")
    if fault := report.fault:
        # A line without a file is one of the live file's: so the commands print it.
        where = fault.file or (path.name if fault.line else None), fault.line or None
        return Judgement(False, report.lines, None, None, *where, fault.kind)
    root = verify(path, sizes=[report.lines]).roots.get(report.lines)
    return Judgement(True, report.lines, report.head_hash, root, None, None, None)


def by_document(folder: Path, name: str) -> Judgement:
    verdict = verifier.verify_journal(folder, name)
    if fault := verdict.fault:
        return Judgement(False, verdict.lines, None, None, fault.file, fault.line, fault.kind)
    root = verdict.roots.get(verdict.lines)
    return Judgement(True, verdict.lines, verdict.head_hash, root, None, None, None)


def judged_alike(folder: Path, name: str = "notes") -> Judgement:
    """The judgement of both, which must be one wherever both say something."""
    dino, ours = by_dino(folder, name), by_document(folder, name)
    assert dino.sound == ours.sound, (dino, ours)
    if dino.sound:
        assert dino == ours
    for theirs, here in ((dino.line, ours.line), (dino.file, ours.file)):
        assert None in {theirs, here} or theirs == here, (dino, ours)
    if dino.line and ours.line:
        assert dino.lines == ours.lines, (dino, ours)
    return dino


# --- journals --------------------------------------------------------------------------------------


def grow(path: Path, payloads: Iterable[dict[str, Any]], max_bytes: int | None = None) -> Journal:
    journal = Journal(path, origin={"name": "test"}, rotation=Rotation(max_bytes=max_bytes))
    for payload in payloads:
        journal.append("noted", payload)
    return journal


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal `notes` of six lines in one file."""
    folder = tmp_path_factory.mktemp("short")
    grow(folder / "notes.jsonl", PAYLOADS).close()
    return folder


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal `notes` in four files: plain, packed, plain, live."""
    folder = tmp_path_factory.mktemp("long")
    numbers = itertools.count()
    journal = grow(folder / "notes.jsonl", [], max_bytes=1200)
    while not (folder / "notes.000003.jsonl").exists():
        journal.append("noted", {"n": next(numbers)})
    journal.append_many([("noted", {"n": next(numbers)}) for _ in range(3)])
    journal.compress_sealed()
    journal.close()
    for number in (1, 3):
        packed = folder / f"notes.{number:06d}.jsonl.zst"
        put(packed.with_suffix(""), unpacked(packed))
        packed.unlink()
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a folder to tamper with; at home its head is exact for it, as before copying."""
    numbers = itertools.count()

    def make(folder: Path, *, home: bool = True) -> Path:
        target = tmp_path / f"copy-{next(numbers)}"
        shutil.copytree(folder, target)
        if home:
            write_head(target)
        return target

    return make


# --- the real `audit` ----------------------------------------------------------------------


@pytest.fixture
def audit(dino: Dino, workspace: Path) -> Audit:
    env = {"XDG_CONFIG_HOME": str(workspace / "xdg")}
    return lambda *args, **how: dino(*args, door="audit", env=env, **how)


def more(workspace: Path, count: int, max_bytes: int | None = 1500) -> None:
    payloads = [{**PAYLOADS[number % len(PAYLOADS)], "i": number} for number in range(count)]
    grow(workspace / "memory" / "notes.jsonl", payloads, max_bytes).close()


def all_lines(memory: Path) -> list[bytes]:
    files = [*sorted(memory.glob("notes.0*.jsonl")), memory / "notes.jsonl"]
    return [line for file in files for line in lines_of(file)]


def new_key(audit: Audit, how: str = "new", **where: Any) -> str:
    found: str = audit("key", how, "--no-passphrase", "--json", **where).json["verifier_key"]
    return found


def signed(audit: Audit, **where: Any) -> dict[str, Any]:
    """What `audit checkpoint` says it signed, by journal."""
    return {
        each["journal"]: each for each in audit("checkpoint", "--json", **where).json["checkpoints"]
    }


def refused(check: Callable[..., object], *args: object) -> str:
    with pytest.raises(verifier.Fault) as caught:
        check(*args)
    return str(caught.value.kind)
