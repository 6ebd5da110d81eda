"""
The log of checkpoints: what this workspace has signed, and who signed with it.

Its state is a fold over `checkpoints.jsonl`.  A checkpoint is signed only if the journal extends
the last one that was signed, and it is in the log, durably, before anybody gets to see it: so no
two notes of one signer can contradict each other, whatever is done to the journals in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.audit.checkpoint import Checkpoint
from engines.audit.note import (
    Note,
    Signature,
    SignerKey,
    VerifierKey,
    decoded,
    encoded,
    parse_note,
    verify_note,
)
from engines.audit.tree import HashTree
from engines.engine import Engine
from engines.errors import JournalBroken, NotFound
from engines.journal import Event, Position, RecordedJournal
from engines.merkle import leaf_hashes

Bears = Callable[[int, bytes], bool]


class Forked(JournalBroken):
    """Two histories under one name: what is there does not extend what was signed."""


@dataclass(frozen=True, slots=True)
class Signed:
    """
    A checkpoint of one of our journals.

    Attributes:
        behind: The place behind the last line it covers.
        text: The note with all its signatures.
    """

    journal: str
    checkpoint: Checkpoint
    behind: Position
    text: str

    @property
    def note(self) -> Note:
        return parse_note(self.text)


class CheckpointLog(Engine):
    """What was signed, per journal and oldest first, and the keys it was signed with."""

    def reset(self) -> None:
        self._signed: dict[str, list[Signed]] = {}
        self.keys: list[VerifierKey] = []
        self.witnesses: list[VerifierKey] = []

    # --- commands ----------------------------------------------------------------------------

    def introduce(self, key: VerifierKey, *, endorsement: Note | None = None) -> None:
        """
        Note that checkpoints are signed with *key* from now on.

        Args:
            endorsement: A note whose text is the key, signed by the key before it.
        """
        with self.deciding():
            if key not in self.keys:
                note = str(endorsement) if endorsement else None
                self.record("key_introduced", key=str(key), endorsement=note)

    def trust_witness(self, key: VerifierKey) -> None:
        """Note that *key* is a witness's whose cosignatures count."""
        with self.deciding():
            if key not in self.witnesses:
                self.record("witness_trusted", key=str(key))

    def sign(self, journal: RecordedJournal, origin: str, signer: SignerKey) -> Signed | None:
        """
        Sign what *journal* is now; None where it has no lines.

        Costs what was added since the last checkpoint, whatever the journal's length.

        Raises:
            Forked: The journal does not extend what was signed before.
            JournalBroken: A line does not stand.
        """
        with self.deciding():
            last = self.latest(journal.name)
            tree = tree_of(journal.path)
            if last and not journal.holds(last.behind):
                raise _forked(journal, last)
            here = self._catch_up(journal, tree, last, tree.holds)
            if here.seq == 0:
                return None
            checkpoint = Checkpoint(origin, here.seq, tree.root(here.seq))
            if last and checkpoint == last.checkpoint and last.note.is_signed_by(signer.verifier):
                return last
            note = Note(checkpoint.text, (signer.sign(checkpoint.text),))
            self.record(
                "checkpoint_signed",
                journal=journal.name,
                origin=origin,
                size=here.seq,
                root=encoded(checkpoint.root),
                head_hash=here.parent_hash,
                offset=here.offset,
                note=str(note),
            )
            return self._signed[journal.name][-1]

    def add_cosignatures(self, journal: str, signatures: Sequence[Signature]) -> list[VerifierKey]:
        """
        Add witnesses' signatures to the checkpoint of *journal* that they were made for.

        Return the trusted witnesses among the signers; what others signed is not kept.

        Raises:
            NotSigned: No trusted witness signed any checkpoint of it.
        """
        with self.deciding():
            latest = self.latest_or_raise(journal)
            for signed in reversed(self._signed[journal]):
                text, there = signed.note.text, signed.note.signatures
                made = {key: s for key in self.witnesses for s in signatures if key.made(s, text)}
                if not made:
                    continue
                if new := [s for s in made.values() if s not in there]:
                    self.record(
                        "checkpoint_cosigned",
                        journal=journal,
                        size=signed.checkpoint.size,
                        cosignatures="".join(signature.line() for signature in new),
                    )
                return list(made)
            return verify_note(Note(latest.note.text, tuple(signatures)), self.witnesses)

    # --- queries -----------------------------------------------------------------------------

    def latest(self, journal: str) -> Signed | None:
        """The last checkpoint of that journal."""
        return self._signed[journal][-1] if journal in self._signed else None

    def latest_or_raise(self, journal: str) -> Signed:
        """
        As `latest`.

        Raises:
            NotFound: It has none.
        """
        if signed := self.latest(journal):
            return signed
        raise NotFound(
            f"journal {journal!r} has no checkpoint", hint=f"make one: `audit checkpoint {journal}`"
        )

    def of(self, journal: str) -> tuple[Signed, ...]:
        """Every checkpoint of that journal, oldest first."""
        return tuple(self._signed.get(journal, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._signed)

    # --- folding -----------------------------------------------------------------------------

    def apply_key_introduced(self, event: Event) -> None:
        self.keys.append(VerifierKey.parse(event["key"]))

    def apply_witness_trusted(self, event: Event) -> None:
        self.witnesses.append(VerifierKey.parse(event["key"]))

    def apply_checkpoint_signed(self, event: Event) -> None:
        checkpoint = Checkpoint(event["origin"], event["size"], decoded(event["root"]))
        behind = Position(event["size"], event["head_hash"], event["offset"])
        signed = Signed(event["journal"], checkpoint, behind, event["note"])
        self._signed.setdefault(signed.journal, []).append(signed)

    def apply_checkpoint_cosigned(self, event: Event) -> None:
        history = self._signed[event["journal"]]
        for index, signed in enumerate(history):
            if signed.checkpoint.size == event["size"]:
                history[index] = replace(signed, text=signed.text + event["cosignatures"])

    # --- below the face ----------------------------------------------------------------------

    def rebuild(self, journal: RecordedJournal, tree: HashTree) -> None:
        """
        Make the index of hashes anew where it was damaged, and bring it to the journal's end.

        Raises:
            Forked: The lines are not those that were signed.
            JournalBroken: What it would be made of was pruned.
        """
        with self.deciding():  # one at a time
            self._catch_up(journal, tree, self.latest(journal.name), tree.bears_out)

    def _catch_up(
        self, journal: RecordedJournal, tree: HashTree, last: Signed | None, bears: Bears
    ) -> Position:
        """Bring *tree*, as far as it *bears* what was signed, to the journal's end, that place."""
        borne = self._last_borne(journal.name, tree, bears)
        begin = journal.begin()
        if not borne and tree.size < begin.seq:
            raise _hashes_lost(journal, tree)
        start = borne.behind if borne else begin
        tree.cut(start.seq)  # what lies behind was never signed, or is not borne out
        for block in journal.blocks(start):
            tree.extend(leaf_hashes(block.lines))
            start = block.behind
        if last and not tree.holds(last.checkpoint.size, last.checkpoint.root):
            raise _hashes_lost(journal, tree) if begin.seq and not borne else _forked(journal, last)
        tree.sync()
        return start

    def _last_borne(self, journal: str, tree: HashTree, bears: Bears) -> Signed | None:
        """The last checkpoint that the index of hashes bears out."""
        for again in (False, True):
            if again:  # a crash or an edit left no more than the leaves
                tree.refold()
            for signed in reversed(self.of(journal)):
                if bears(signed.checkpoint.size, signed.checkpoint.root):
                    return signed
        return None


def _forked(journal: RecordedJournal, last: Signed) -> Forked:
    return Forked(
        f"{journal.path}: forked: its first {last.checkpoint.size} lines are not those that were "
        "signed",
        hint="nothing was signed; `audit verify` says more",
    )


def _hashes_lost(journal: RecordedJournal, tree: HashTree) -> JournalBroken:
    return JournalBroken(
        f"{journal.path}: {tree.folder.name}/ lost the hashes of lines that were pruned",
        hint="restore that folder from a copy; `audit export` makes one",
    )


def tree_of(path: Path) -> HashTree:
    """The index of hashes beside the journal at *path*."""
    return HashTree(path.with_suffix(".tree"))
