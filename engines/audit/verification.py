"""
A journal held against what was signed of it: its own checkpoints, and notes that others kept.

The chain shows that a journal is consistent with itself; a signed root shows that it is the one
that was signed.  Both are recomputed from the raw bytes, over every line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from engines.audit.checkpoint import Checkpoint
from engines.audit.log import tree_of
from engines.audit.note import Note, NotSigned, VerifierKey, WrongKey, verify_note
from engines.audit.pruning import base_path
from engines.audit.tree import HashTree
from engines.errors import JournalBroken, JournalError
from engines.journal import START, Fault, OnProgress, Position, RecordedJournal, Report, Since
from engines.journal import verify as verify_chain
from engines.merkle import HASH_SIZE, edge, leaf_hashes


@dataclass(frozen=True, slots=True)
class Anchor:
    """
    A signed checkpoint that the journal bears out.

    Attributes:
        signed_by: Names of the keys that were asked for and signed it.
        external: Whether it was kept, or cosigned, outside the workspace.
    """

    checkpoint: Checkpoint
    signed_by: tuple[str, ...]
    external: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A note to hold a journal against, the keys that may have signed it, and where it was kept."""

    note: Note
    keys: Sequence[VerifierKey]
    witnesses: Sequence[VerifierKey] = ()
    external: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """
    What an audit found.

    Attributes:
        report: Of the chain.
        faults: Everything wrong, the chain's fault first.
        anchors: The statements that hold, smallest first.
    """

    report: Report
    faults: tuple[Fault, ...]
    anchors: tuple[Anchor, ...]

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def anchored_to(self) -> int:
        """Up to which line somebody outside the workspace can contradict a change."""
        return max((a.checkpoint.size for a in self.anchors if a.external), default=0)

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if self.faults:
            return ", ".join(dict.fromkeys(fault.kind for fault in self.faults))
        if external := self.anchored_to:
            names = ", ".join(sorted({n for a in self.anchors if a.external for n in a.signed_by}))
            return f"anchored to line {external:,} ({names})"
        if self.anchors:
            size = self.anchors[-1].checkpoint.size
            return f"signed to line {size:,}, unanchored: no note of it is held elsewhere"
        return "internally consistent, unanchored"

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.report.as_dict(),
            "ok": self.ok,
            "verdict": self.verdict,
            "anchored": self.anchored_to > 0,
            "anchored_lines": self.anchored_to,
            "signed_lines": self.anchors[-1].checkpoint.size if self.anchors else 0,
            "faults": [fault.as_dict() for fault in self.faults],
        }


def audit(
    path: Path,
    statements: Iterable[Statement],
    *,
    since: Since | None = None,
    jobs: int = 1,
    on_progress: OnProgress | None = None,
) -> Audit:
    """
    Verify the journal at *path* and hold it against *statements*.

    Raises:
        OSError: The file cannot be read.
        NoteInvalid: A statement is not a checkpoint.
    """
    stated = sorted(
        ((Checkpoint.parse(statement.note.text), statement) for statement in statements),
        key=lambda pair: pair[0].size,
    )
    known = [checkpoint for checkpoint, _ in stated]
    begin = _begin(path)
    # The lines before were pruned, or are taken on somebody's word: their hashes stand for them.
    since = since or _after_pruning(path, begin, known)
    sizes = [checkpoint.size for checkpoint in known] if known else None
    report = verify_chain(path, sizes=sizes, since=since, jobs=jobs, on_progress=on_progress)
    tree = tree_of(path)
    faults, anchors = [report.fault] if report.fault else [], []
    if since is None and begin.seq and known:
        faults.append(_index_fault(report, f"{tree.folder.name}/ lacks hashes of pruned lines"))
        stated = []
    elif since:
        early = (size for size in sizes or () if size <= since.position.seq)
        report.roots.update({size: tree.root(size) for size in early})
    for checkpoint, statement in stated:
        found = _hold_against(path, report, checkpoint, statement)
        if isinstance(found, Anchor):
            anchors.append(found)
        elif found:
            faults.append(found)
    if not faults:
        faults += filter(None, [_check_index(report, tree, known), _check_base(report, begin)])
    return Audit(report, tuple(faults), tuple(anchors))


