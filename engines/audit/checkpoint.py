"""
Checkpoints: what a journal was at a size, as a note that its owner signs and others can hold.

    dino.local/6f1c…/zones
    1204
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

Source: C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engines.audit.note import NoteInvalid, decoded, encoded
from engines.merkle import HASH_SIZE

_decimal = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A tree's size and root.

    Attributes:
        origin: Which journal of which workspace.
        size: How many lines.
        root: RFC 6962 root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{encoded(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """
        Read a note's text; lines after the third are passed over.

        Raises:
            NoteInvalid: It is not a checkpoint.
        """
        origin, _, rest = text.partition("\n")
        size, _, rest = rest.partition("\n")
        line, newline, _ = rest.partition("\n")
        root = decoded(line)
        if not origin or not _decimal(size) or not newline or len(root) != HASH_SIZE:
            raise NoteInvalid("not a checkpoint: origin, size and root belong on its first lines")
        return cls(origin, int(size), root)
