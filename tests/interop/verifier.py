"""
A second verifier of Dino's journals, written from docs/journal.md and the standards it names.

Owns its own reading of the format and shares no code with Dino: Python's standard library, and
`zstandard` where a file is packed.  It only reads.  A comment "silent:" marks where the document left
the choice to us.

    python verifier.py FOLDER NAME [NOTE VKEY]      exit 0: sound; 1: not
    python verifier.py --report FILE VKEY [VKEY]      as well, of a report (docs/audit.md)
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reported import Reported, read_report, tlog_proof
from signed import (
    Checkpoint,
    Fault,
    check_consistency,
    check_proof,
    leaf_hash,
    open_checkpoint,
    open_note,
    root_of,
)

__all__ = [
    "Checkpoint",
    "Fault",
    "Reported",
    "Verdict",
    "check_consistency",
    "check_proof",
    "open_note",
    "tlog_proof",
    "verify_journal",
    "verify_report",
]

RESERVED = ["seq", "event_type", "timestamp", "parent_hash"]
TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Whether they are the right digits is the hash's business.
TAIL = re.compile(rb',"event_hash":".{64}"}')
TAIL_BYTES = 81
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
HEAD_BODY, HEAD_BYTES = 367, 384


@dataclass
class Verdict:
    """How many lines stand, counted from the journal's first, and what ended the count."""

    lines: int = 0
    head_hash: str | None = None
    fault: Fault | None = None
    roots: dict[int, bytes] = field(default_factory=dict)


# --- lines (section 1) -----------------------------------------------------------------------------


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a member name stands twice")
    return dict(pairs)


def finite(digits: str) -> float:
    # silent: 1e999 is not the token Infinity, but it is what readers make of it.
    if math.isinf(float(digits)):
        raise ValueError("a number beyond any double")
    return float(digits)


