"""
A witness: signs another's checkpoint if it extends the last one seen, and never two that fork.

Its state is a fold over `witness.jsonl`: what it saw last of each log is durable before its
signature leaves.  A fork is refused and recorded with both notes, which together prove it.

Source: C2SP tlog-witness (c2sp.org/tlog-witness).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.audit.checkpoint import Checkpoint
from engines.audit.note import Note, Signature, SignerKey, VerifierKey, parse_note, verify_note
from engines.engine import Engine
from engines.errors import DinoError, InvalidInput, NotFound
from engines.journal import Event
from engines.merkle import ProofInvalid, check_consistency


class UnknownLog(NotFound):
    """The witness was not told to trust a key for that origin."""


class StaleSize(DinoError):
    """The submitter thinks that another checkpoint was the last; *size* is the one that was."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message, hint=f"submit again with a proof from size {size}")
        self.size = size


class ForkFound(DinoError):
    """Two signed notes that no single history explains: *held* and *submitted*."""

    def __init__(self, message: str, held: str, submitted: str) -> None:
        super().__init__(message, hint="`audit witness forks` shows both notes")
        self.held = held
        self.submitted = submitted


@dataclass(frozen=True, slots=True)
class Fork:
    """
    Evidence: two notes, both signed by the log.

    Attributes:
        proven: Whether they contradict each other as they stand (one size, two roots); otherwise
            nobody could show that the later one extends the earlier.
    """

    origin: str
    held: str
    submitted: str
    proven: bool
    found_at: float


class Witness(Engine):
    """What was seen of other workspaces' journals."""

    def reset(self) -> None:
        self.keys: dict[str, list[VerifierKey]] = {}
        self.seen: dict[str, tuple[Checkpoint, str]] = {}
        self.forks: list[Fork] = []

    # --- commands ----------------------------------------------------------------------------

    def trust(self, origin: str, key: VerifierKey) -> None:
        """Sign checkpoints of *origin*, or of all origins below it, that *key* signed."""
        with self.deciding():
            if key not in self.keys.get(origin, ()):
                self.record("log_trusted", origin=origin, key=str(key))

    def cosign(
        self, note: Note, signer: SignerKey, *, old_size: int, proof: Sequence[bytes] = ()
    ) -> Signature:
        """
        Sign *note* if it extends what was seen, which *proof* shows from *old_size* on.

        What cannot be one history with what was seen is kept as evidence, with both notes.

        Raises:
            UnknownLog: Nobody said whose checkpoints of that origin to trust.
            NotSigned: The log did not sign it.
            InvalidInput: The old size is larger than the new.
            StaleSize: *old_size* is not what was seen last.
            ForkFound: Same size, another root.
            ProofInvalid: The proof does not show that one extends the other.
        """
        checkpoint = Checkpoint.parse(note.text)
        with self.deciding():
            verify_note(note, self._trusted(checkpoint.origin))
            if old_size > checkpoint.size:
                raise InvalidInput(f"old size {old_size} is larger than {checkpoint.size}")
            held, held_note = self.seen.get(checkpoint.origin, (None, ""))
            seen_size = held.size if held else 0
            if old_size != seen_size:
                raise StaleSize(f"{checkpoint.origin}: {seen_size} lines were seen last", seen_size)
            refusal = _refusal(held, held_note, checkpoint, note, proof)
            if refusal is None:
                self.record("checkpoint_seen", origin=checkpoint.origin, note=str(note))
            elif held:
                self._keep_evidence(held_note, checkpoint, note, refusal)
        if refusal:
            raise refusal
        return signer.cosign(note.text, int(self.clock()))

    # --- queries -----------------------------------------------------------------------------

    def size_of(self, origin: str) -> int:
        """How many lines of that log were seen."""
        return self.seen[origin][0].size if origin in self.seen else 0

    # --- folding -----------------------------------------------------------------------------

    def apply_log_trusted(self, event: Event) -> None:
        self.keys.setdefault(event["origin"], []).append(VerifierKey.parse(event["key"]))

    def apply_checkpoint_seen(self, event: Event) -> None:
        self.seen[event["origin"]] = Checkpoint.parse(parse_note(event["note"]).text), event["note"]

    def apply_fork_found(self, event: Event) -> None:
        found = Fork(
            event["origin"],
            event["held"],
            event["submitted"],
            event["proven"],
            event["timestamp"],
        )
        self.forks.append(found)

    # --- below the face ----------------------------------------------------------------------

    def _trusted(self, origin: str) -> list[VerifierKey]:
        keys = [
            key
            for trusted, found in self.keys.items()
            if origin == trusted or origin.startswith(f"{trusted}/")
            for key in found
        ]
        if not keys:
            raise UnknownLog(
                f"no key is trusted for {origin}",
                hint=f"get its verifier key, then: `audit witness trust {origin} KEY`",
            )
        return keys

    def _keep_evidence(
        self, held: str, new: Checkpoint, note: Note, refusal: ForkFound | ProofInvalid
    ) -> None:
        submitted, proven = str(note), isinstance(refusal, ForkFound)
        if not any(
            (f.held, f.submitted, f.proven) == (held, submitted, proven) for f in self.forks
        ):
            self.record(
                "fork_found", origin=new.origin, held=held, submitted=submitted, proven=proven
            )


def _refusal(
    held: Checkpoint | None, held_note: str, new: Checkpoint, note: Note, proof: Sequence[bytes]
) -> ForkFound | ProofInvalid | None:
    """Why *new* is not signed, or None where it extends what is held."""
    if held is None:
        return ProofInvalid("a first checkpoint needs no proof") if proof else None
    if new.size == held.size and new.root != held.root:
        what = f"{new.origin}: forked: two different trees of {new.size} lines, both signed"
        return ForkFound(what, held_note, str(note))
    try:
        check_consistency(held.size, new.size, proof, held.root, new.root)
    except ProofInvalid as invalid:
        return invalid
    return None
