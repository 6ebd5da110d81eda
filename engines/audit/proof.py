"""
A proof that one line is in a journal, which whoever has the signer's key can check without it.

    c2sp.org/tlog-proof@v1
    extra <the line itself, base64>
    index <its number>
    <the hashes from the line to the root, base64, one a line>

    <the checkpoint>

Source: C2SP tlog-proof (c2sp.org/tlog-proof).  The line travels as the extra data: it is not
trusted but hashed, so the proof says what was recorded and not only that something was.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from engines.audit.checkpoint import Checkpoint
from engines.audit.note import (
    Note,
    NoteInvalid,
    VerifierKey,
    decoded,
    encoded,
    parse_note,
    verify_note,
)
from engines.audit.tree import HashTree
from engines.merkle import (
    HASH_SIZE,
    Inclusion,
    ProofInvalid,
    Span,
    audit_path,
    check_inclusion,
    leaf_hash,
    span_root,
)

_FIRST = "c2sp.org/tlog-proof@v1"
_MOST_HASHES = 63
_head = re.compile(
    r"c2sp\.org/tlog-proof@v1\nextra (?P<line>\S+)\n"
    r"index (?P<index>0|[1-9][0-9]{0,18})(?P<hashes>(?:\n\S+)*)"
).fullmatch


@dataclass(frozen=True, slots=True)
class Proof:
    """
    Attributes:
        index: The line's number in its journal, from 0.
        line: Its bytes without the newline.
        hashes: Lowest first, 32 bytes each.
        note: The checkpoint with its signatures.
    """

    index: int
    line: bytes
    hashes: tuple[bytes, ...]
    note: Note

    def __str__(self) -> str:
        head = f"{_FIRST}\nextra {encoded(self.line)}\nindex {self.index}\n"
        return f"{head}{format_hashes(self.hashes)}\n{self.note}"

    @classmethod
    def parse(cls, text: str) -> Proof:
        """
        Read a proof.

        Raises:
            NoteInvalid: It is not one.
        """
        head, gap, note = text.partition("\n\n")
        match = _head(head)
        if not match or not gap:
            raise NoteInvalid(f"not a proof: expected {_FIRST!r}, extra, index and hashes first")
        steps = parse_hashes(match["hashes"].split())
        return cls(int(match["index"]), decoded(match["line"]), steps, parse_note(note))

    def check(self, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, list[VerifierKey]]:
        """
        Return the checkpoint that holds the line, and which of *keys* signed it.

        Raises:
            NotSigned: None of them did, or one signature is false.
            ProofInvalid: The hashes do not lead from the line to the checkpoint's root.
        """
        signed_by = verify_note(self.note, keys)
        checkpoint = Checkpoint.parse(self.note.text)
        leaf = leaf_hash(self.line)
        check_inclusion(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root)
        return checkpoint, signed_by


def inclusion_hashes(
    tree: HashTree,
    checkpoint: Checkpoint,
    leaves: Mapping[int, bytes],
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[Span, bytes]:
    """
    Every hash on the audit paths of *leaves*, number → leaf hash, each once.

    Args:
        on_progress: Told how many more leaves are proven.

    Raises:
        ProofInvalid: They do not lead to the checkpoint's root.
        ValueError: The tree has not so many leaves.
    """
    hash_at = functools.lru_cache(1 << 14)(tree.hash_at)  # neighbours share their paths
    inclusion = Inclusion(checkpoint.size, checkpoint.root)
    found: dict[Span, bytes] = {}
    for seq, leaf in leaves.items():
        path = audit_path(seq, checkpoint.size)
        found |= {span: span_root(span, hash_at) for span in path if span not in found}
        inclusion.check(leaf, seq, found)
        on_progress(1)
    return found


def format_hashes(hashes: Iterable[bytes]) -> str:
    """Hashes as they are written: one in base64 a line."""
    return "".join(f"{encoded(step)}\n" for step in hashes)


def parse_hashes(lines: Iterable[str]) -> tuple[bytes, ...]:
    """
    Read hashes, one in base64 a line.

    Raises:
        ProofInvalid: One is not a hash, or there are more than any tree needs.
    """
    hashes = tuple(decoded(line) for line in lines)
    if len(hashes) > _MOST_HASHES or any(len(step) != HASH_SIZE for step in hashes):
        raise ProofInvalid(f"expected up to {_MOST_HASHES} hashes in base64, one a line")
    return hashes