def no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def strict_json(data: bytes) -> Any:
    """The value, or a ValueError where two readers could differ."""
    text = data.decode("utf-8")
    try:
        value = json.loads(
            text,
            object_pairs_hook=members,
            parse_float=finite,
            parse_constant=no_constant,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails at half a surrogate pair
    except RecursionError:  # silent: how deep a payload may be
        raise ValueError("nested too deep") from None
    if re.search(r"\s", STRING.sub("", text)):
        raise ValueError("white space outside of strings")
    return value


def well_formed(line: bytes) -> dict[str, Any]:
    """The event in *line* (without its newline), whose hash may still be wrong."""
    try:
        event = strict_json(line)
    except ValueError as err:
        raise Fault("malformed", str(err)) from None
    tail = TAIL.fullmatch(line[-TAIL_BYTES:])
    if not isinstance(event, dict) or [*event][:4] != RESERVED or not tail:
        raise Fault("malformed", "the reserved members are not in their places")
    kinds = type(event["seq"]), type(event["event_type"]), type(event["timestamp"])
    if kinds not in {(int, str, int), (int, str, float)} or event["seq"] < 0:
        raise Fault("malformed", "a reserved member has the wrong type")
    # silent: whether a parent that no hash looks like is malformed, or does not follow.
    if not TYPE.fullmatch(event["event_type"]) or type(event["parent_hash"]) not in {
        str,
        type(None),
    }:
        raise Fault("malformed", "event_type or parent_hash is none")
    return event


def carries_its_hash(line: bytes) -> bool:
    found = hashlib.sha256(line[:-TAIL_BYTES] + b"}").hexdigest()
    return line[-TAIL_BYTES:] == f',"event_hash":"{found}"}}'.encode()


# --- files (section 2) -----------------------------------------------------------------------------


def unpack(path: Path) -> bytes:
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        data = frame.decompress(path.read_bytes())
    except zstandard.ZstdError as err:
        raise Fault("malformed", f"does not unpack: {err}", path.name) from None
    if not frame.eof or frame.unused_data:
        raise Fault("malformed", "not exactly one frame", path.name)
    return data


def sealed_files(folder: Path, name: str) -> dict[int, Path]:
    pattern = re.compile(re.escape(name) + r"\.([0-9]{6})\.jsonl(\.zst)?")
    found: dict[int, Path] = {}
    # A plain name sorts before the packed one of its number, and counts.
    for path in sorted(folder.iterdir()):
        if match := pattern.fullmatch(path.name):
            found.setdefault(int(match[1]), path)
    return found


def live_number(data: bytes, behind: int) -> int:
    """The live file's number: as its first line says, else the one *behind* the sealed files."""
    try:
        event = well_formed(data.split(b"\n", 1)[0])
    except Fault:
        return behind
    said = event["event_type"], type(event.get("segment")), type(event.get("offset"))
    if said == ("segment_started", int, int):
        return event["segment"]
    # silent: "1 where that is not segment_started" would hide all sealed files behind one bad byte.
    return 1 if event["seq"] == 0 else behind


def in_order(folder: Path, name: str) -> Iterator[tuple[int, str, bytes]]:
    """The number, name and bytes of each file that is there, oldest first."""
    live = folder / f"{name}.jsonl"
    if not live.is_file():
        raise Fault("missing", "there is no live file", live.name)
    data, sealed = live.read_bytes(), sealed_files(folder, name)
    last = live_number(data, max(sealed, default=0) + 1)
    # silent: where a fault is that is a file's absence; it shows in the first line behind the gap.
    for number, path in sealed.items():
        if number >= last:
            break
        yield number, path.name, unpack(path) if path.suffix == ".zst" else path.read_bytes()
    yield last, live.name, data


def read_head(path: Path) -> dict[str, Any] | None:
    """The head; None where there is none to be read (silent: it is never synced, so no fault)."""
    data = path.read_bytes() if path.is_file() else b""
    digest = hashlib.sha256(data[:HEAD_BODY]).hexdigest()[:16].encode()
    if len(data) != HEAD_BYTES or data[HEAD_BODY:] != digest + b"\n":
        return None
    names = {"seq": int, "event_hash": str | None, "size": int, "pending": int}
    try:
        head = json.loads(data[:HEAD_BODY])
        good = all(isinstance(head[name], kind) for name, kind in names.items())
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise Fault("malformed", "not a head", path.name)
    return head


# --- the journal (section 7) -----------------------------------------------------------------------


class Walk:
    """Follows the chain from line to line and keeps what the later steps ask for."""

    def __init__(self, name: str) -> None:
        self.name, self.number = name, 0
        self.first, self.pruned, self.offset = 0, 0, 0
        self.hashes: list[str] = []
        self.leaves: list[bytes] = []
        self.places: list[tuple[str, int]] = []

    @property
    def size(self) -> int:
        return self.first + len(self.hashes)

    def file(self, number: int, file: str, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        if not data and (number > 1 or file != f"{self.name}.jsonl"):
            raise Fault("truncated", "no line is in it", file, 1, self.size)
        for at, line in enumerate(lines, 1):
            try:
                self.line(line, number if at == 1 else None)
            except Fault as fault:
                fault.file, fault.line, fault.seq = file, at, self.size
                raise
            self.places.append((file, at))
        self.number = number
        if rest:
            raise Fault("torn", "the last line is not finished", file, len(lines) + 1)

    def line(self, line: bytes, starts: int | None) -> None:
        event = well_formed(line)
        if not carries_its_hash(line):
            raise Fault("edited", "the bytes do not have the hash they carry")
        if starts is not None:
            self.opening(event, starts)
        if event["seq"] != self.size:
            kind = "removed" if event["seq"] > self.size else "inserted"
            raise Fault(kind, f"number {event['seq']} where {self.size} should stand")
        if self.size > self.first and event["parent_hash"] != self.hashes[-1]:
            raise Fault("replaced", "does not follow from the line before")
        if (self.size == 0) != (event["parent_hash"] is None):
            raise Fault("replaced", "only the first line has no parent")
        if event["event_type"] == "journal_pruned" and type(event.get("lines")) is int:
            self.pruned = max(self.pruned, event["lines"])
        self.hashes.append(event["event_hash"])
        self.leaves.append(leaf_hash(line))
        self.offset += len(line) + 1

    def opening(self, event: dict[str, Any], number: int) -> None:
        """What the first line of file *number* must be."""
        if number == 1:
            if event["event_type"] != "journal_created" or event.get("journal") != self.name:
                raise Fault("foreign", "is not the first line of this journal")
            if (
                type(event.get("format")) is not int
                or event["format"] != 1
                or not isinstance(event.get("origin"), dict)
                or "id" not in event  # silent: how its 128 bits are written
            ):
                raise Fault("malformed", "not a first line of format 1")
            return
        begun = event.get("offset")
        if event["event_type"] != "segment_started" or type(begun) is not int:
            raise Fault("malformed", "is not the first line of a later file")
        if not self.hashes:  # pruned: what came before is what this line says came before
            self.first, self.offset = event["seq"], begun
        elif number > self.number + 1 or begun > self.offset:
            raise Fault("missing", "what lies before it is in no file")
        if (event.get("segment"), begun) != (number, self.offset):
            raise Fault("reordered", f"is not how file {number} goes on")


def boot_id() -> str | None:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else None


def hold_against_head(folder: Path, name: str, walk: Walk) -> None:
    head = read_head(folder / f"{name}.head")
    if head is None:
        return
    live = (folder / f"{name}.jsonl").stat()
    at = head["seq"] - walk.first
    if head["seq"] >= walk.size:
        raise Fault("truncated", f"line {head['seq']} was acknowledged", f"{name}.jsonl")
    if at >= 0 and walk.hashes[at] != head["event_hash"]:
        raise Fault("replaced", "is not what was acknowledged", *walk.places[at], head["seq"])
    here = head.get("boot") == boot_id() and head.get("file") == f"{live.st_dev}:{live.st_ino}"
    # silent: half a batch that a power cut left does not count (section 3, "all or none").
    if walk.size > head["seq"] + 1 and (here or walk.offset < head["pending"]):
        raise Fault("unacknowledged", "past the end", *walk.places[at + 1], head["seq"] + 1)


def verify_journal(
    folder: Path, name: str, statements: Sequence[tuple[str, Sequence[str]]] = ()
) -> Verdict:
    """Judge the journal *name* in *folder*, and whether each signed note of it holds."""
    walk, fault, roots = Walk(name), None, {}
    try:
        for number, file, data in in_order(folder, name):
            walk.file(number, file, data)
        if walk.first > walk.pruned:
            raise Fault("missing", f"lines before {walk.first} are gone")  # noqa: TRY301
        hold_against_head(folder, name, walk)
        if walk.places and walk.places[-1][0] != f"{name}.jsonl":
            raise Fault("missing", "the live file has no line")  # noqa: TRY301
        leaves = [*pruned_leaves(folder / f"{name}.tree" / "0", walk.first), *walk.leaves]
        if len(leaves) == walk.size:
            roots[walk.size] = root_of(leaves)
        for note, vkeys in statements:
            hold_against_note(open_checkpoint(note, vkeys), name, walk.size, leaves, roots)
    except Fault as err:
        fault = err
    stand = walk.size if fault is None or fault.seq is None else fault.seq
    good = walk.hashes[: stand - walk.first]
    return Verdict(stand, good[-1] if good else None, fault, roots)


def pruned_leaves(path: Path, count: int) -> list[bytes]:
    data = path.read_bytes()[: count * 32] if count and path.is_file() else b""
    return [data[i : i + 32] for i in range(0, len(data) // 32 * 32, 32)]


def hold_against_note(
    said: Checkpoint, name: str, size: int, leaves: list[bytes], roots: dict[int, bytes]
) -> None:
    if said.origin.rpartition("/")[2] != name:
        raise Fault("foreign", f"the note is of {said.origin}")
    if said.size > size:
        raise Fault("truncated", f"{said.size} lines were signed, {size} are there")
    if len(leaves) != size:
        raise Fault("index", "the hashes of the pruned lines are not there")
    roots[said.size] = root_of(leaves[: said.size])
    if roots[said.size] != said.root:
        raise Fault("forked", f"the first {said.size} lines are not those that were signed")


def standing(line: bytes) -> dict[str, Any]:
    """The event on a line that has its form and its hash."""
    event = well_formed(line)
    if not carries_its_hash(line):
        raise Fault("edited", "the bytes do not have the hash they carry")
    return event


def verify_report(file: Path, vkeys: list[str]) -> Reported:
    """What a report shows to who trusts those keys; else a Fault."""
    return read_report(file, vkeys, standing)


def key_of(vkey: str) -> str:
    return Path(vkey).read_text() if Path(vkey).is_file() else vkey


def main_report(file: str, *vkeys: str) -> int:
    try:
        found = verify_report(Path(file), [key_of(vkey) for vkey in vkeys])
    except Fault as fault:
        print(f"{fault.file or file}:{fault.line or ''}: {fault}")  # noqa: T201
        return 1
    for journal, said in found.checkpoints.items():
        here = len(found.lines.get(journal, ())) + len(found.withheld.get(journal, ()))
        print(f"{journal}: {here} of {said.size}, signed by {', '.join(said.signers)}")  # noqa: T201
    return 0


def main(folder: str, name: str, note: str | None = None, vkey: str | None = None) -> int:
    if folder == "--report":
        return main_report(name, *filter(None, [note, vkey]))
    statements = []
    if note and vkey:
        statements.append((Path(note).read_bytes().decode(), [key_of(vkey)]))
    verdict = verify_journal(Path(folder), name, statements)
    print(f"{name}: {verdict.lines} lines, head {verdict.head_hash}")  # noqa: T201
    if fault := verdict.fault:
        print(f"{fault.file or name}:{fault.line or ''}: {fault}")  # noqa: T201
    return 1 if verdict.fault else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
