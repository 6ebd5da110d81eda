"""
Whether a bundle of evidence holds: by its own bytes and somebody's keys, and nothing else.

What it cannot show is said as plainly as what it shows.  Faults are those of a journal, with the
file in the bundle and the line in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from engines.audit.archive import NotAnArchive, unpack
from engines.audit.bundle import (
    KEYS,
    MANIFEST,
    MANIFEST_NOTE,
    files_of,
    read_hashes,
    read_leaves,
    read_manifest,
    read_time,
    signed_text,
)
from engines.audit.bundle_found import BundleFound, PartFound
from engines.audit.checkpoint import Checkpoint
from engines.audit.note import (
    COSIGNATURE,
    ED25519,
    NoteInvalid,
    NotSigned,
    VerifierKey,
    WrongKey,
    parse_note,
    verify_note,
)
from engines.journal import Event, Fault, OnProgress, check_line
from engines.merkle import Inclusion, ProofInvalid, Span, leaf_hash

_MOST_FAULTS, _MOST_KEYS = 1_000, 1_000


def check_bundle(
    archive: bytes, keys: Sequence[VerifierKey] = (), on_progress: OnProgress = lambda _: None
) -> BundleFound:
    """
    What the bundle in *archive* shows.

    Args:
        keys: Those that may have signed, from elsewhere; none trusts what the bundle itself names.
        on_progress: Told of each line's bytes.
    """
    found = BundleFound(anchored=bool(keys))
    try:
        members = unpack(archive)
    except NotAnArchive as error:
        found.faults.append(Fault("malformed", 0, 0, str(error)))
        return found
    files = {member.name: member.data for member in members}
    for member in members:
        if not member.is_whole:
            found.faults.append(_fault("edited", member.name, "its checksum is another"))
    try:
        found.manifest = read_manifest(files.get(MANIFEST, b""))
    except ValueError as error:
        found.faults.append(_fault("malformed", MANIFEST, str(error)))
        return found
    _Checking(found, files, keys, on_progress).run()
    return found


class Leaf(NamedTuple):
    """Line in its file, number in the journal, and leaf hash."""

    line: int
    seq: int
    hash: bytes


class _Checking:
    """One bundle, as far as its manifest could be read."""

    def __init__(
        self,
        found: BundleFound,
        files: Mapping[str, bytes],
        keys: Sequence[VerifierKey],
        on_progress: OnProgress,
    ) -> None:
        self._found, self._files, self._given = found, files, list(keys)
        self._on_progress = on_progress
        self._known = list(keys)

    def run(self) -> None:
        self._hold_files()
        self._read_keys()
        self._hold_manifest()
        if not self._found.manifest["journals"]:
            self._add("missing", MANIFEST, "it has no line of any journal")
        for journal, said in self._found.manifest["journals"].items():
            names = files_of(journal, withheld=said["withheld"])
            if gone := [name for name in names if name not in self._files]:
                self._add("missing", gone[0], "the manifest says that there are lines of it")
                continue
            self._hold_part(journal, said, names)

    def _add(self, kind: str, file: str, what: str, line: int = 0) -> None:
        faults = self._found.faults
        if len(faults) < _MOST_FAULTS:
            faults.append(_fault(kind, file, what, line))

    # --- files, keys and the manifest --------------------------------------------------------

    def _hold_files(self) -> None:
        named = self._found.manifest["files"]
        for name, digest in named.items():
            if name not in self._files:
                self._add("missing", name, "the manifest names it")
            elif sha256(self._files[name]).hexdigest() != digest:
                self._add("edited", name, "its bytes are not those that the manifest names")
        for name in self._files.keys() - named.keys() - {MANIFEST, MANIFEST_NOTE}:
            self._add("foreign", name, "the manifest does not name it")

    def _read_keys(self) -> None:
        """Keys in the bundle help to name signers; where none was given they are all there is."""
        lines = self._files.get(KEYS, b"").decode("utf-8", "replace").splitlines()
        for number, line in enumerate(lines[:_MOST_KEYS], 1):
            try:
                key = VerifierKey.parse(line)
            except NoteInvalid as error:
                self._add("malformed", KEYS, error.message, number)
                continue
            if key not in self._known:
                self._known.append(key)

    def _hold_manifest(self) -> None:
        expected = signed_text(self._found.manifest["origin"], self._files[MANIFEST])
        asked = [key for key in self._given if key.algorithm == ED25519]
        signers = self._signers(MANIFEST_NOTE, asked, expected)
        self._found.signed_by = _names(signers)
        self._found.signed_by_given = any(key in asked for key in signers)

    def _signers(
        self, file: str, asked: Sequence[VerifierKey], expected: str | None = None
    ) -> list[VerifierKey]:
        """Who signed the note in *file*: one of *asked*, where there are some."""
        try:
            note = parse_note(self._files.get(file, b"").decode("utf-8", "replace"))
            if expected not in {None, note.text}:
                self._add("edited", file, "it is a note of another manifest")
            signers = verify_note(note, self._known)
            if asked and not any(key in asked for key in signers):
                verify_note(note, asked)  # says why not
        except (WrongKey, NotSigned) as error:
            kind = "wrong key" if isinstance(error, WrongKey) else "unsigned"
            self._add(kind, file, error.message)
        except NoteInvalid as error:
            self._add("malformed", file, error.message)
        else:
            return signers
        return []

    # --- a journal ---------------------------------------------------------------------------

    def _hold_part(
        self, journal: str, said: Mapping[str, Any], names: tuple[str, str, str]
    ) -> None:
        lines_file, hashes_file, note_file = names
        signers = self._signers(note_file, self._given)
        if not signers:
            return
        try:
            text = parse_note(self._files[note_file].decode("utf-8", "replace")).text
            checkpoint = Checkpoint.parse(text)
        except NoteInvalid as error:
            self._add("malformed", note_file, error.message)
            return
        if checkpoint.origin != f"{self._found.manifest['origin']}/{journal}":
            self._add("foreign", note_file, f"it is of {checkpoint.origin}")
        if self._files[lines_file].count(b"\n") != said["lines"]:
            self._add("missing", lines_file, f"the manifest says that it has {said['lines']} lines")
        read = self._leaves if said["withheld"] else self._lines
        leaves = read(journal, lines_file)
        proven = self._proven(leaves, self._hashes(hashes_file), checkpoint, lines_file)
        self._found.parts.append(
            PartFound(
                journal,
                said["withheld"],
                checkpoint.size,
                len(proven),
                _names(key for key in signers if key in self._given or not self._given),
                _names(key for key in signers if key.algorithm == COSIGNATURE),
                witnessed=any(
                    key.algorithm == COSIGNATURE for key in signers if key in self._given
                ),
                complete=self._is_complete(journal, proven, checkpoint.size),
            )
        )

    def _is_complete(self, journal: str, numbers: Sequence[int], size: int) -> bool | None:
        """Whether the lines go through from before the period to behind it, or to the end."""
        about = self._found.manifest["about"]
        if about.get("kind") != "period":
            return None
        if journal not in self._found.events:
            return False
        try:
            since, until = (read_time(about.get(name)) for name in ("since", "until"))
        except ValueError:
            return None
        proven = set(numbers)
        at = {e["seq"]: e["timestamp"] for e in self._found.events[journal] if e["seq"] in proven}
        begin = -math.inf if since is None else since
        end = math.inf if until is None else until
        own = [n for n in at if begin <= at[n] < end]
        if not own:
            return None
        first, last = own[0], own[-1]
        begins = first == 0 or at.get(first - 1, math.inf) < begin
        ends = last == size - 1 or at.get(last + 1, -math.inf) >= end
        return begins and ends and all(n in at for n in range(first, last))

    def _leaves(self, _: str, file: str) -> list[Leaf]:
        found: list[Leaf] = []
        try:
            for seq, leaf in read_leaves(self._files[file]):
                if found and seq <= found[-1].seq:
                    what = f"line {seq} of the journal stands behind line {found[-1].seq}"
                    self._add("reordered", file, what, len(found) + 1)
                found.append(Leaf(len(found) + 1, seq, leaf))
        except NoteInvalid as error:
            self._add("malformed", file, error.message, len(found) + 1)
        return found

    def _lines(self, journal: str, file: str) -> list[Leaf]:
        *lines, rest = self._files[file].split(b"\n")
        found: list[Leaf] = []
        events = self._found.events.setdefault(journal, [])
        for number, line in enumerate(lines, 1):
            fault, event = check_line(line, number, 0)
            if event is None:
                assert fault  # noqa: S101  for the type checker
                self._add(fault.kind, file, fault.what, number)
                continue
            if wrong := _misplaced(journal, event, events[-1] if events else None):
                self._add(wrong[0], file, wrong[1], number)
            found.append(Leaf(number, event["seq"], leaf_hash(line)))
            events.append(event)
        if rest:
            self._add("torn", file, "the last line is not finished", len(lines) + 1)
        return found

    def _hashes(self, file: str) -> dict[Span, bytes]:
        found: dict[Span, bytes] = {}
        number = 0
        try:
            for span, root in read_hashes(self._files[file]):
                found[span] = root
                number += 1
        except NoteInvalid as error:
            self._add("malformed", file, error.message, number + 1)
        return found

    def _proven(
        self,
        leaves: Iterable[Leaf],
        hashes: Mapping[Span, bytes],
        checkpoint: Checkpoint,
        file: str,
    ) -> list[int]:
        """The numbers of those that lead to the checkpoint's root."""
        found: list[int] = []
        inclusion = Inclusion(checkpoint.size, checkpoint.root)
        for line, seq, leaf in leaves:
            try:
                inclusion.check(leaf, seq, hashes)
                found.append(seq)
            except KeyError as error:
                first, behind = error.args[0]
                what = f"the hash over lines {first} to {behind - 1} of the journal is not there"
                self._add("missing", file, f"it is not proven: {what}", line)
            except ValueError:
                what = f"{checkpoint.size} lines were signed; this is number {seq}"
                self._add("truncated", file, what, line)
            except ProofInvalid:
                self._add("forked", file, f"it is not line {seq} as it was signed", line)
            self._on_progress(1)
        return found


def _misplaced(journal: str, event: Event, before: Event | None) -> tuple[str, str] | None:
    """What is wrong with where a line stands."""
    seq = event["seq"]
    if seq == 0 and event.get("journal") != journal:
        return "foreign", f"it begins the journal {str(event.get('journal'))[:80]!r}"
    if before is None or seq > before["seq"] + 1:
        return None
    if seq <= before["seq"]:
        return "reordered", f"line {seq} of the journal stands behind line {before['seq']}"
    if event["parent_hash"] != before["event_hash"]:
        return "replaced", "it does not follow from the line before"
    return None


def _names(keys: Iterable[VerifierKey]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key.name for key in keys))


def _fault(kind: str, file: str, what: str, line: int = 0) -> Fault:
    return Fault(kind, line, 0, what, file)