def _check_index(report: Report, tree: HashTree, known: Sequence[Checkpoint]) -> Fault | None:
    """What lies behind the last checkpoint in the index may be a crash's: nobody goes by it."""
    last = max((c for c in known if c.size <= tree.size), key=_size, default=None)
    if last is None or tree.bears_out(last.size, last.root):
        return None
    folder = f"{tree.folder.name}/"
    remedy = "restore it from a copy" if report.pruned else f"delete {folder}"
    return _index_fault(report, f"{folder} differs from the lines; {remedy}")


def _index_fault(report: Report, what: str) -> Fault:
    return Fault("index", 0, report.lines, f"the index of hashes in {what}")


def _size(checkpoint: Checkpoint) -> int:
    return checkpoint.size


def _check_base(report: Report, begin: Position) -> Fault | None:
    """What stands for pruned lines must be there, and be what was said to stand for them."""
    kept = {digest for lines, digest in report.prunings if lines >= begin.seq and digest}
    if not begin.seq or not kept:
        return None
    file = base_path(report.path)
    try:
        digest = sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        what = "the state that stands for the lines that were pruned is gone"
        return Fault("snapshot", 0, report.lines, what, file.name)
    if digest in kept:
        return None
    what = "no line says that this state stands for the lines that were pruned"
    return Fault("snapshot", 0, report.lines, what, file.name)


def _hold_against(
    path: Path, report: Report, checkpoint: Checkpoint, statement: Statement
) -> Anchor | Fault | None:
    size = checkpoint.size
    try:
        signers = verify_note(statement.note, statement.keys)
    except NotSigned as reason:
        kind = "wrong key" if isinstance(reason, WrongKey) else "unsigned"
        what = f"the checkpoint of {size} lines: {reason.message}"
        return Fault(kind, 0, min(size, report.lines), what)
    if size > report.lines:
        if report.fault:
            return None  # the chain's own fault comes before
        what = f"{size} lines were signed, {report.lines} are there"
        return Fault("truncated", 0, report.lines, what)
    if report.roots.get(size) != checkpoint.root:
        seq = _first_difference(path, checkpoint)
        place = f"line {seq + 1} is" if seq is not None else f"the first {size} lines are"
        return Fault("forked", 0, seq or 0, f"{place} not what was signed at {size} lines")
    witnesses = [w.name for w in statement.witnesses if statement.note.is_signed_by(w)]
    names = (*(key.name for key in signers), *witnesses)
    return Anchor(checkpoint, names, external=statement.external or bool(witnesses))


def _first_difference(path: Path, checkpoint: Checkpoint) -> int | None:
    """Number of the first line that was not signed so, where the index of hashes still knows."""
    tree = tree_of(path)
    if not tree.holds(checkpoint.size, checkpoint.root):
        return None
    here = 0
    try:
        for block in RecordedJournal(path).blocks():
            signed = tree.leaves(here, len(block.lines))
            for index, found in enumerate(leaf_hashes(block.lines)):
                if found != signed[index * HASH_SIZE : (index + 1) * HASH_SIZE]:
                    return here + index
            here += len(block.lines)
    except JournalBroken:
        pass  # that fault is reported already
    return None


def _begin(path: Path) -> Position:
    """Where the journal begins as far as it is there; what is wrong with it others will say."""
    with contextlib.suppress(JournalError):
        return RecordedJournal(path).begin()
    return START


def _after_pruning(path: Path, begin: Position, known: Sequence[Checkpoint]) -> Since | None:
    """Where a pruned journal begins, if its index of hashes bears a checkpoint behind that."""
    tree = tree_of(path)
    borne = any(c.size >= begin.seq and tree.holds(c.size, c.root) for c in known)
    return Since(begin, edge(begin.seq, tree.hash_at)) if begin.seq and borne else None


def since_checkpoint(path: Path, checkpoint: Checkpoint, behind: Position) -> Since | None:
    """Where to begin after *checkpoint*, where the index of hashes still bears it out."""
    tree = tree_of(path)
    if not tree.holds(checkpoint.size, checkpoint.root):
        return None
    return Since(behind, edge(checkpoint.size, tree.hash_at))
