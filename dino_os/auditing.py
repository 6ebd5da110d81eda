"""
What a workspace signs of its journals, with which key, and what it is held against.

The key lies outside the workspace: who copies or exports the folder does not carry it along.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from dino_os.errors import InvalidInput, NotFound
from dino_os.workspace import Workspace
from engines.audit import (
    Audit,
    CheckpointLog,
    HashTree,
    Note,
    NoteInvalid,
    Proof,
    Signed,
    SignerKey,
    Statement,
    VerifierKey,
    audit,
    format_hashes,
    inclusion_hashes,
    is_sealed,
    load_key,
    parse_note,
    parse_signatures,
    read_verifier,
    save_key,
    since_checkpoint,
    tree_of,
)
from engines.durable import replace_file, sync_folder
from engines.filed import broken_file
from engines.journal import Fault, RecordedJournal, Since, undisturbed
from engines.merkle import (
    ProofInvalid,
    Span,
    audit_path,
    check_consistency,
    consistency_proof,
    leaf_hash,
)

PASSPHRASE_VARIABLE = "DINO_KEY_PASSPHRASE"  # noqa: S105  a variable's name
T = TypeVar("T")
AskPassphrase = Callable[[Path], str | None]


@dataclass(frozen=True, slots=True)
class Held:
    """A note that was kept elsewhere, and the keys that may have signed it."""

    text: str
    keys: Sequence[VerifierKey]


class Auditing:
    """Checkpoints and audits of one workspace's journals."""

    def __init__(self, workspace: Workspace, ask: AskPassphrase | None = None) -> None:
        self._workspace = workspace
        self._ask = ask or passphrase_from_environment

    @property
    def log(self) -> CheckpointLog:
        return self._workspace.checkpoints

    @property
    def key_file(self) -> Path:
        return self._workspace.signing_key

    # --- keys --------------------------------------------------------------------------------

    def new_key(self, passphrase: str | None) -> VerifierKey:
        """
        Make the workspace's signing key.

        Raises:
            InvalidInput: It has one.
        """
        signer = SignerKey.new(self._workspace.origin())
        save_key(self.key_file, signer, passphrase)
        self.log.introduce(signer.verifier)
        return signer.verifier

    def rotate_key(self, passphrase: str | None) -> VerifierKey:
        """
        Replace the signing key by a new one, which the old one endorses before it is set aside.

        Raises:
            NotFound: There is none.
            WrongPassphrase: The old one does not open.
        """
        old = self.signer()
        new = SignerKey.new(old.name)
        draft = self.key_file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        save_key(draft, new, passphrase)
        self.log.introduce(new.verifier, endorsement=old.endorse(new.verifier))
        retired = self.key_file.with_name(f"{self.key_file.name}.{old.verifier.key_id.hex()}")
        with contextlib.suppress(FileExistsError):
            retired.hardlink_to(self.key_file)  # at no moment is there no key
        draft.replace(self.key_file)
        sync_folder(self.key_file.parent)
        return new.verifier

    def verifier(self) -> VerifierKey:
        """
        The public half of the signing key.

        Raises:
            NotFound: There is no key.
        """
        return read_verifier(self.key_file)

    def signer(self) -> SignerKey:
        """
        The signing key, opened.

        Raises:
            NotFound: There is none.
            WrongPassphrase: It is sealed, and the passphrase is missing or wrong.
        """
        sealed = is_sealed(self.key_file)
        signer = load_key(self.key_file, self._ask(self.key_file) if sealed else None)
        self.log.introduce(signer.verifier)
        return signer

    # --- checkpoints -------------------------------------------------------------------------

    def journals(self, names: Sequence[str]) -> list[Path]:
        """
        The journals of those names, or all.

        Raises:
            NotFound: There is none of that name.
        """
        return self._workspace.named_journals(names)

    def checkpoint(self, names: Sequence[str] = ()) -> list[Signed]:
        """
        Sign each journal as it is now.

        Raises:
            NotFound: No such journal, or no key.
            Forked: A journal does not extend what was signed; those before it were signed.
        """
        signer = self.signer()  # who signs is recorded first: there may be no journal before it
        return self._sign(self.journals(names), signer)

    def sign(self, paths: Iterable[Path]) -> list[Signed]:
        """As `checkpoint`, for the journals at *paths*."""
        return self._sign(paths, self.signer())

    def _sign(self, paths: Iterable[Path], signer: SignerKey) -> list[Signed]:
        done = []
        for path in paths:
            origin = self._workspace.origin(path.stem)
            if signed := self.log.sign(RecordedJournal(path), origin, signer):
                self.keep_note(signed)
                done.append(signed)
        return done

    def note_file(self, journal: str) -> Path:
        """Where the last note of that journal lies, to be copied elsewhere."""
        return self._workspace.memory / "checkpoints" / f"{journal}.note"

    def keep_note(self, signed: Signed) -> None:
        file = self.note_file(signed.journal)
        file.parent.mkdir(exist_ok=True)
        replace_file(file, signed.text.encode())

    def accept(self, journal: str, signatures: str) -> list[VerifierKey]:
        """
        Add witnesses' signatures to the checkpoint of *journal* that they were made for.

        Args:
            signatures: Their lines, or a whole note with them.

        Raises:
            NotSigned: None of them is by a witness that is relied on.
        """
        whole = "\n\n" in signatures
        found = parse_note(signatures).signatures if whole else parse_signatures(signatures)
        signers = self.log.add_cosignatures(journal, found)
        self.keep_note(self.log.latest_or_raise(journal))
        return signers

    # --- proofs ------------------------------------------------------------------------------

    def prove(self, journal: str, seq: int, line: bytes | None = None) -> Proof:
        """
        A proof that line *seq* is in *journal*, by its last checkpoint.

        Args:
            line: Its bytes, where the journal was pruned of it.

        Raises:
            InvalidInput: The line that was given is not the one that was signed.
            NotFound: No such journal, no checkpoint, or none that covers the line.
            Forked: The lines are not those that were signed.
        """
        path = self.journals([journal])[0]
        signed = self.log.latest_or_raise(journal)
        size = signed.checkpoint.size
        if seq >= size:
            raise NotFound(
                f"the last checkpoint of {journal!r} covers lines 0 to {size - 1}",
                hint=f"make another: `audit checkpoint {journal}`",
            )
        recorded = RecordedJournal(path)
        if line is None and seq < recorded.begin().seq:
            raise NotFound(
                f"line {seq} of {journal!r} was pruned",
                hint="give the line itself with --line FILE",
            )
        found = recorded.line(seq) if line is None else line
        try:
            hashes = self.path_hashes(signed, {seq: leaf_hash(found)})
        except ProofInvalid:
            raise InvalidInput(f"that is not line {seq} of {journal!r} as it was signed") from None
        steps = tuple(hashes[span] for span in audit_path(seq, size))
        return Proof(seq, found, steps, signed.note)

    def path_hashes(
        self,
        signed: Signed,
        leaves: Mapping[int, bytes],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> dict[Span, bytes]:
        """
        Every hash on the audit paths of *leaves*, number → leaf hash, each once.

        Args:
            on_progress: Told how many more leaves are proven.

        Raises:
            ProofInvalid: They are not the lines that were signed.
        """
        path = self.journals([signed.journal])[0]
        return self._from_index(
            path, lambda tree: inclusion_hashes(tree, signed.checkpoint, leaves, on_progress)
        )

    def covering(self, journal: str, seq: int, signer: SignerKey) -> Signed:
        """
        The last checkpoint of *journal*, made anew where it lacks line *seq* or is not *signer*'s.

        Raises:
            Forked: The journal does not extend what was signed.
        """
        last = self.log.latest(journal)
        if last and seq < last.checkpoint.size and last.note.is_signed_by(signer.verifier):
            return last
        self._sign(self.journals([journal]), signer)
        return self.log.latest_or_raise(journal)

    def prove_consistency(self, journal: str, old: int, new: int | None) -> str:
        """
        What a witness that saw *old* lines needs in order to sign the checkpoint of *new* lines.

        Raises:
            NotFound: There is no such journal or checkpoint.
            InvalidInput: The old size is larger than the new.
        """
        path = self.journals([journal])[0]
        signed = self.log.latest_or_raise(journal)
        if new is not None:
            signed = next((s for s in self.log.of(journal) if s.checkpoint.size == new), signed)
            if signed.checkpoint.size != new:
                raise NotFound(f"no checkpoint of {journal!r} has {new} lines")
        size = signed.checkpoint.size
        if old > size:
            raise InvalidInput(f"the checkpoint has {size} lines, fewer than {old}")

        def make(tree: HashTree) -> list[bytes]:
            hashes = consistency_proof(old, size, tree.hash_at)
            check_consistency(old, size, hashes, tree.root(old), signed.checkpoint.root)
            return hashes

        return f"old {old}\n{format_hashes(self._from_index(path, make))}\n{signed.text}"

    def _from_index(self, path: Path, make: Callable[[HashTree], T]) -> T:
        """What *make* makes of the index of hashes, which is mended first where it must be."""
        tree = tree_of(path)
        with contextlib.suppress(ProofInvalid, ValueError):
            return make(tree)
        self.log.rebuild(RecordedJournal(path), tree)
        return make(tree)

    # --- audits ------------------------------------------------------------------------------

    def audit(
        self,
        path: Path,
        *,
        held: Sequence[Held] = (),
        keys: Sequence[VerifierKey] = (),
        since: int | None = None,
        jobs: int = 1,
        on_progress: Callable[[int], None] | None = None,
    ) -> Audit:
        """
        Verify one journal, and hold it against what was signed of it.

        Args:
            held: Notes that were kept elsewhere.
            keys: Trusted instead of those that the workspace itself names.
            since: Take the lines before this one on the word of the checkpoint before it.
        """

        def look() -> Audit:
            signed = self.log.of(path.stem)
            statements = [*self._statements(path, signed, list(keys) or self.log.keys)]
            statements += [Statement(parse_note(n.text), n.keys, external=True) for n in held]
            begin = self._since(path, signed, since) if since else None
            found = audit(path, statements, since=begin, jobs=jobs, on_progress=on_progress)
            if begin is None:
                for further in (_with_files, self._with_snapshot):
                    found = further(found) if found.ok else found
            return found

        return undisturbed(path, look, lambda found: found.ok)

    def _statements(
        self, path: Path, signed: Sequence[Signed], trusted: Sequence[VerifierKey]
    ) -> Iterator[Statement]:
        """What the workspace itself says of a journal."""
        for one in signed:
            yield Statement(one.note, trusted, witnesses=self.log.witnesses, external=False)
        if kept := self._kept_note(path.stem, signed):
            yield Statement(kept, trusted)

    def _kept_note(self, journal: str, signed: Sequence[Signed]) -> Note | None:
        """The note in memory/checkpoints/, where the log of checkpoints does not have it."""
        file = self.note_file(journal)
        try:
            text = file.read_text("utf-8")
            return None if any(s.text == text for s in signed) else parse_note(text)
        except FileNotFoundError:
            return None
        except (NoteInvalid, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"{file}: {error}", hint="`audit checkpoint` writes it anew"
            ) from None

    def _with_snapshot(self, found: Audit) -> Audit:
        """*found*, and what is wrong with the snapshot from which the journal's engine begins."""
        report = found.report
        snapshot = report.path.with_suffix(".snapshot")
        engine = self._workspace.engines.get(report.path.stem)
        if engine is None or not snapshot.exists():
            return found
        what = engine().check_snapshot()
        if what is None:
            return found
        fault = Fault("snapshot", 0, report.lines, f"{what}; delete it", snapshot.name)
        return replace(found, faults=(fault,))

    def _since(self, path: Path, signed: Sequence[Signed], seq: int) -> Since | None:
        before = [s for s in signed if s.checkpoint.size <= seq]
        return since_checkpoint(path, before[-1].checkpoint, before[-1].behind) if before else None


def _with_files(found: Audit) -> Audit:
    """*found*, and what is wrong with the files that lines name in place of large values."""
    broken = broken_file(RecordedJournal(found.report.path))
    return replace(found, faults=(Fault("file", 0, *broken),)) if broken else found


def checkpoint_if_due(workspace: Workspace, written: Iterable[Path]) -> list[Signed]:
    """
    Sign those of the *written* journals whose time has come by the settings.

    Nothing is due where there is no key, or one that nobody is there to open.
    """
    every = workspace.config.settings.security
    auditing = Auditing(workspace)
    due = [p for p in written if _is_due(auditing, p, every.checkpoint_events, every.checkpoint_s)]
    if not due or (is_sealed(auditing.key_file) and PASSPHRASE_VARIABLE not in os.environ):
        return []
    return auditing.sign(due)


def _is_due(auditing: Auditing, path: Path, events: int, seconds: float) -> bool:
    if not events and not seconds:
        return False
    try:
        age = time.time() - auditing.note_file(path.stem).stat().st_mtime
    except FileNotFoundError:
        return True
    signed = auditing.log.latest(path.stem)
    lines = RecordedJournal(path).length() - (signed.checkpoint.size if signed else 0)
    # A note of the future is one of a clock that was set back.
    return (0 < events <= lines) or (seconds > 0 and not 0 <= age < seconds)


def passphrase_from_environment(_: Path | None = None) -> str | None:
    """What opens a sealed key where nobody can be asked."""
    return os.environ.get(PASSPHRASE_VARIABLE)
