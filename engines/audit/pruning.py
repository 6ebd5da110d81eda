"""
Pruning: sealed segments removed for good, their proofs kept.

What must be there before a line is removed: a signed checkpoint that covers it, the hash of it and
of all its neighbours in the tree's index, and, for an engine's journal, the state that was folded
up to there (`NAME.base`).  The journal itself records that it was pruned, and to which line.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engines.audit.log import Signed
from engines.audit.tree import HashTree
from engines.durable import replace_file, sync_folder
from engines.errors import DinoError
from engines.journal import JOURNAL_PRUNED, Journal, Position, Sealed
from engines.snapshot import read_position


class CannotPrune(DinoError):
    """Something that must outlast the lines is not there; nothing was removed."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """
    What was removed.

    Attributes:
        lines: How many lines of the journal are gone, from the first on.
        files: Their files.
    """

    lines: int
    files: tuple[str, ...]


def prune(
    journal: Journal, before: int, signed: Signed | None, tree: HashTree, *, folded: bool
) -> Pruned:
    """
    Remove the sealed segments all of whose lines have numbers below *before*.

    Args:
        signed: The journal's last checkpoint.
        folded: Whether an engine folds its state from the journal.

    Raises:
        CannotPrune: No checkpoint covers them, the index of hashes does not bear it, or there is no
            snapshot behind them.
    """
    with journal.locked():
        old, kept_from = _all_below(journal, before)
        if not old:
            return Pruned(journal.begin().seq, ())
        lines = kept_from.seq
        if signed is None or signed.checkpoint.size < lines:
            raise CannotPrune(
                f"{journal.path}: no checkpoint covers its first {lines} lines",
                hint=f"sign them first: `audit checkpoint {journal.name}`",
            )
        if not tree.bears_out(signed.checkpoint.size, signed.checkpoint.root):
            raise CannotPrune(
                f"{journal.path}: its index of hashes does not bear the checkpoint",
                hint=f"`audit verify {journal.name}` says more",
            )
        tree.sync()
        base = _draft_base(journal, kept_from) if folded else None
        names = [sealed.path.name for sealed in old]
        facts = {"lines": lines, "files": names, "checkpoint_size": signed.checkpoint.size}
        journal.stage(JOURNAL_PRUNED, {**facts, "base_sha256": base})
        journal.commit()
        if base:  # before this the old one stands, and nothing it needs has gone
            _base_draft(journal.path).replace(base_path(journal.path))
            sync_folder(journal.path.parent)
        for sealed in old:
            sealed.path.unlink()
            sync_folder(journal.path.parent)  # one by one, so that a crash leaves no gap
    return Pruned(lines, tuple(names))


def base_path(path: Path) -> Path:
    """Where the state lies that stands for the pruned lines of the journal at *path*."""
    return path.with_suffix(".base")


def _all_below(journal: Journal, before: int) -> tuple[list[Sealed], Position]:
    """The sealed segments whose lines are all below *before*, and where the next one begins."""
    sealed = journal.sealed()
    begins = [*(segment.begin() for segment in sealed), journal.live_begin()]
    count = sum(1 for begin in begins[1:] if begin.seq <= before)
    return sealed[:count], begins[count]


def _base_draft(path: Path) -> Path:
    return path.with_name(f".{path.stem}.base.next")


def _draft_base(journal: Journal, kept_from: Position) -> str:
    snapshot = journal.snapshot_path
    position = read_position(snapshot)
    if position is None or position.seq < kept_from.seq or not journal.holds(position):
        raise CannotPrune(f"{journal.path}: no snapshot stands behind line {kept_from.seq}")
    content = snapshot.read_bytes()
    replace_file(_base_draft(journal.path), content)
    return sha256(content).hexdigest()
