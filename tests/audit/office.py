"""An office that keeps one journal, signs it, and is audited: what the audit tests share."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines.audit import (
    Audit,
    CheckpointLog,
    HashTree,
    Pruned,
    Signed,
    SignerKey,
    Statement,
    VerifierKey,
    audit,
    tree_of,
)
from engines.journal import Journal, RecordedJournal, Rotation, files_of
from tests.conftest import Dino, Outcome
from tests.desk import ZONES
from tests.journal.conftest import Forge

NAME = "dino.local/w-17"
FORGE = Forge()


class Office:
    """A journal `notes`, a key, and the log of what was signed, all in one folder."""

    def __init__(self, folder: Path, *, rotate_bytes: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "notes.jsonl"
        self.origin = f"{NAME}/notes"
        self.signer = SignerKey.new(NAME)
        self.rotation = Rotation(rotate_bytes) if rotate_bytes else None

    @cached_property
    def log(self) -> CheckpointLog:
        return CheckpointLog(Journal(self.folder / "checkpoints.jsonl"))

    @property
    def recorded(self) -> RecordedJournal:
        return RecordedJournal(self.path)

    @property
    def tree(self) -> HashTree:
        return tree_of(self.path)

    @property
    def tree_folder(self) -> Path:
        return self.path.with_suffix(".tree")

    def note(self, count: int, text: str = "pump is back") -> None:
        """Write so many lines more."""
        journal = Journal(self.path, rotation=self.rotation)
        for begin in range(0, count, 10):
            batch = range(begin, min(begin + 10, count))
            journal.append_many([("noted", {"n": n, "text": text}) for n in batch])
        journal.close()

    def sign(self, signer: SignerKey | None = None) -> Signed:
        signed = self.log.sign(self.recorded, self.origin, signer or self.signer)
        assert signed is not None
        return signed

    def lines(self) -> list[bytes]:
        return [line for block in self.recorded.blocks() for line in block.lines]

    def rewrite(self, start: int, **changes: Any) -> None:
        """As a forger who can write all of the folder: lines, hashes and head fit again."""
        self.replace(FORGE.rechained(FORGE.lines(self.path), start, **changes))

    def replace(self, lines: Sequence[bytes]) -> None:
        """Make the live file these lines, and the head fit them."""
        self.path.write_bytes(b"".join(lines))
        self.path.with_suffix(".head").unlink()
        journal = Journal(self.path)
        with journal.locked():
            assert journal.end.parent_hash == json.loads(lines[-1])["event_hash"]
        journal.close()

    def statement(self, signed: Signed, **more: Any) -> Statement:
        return Statement(signed.note, [self.signer.verifier], **more)

    def audit(self, *more: Statement, **options: Any) -> Audit:
        """Audit the journal against all that was signed of it, and *more*."""
        own = [self.statement(signed) for signed in self.log.of("notes")]
        return audit(self.path, [*own, *more], **options)


def kinds(found: Audit) -> list[str]:
    return [fault.kind for fault in found.faults]


def sealed_files(path: Path) -> list[Path]:
    return files_of(path)[:-1]


def overwrite(file: Path, content: bytes) -> None:
    """Write a file that is kept read-only."""
    file.chmod(0o644)
    file.write_bytes(content)


def flip(file: Path, place: int) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    overwrite(file, bytes(content))


def keys(*signers: SignerKey) -> list[VerifierKey]:
    return [signer.verifier for signer in signers]


# --- a workspace with zones in several files ----------------------------------------------------

ZONE = str(ZONES[0]["name"])


def zones(root: Path) -> Path:
    return root / "memory" / "zones.jsonl"


def state(root: Path) -> dict[str, Any]:
    """What the next process sees."""
    registry = Workspace(root).zones
    return {name: getattr(registry, name) for name in registry._state_names}


def prune(root: Path, before: int = 20) -> Pruned:
    return prune_journal(Workspace(root), "zones", before)


def audited(root: Path) -> list[str]:
    return kinds(Auditing(Workspace(root)).audit(zones(root)))


def drop_snapshot(root: Path) -> None:
    """An index; what is pruned must not hang on it."""
    zones(root).with_suffix(".snapshot").unlink(missing_ok=True)


# --- the command line ---------------------------------------------------------------------------


def audit_door(dino: Dino, home: Path) -> Dino:
    """`audit …` in the workspace, with its keys below *home* and not in the developer's own."""

    def call(*args: object, env: dict[str, str] | None = None, **more: Any) -> Outcome:
        keys = {"XDG_CONFIG_HOME": str(home / "xdg")}
        return dino(*args, door="audit", env={**keys, **(env or {})}, **more)

    return call


def with_zones(root: Path, events: int = 3) -> Workspace:
    """A workspace whose journal `zones` has so many events of zones after its first two lines."""
    workspace = Workspace(root)
    workspace.zones.register_zone(ZONES[0])
    for number in range(events):
        workspace.zones.record_event(ZONE, kind="enter", note=f"call {number}")
    return workspace


def told(outcome: Outcome) -> str:
    """The message of a command that was refused: a line or two, and nothing else anywhere."""
    assert outcome.out == ""
    assert outcome.err.startswith("dino: ")
    assert 1 <= len(outcome.err.splitlines()) <= 2
    assert "internal error" not in outcome.err
    return outcome.err


def inside_door(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Dino:
    """As `audit_door`, in this process: for tables of cases, whose every line is one call."""
    from dino_os.commands import audit as door

    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    monkeypatch.setenv("USER", "tester")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.chdir(home)

    def call(*args: object, code: int | None = 0) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            door([str(arg) for arg in args], "audit")
        outcome = Outcome(int(left.value.code or 0), *capsys.readouterr())
        assert code is None or outcome.code == code, outcome
        return outcome

    return call
