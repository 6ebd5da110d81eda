"""
A bundle of evidence: lines of several journals, and all that shows that they are what was signed.

    manifest.json            what it is about, and the SHA-256 of every other file
    manifest.note            the manifest's SHA-256, as a signed note
    keys.txt                 verifier keys, one a line: a hint, and nothing that proves anything
    journals/NAME.jsonl      the lines, byte for byte; or .leaves: the leaf hash of each
    journals/NAME.hashes     the hashes on their audit paths, each once
    journals/NAME.note       the signed checkpoint they lead to

Owns the format; what belongs into a bundle, and what else lies beside, its maker says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from engines.audit.archive import pack
from engines.audit.note import Note, NoteInvalid, SignerKey, VerifierKey, decoded, encoded
from engines.merkle import HASH_SIZE, Span

FORMAT = "dino-audit-report/1"
MANIFEST, MANIFEST_NOTE, KEYS = "manifest.json", "manifest.note", "keys.txt"
_leaf = re.compile(r"(0|[1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)").fullmatch
_span = re.compile(r"(0|[1-9][0-9]{0,18}) ([1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)").fullmatch


@dataclass(frozen=True, slots=True)
class Part:
    """
    What a bundle has of one journal.

    Attributes:
        note: The signed checkpoint.
        lines: Number in the journal → the line without its newline, or its leaf hash where it is
            withheld; ascending.
        hashes: The roots on the audit paths of all of them.
        withheld: Whether the lines themselves are kept back.
    """

    journal: str
    note: str
    lines: Mapping[int, bytes]
    hashes: Mapping[Span, bytes]
    withheld: bool = False

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Its files, by name."""
        names = files_of(self.journal, withheld=self.withheld)
        if self.withheld:
            yield names[0], "".join(f"{n} {encoded(h)}\n" for n, h in self.lines.items()).encode()
        else:
            yield names[0], b"".join(line + b"\n" for line in self.lines.values())
        rows = (f"{a} {b - a} {encoded(h)}\n" for (a, b), h in sorted(self.hashes.items()))
        yield names[1], "".join(rows).encode()
        yield names[2], self.note.encode()


def files_of(journal: str, *, withheld: bool) -> tuple[str, str, str]:
    """The names of its lines, hashes and checkpoint in a bundle."""
    stem = f"journals/{quote(journal, safe='')}"
    return f"{stem}.{'leaves' if withheld else 'jsonl'}", f"{stem}.hashes", f"{stem}.note"


def write_bundle(
    parts: Sequence[Part],
    *,
    origin: str,
    about: Mapping[str, str],
    keys: Iterable[VerifierKey],
    beside: Mapping[str, bytes],
    signer: SignerKey,
) -> bytes:
    """
    The archive of a bundle, signed; the same arguments give the same bytes.

    Args:
        origin: The workspace's, of which each checkpoint's begins.
        about: What was asked for, `kind` and more.
        beside: Further files.
    """
    files = {KEYS: "".join(f"{key}\n" for key in keys).encode(), **beside}
    for part in parts:
        files.update(part.files())
    manifest = manifest_text(
        {
            "format": FORMAT,
            "origin": origin,
            "about": dict(about),
            "journals": {p.journal: {"lines": len(p.lines), "withheld": p.withheld} for p in parts},
            "files": {name: sha256(data).hexdigest() for name, data in files.items()},
        }
    )
    text = signed_text(origin, manifest)
    files |= {MANIFEST: manifest, MANIFEST_NOTE: str(Note(text, (signer.sign(text),))).encode()}
    return pack(files)


def manifest_text(manifest: Mapping[str, Any]) -> bytes:
    """The one spelling of a manifest."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def signed_text(origin: str, manifest: bytes) -> str:
    """What is signed of a manifest; as it has no size in decimal it is no checkpoint."""
    return f"{FORMAT} {origin}\n{sha256(manifest).hexdigest()}\n"


def read_manifest(data: bytes) -> dict[str, Any]:
    """
    The manifest in *data*.

    Raises:
        ValueError: It is not one, or spelled otherwise than it would be written.
    """
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"not a manifest of {FORMAT}")
    if found.keys() != {"format", "origin", "about", "journals", "files"}:
        raise ValueError("expected format, origin, about, journals and files")
    journals, files = found["journals"], found["files"]
    right = (
        isinstance(found["origin"], str)
        and _all_of(found["about"], str)
        and _all_of(files, str)
        and _all_of(journals, dict)
        and all(
            part.keys() == {"lines", "withheld"}
            and type(part["lines"]) is int
            and type(part["withheld"]) is bool
            for part in journals.values()
        )
    )
    if not right or manifest_text(found) != data:
        raise ValueError("a member has the wrong type, or is not spelled as Dino spells it")
    return found


def read_time(text: str | None) -> float | None:
    """
    A time in `about`, in seconds since the epoch; None where none is said.

    Raises:
        ValueError: It is not RFC 3339.
    """
    found = datetime.fromisoformat(text) if text else None
    if found and found.tzinfo is None:
        raise ValueError(f"not in RFC 3339: {text!r}")
    return found.timestamp() if found else None


def read_leaves(data: bytes) -> Iterator[tuple[int, bytes]]:
    """
    Number and leaf hash on each line of *data*.

    Raises:
        NoteInvalid: A line is not that.
    """
    for line in _text_lines(data):
        match = _leaf(line)
        if not match:
            raise NoteInvalid(f"not a number and a leaf hash: {line[:80]!r}")
        yield int(match[1]), _hash(match[2])


def read_hashes(data: bytes) -> Iterator[tuple[Span, bytes]]:
    """
    The leaves and the root over them on each line of *data*.

    Raises:
        NoteInvalid: A line is not that.
    """
    for line in _text_lines(data):
        match = _span(line)
        if not match:
            raise NoteInvalid(f"not first leaf, count and root: {line[:80]!r}")
        begin = int(match[1])
        yield (begin, begin + int(match[2])), _hash(match[3])


def _hash(text: str) -> bytes:
    found = decoded(text)
    if len(found) != HASH_SIZE:
        raise NoteInvalid(f"not a hash in base64: {text!r}")
    return found


def _text_lines(data: bytes) -> list[str]:
    return data.decode("ascii", "replace").removesuffix("\n").split("\n") if data else []


def _all_of(found: Any, kind: type) -> bool:
    return isinstance(found, dict) and all(isinstance(item, kind) for item in found.values())
