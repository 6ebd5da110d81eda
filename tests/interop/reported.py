"""
An audit report read by a stranger: the section "Report" of docs/audit.md.

Owns the archive, its manifest and what leads from a line to a signature; lines and notes are read by
the rest of the verifier.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from signed import Checkpoint, Fault, decode, leaf_hash, node, open_checkpoint, open_note, split

FORMAT = "dino-audit-report/1"
NAME = re.compile(r"(?:[a-z]+/)?[A-Za-z0-9_.~%-]+")
ReadLine = Callable[[bytes], dict[str, Any]]
"""The event on a line that has its form and its hash; else a Fault."""


@dataclass
class Reported:
    """What a report shows: the lines of each journal, who signed, and which have all of a period."""

    about: dict[str, str]
    signers: set[str]
    lines: dict[str, dict[int, bytes]] = field(default_factory=dict)
    withheld: dict[str, list[int]] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    complete: dict[str, bool] = field(default_factory=dict)


def read_report(file: Path, vkeys: list[str], read_line: ReadLine) -> Reported:
    """What the report in *file* shows to who trusts *vkeys*; else a Fault."""
    files = unpacked(file)
    manifest_bytes = need(files, "manifest.json")
    try:
        manifest = json.loads(manifest_bytes)
    except ValueError:
        raise Fault("malformed", "not JSON", "manifest.json") from None
    again = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    if again.encode() != manifest_bytes or manifest.get("format") != FORMAT:
        raise Fault("malformed", "not a manifest", "manifest.json")
    hold_files(files, manifest["files"])
    text, signers = open_note(need(files, "manifest.note").decode(), vkeys)
    digest = hashlib.sha256(manifest_bytes).hexdigest()
    if text != f"{FORMAT} {manifest['origin']}\n{digest}\n":
        raise Fault("edited", "the note is of another manifest", "manifest.note")
    found = Reported(manifest["about"], set(signers))
    for journal, said in manifest["journals"].items():
        stem = f"journals/{quote(journal, safe='')}"
        checkpoint = open_checkpoint(need(files, f"{stem}.note").decode(), vkeys)
        if checkpoint.origin != f"{manifest['origin']}/{journal}":
            raise Fault("foreign", f"it is of {checkpoint.origin}", f"{stem}.note")
        found.checkpoints[journal] = checkpoint
        read_part(found, files, journal, read_line, **said)
    for journal, lines in found.lines.items() if found.about["kind"] == "period" else ():
        found.complete[journal] = has_all(lines, found.about, found.checkpoints[journal].size)
    return found


def read_part(
    found: Reported,
    files: dict[str, bytes],
    journal: str,
    read_line: ReadLine,
    *,
    lines: int,
    withheld: bool,
) -> None:
    """Read what there is of one journal, and hold each line against the checkpoint."""
    stem, checkpoint = f"journals/{quote(journal, safe='')}", found.checkpoints[journal]
    if withheld:
        leaves = dict(number_and_leaf(need(files, f"{stem}.leaves")))
        found.withheld[journal] = [*leaves]
    else:
        found.lines[journal] = dict(numbered(journal, need(files, f"{stem}.jsonl"), read_line))
        leaves = {number: leaf_hash(line) for number, line in found.lines[journal].items()}
    if len(leaves) != lines or [*leaves] != sorted(leaves):
        raise Fault("missing", "not as many lines as the manifest says, in order", stem)
    roots = dict(spans(need(files, f"{stem}.hashes")))
    for at, (number, leaf) in enumerate(leaves.items(), 1):
        if number >= checkpoint.size or climbed(leaf, number, checkpoint.size, roots) != (
            checkpoint.root
        ):
            raise Fault("forked", "it does not lead to the root", stem, at, number)


def has_all(lines: dict[int, bytes], about: dict[str, str], size: int) -> bool:
    """Whether no line of a period is missing, by number 7."""
    at = {number: json.loads(line)["timestamp"] for number, line in lines.items()}
    since = datetime.fromisoformat(about["since"]).timestamp() if "since" in about else -math.inf
    until = datetime.fromisoformat(about["until"]).timestamp() if "until" in about else math.inf
    own = [number for number, time in at.items() if since <= time < until]
    if not own or own != [*range(own[0], own[-1] + 1)]:
        return False
    before, behind = at.get(own[0] - 1), at.get(own[-1] + 1)
    begins = own[0] == 0 or (before is not None and before < since)
    return begins and (own[-1] == size - 1 or (behind is not None and behind >= until))


def tlog_proof(file: Path, journal: str, number: int) -> str:
    """The C2SP tlog-proof of one line, put together from a report."""
    import base64

    files, stem = unpacked(file), f"journals/{quote(journal, safe='')}"
    note = files[f"{stem}.note"].decode()
    roots = dict(spans(files[f"{stem}.hashes"]))
    of_number = b'{"seq":%d,' % number
    line = next(each for each in files[f"{stem}.jsonl"].split(b"\n") if each.startswith(of_number))
    path = [roots[part] for part, _ in reversed([*parts(number, int(note.split("\n")[1]))])]
    hashes = "".join(base64.b64encode(each).decode() + "\n" for each in path)
    extra = base64.b64encode(line).decode()
    return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {number}\n{hashes}\n{note}"


def unpacked(file: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            plain = all(
                entry.compress_type == zipfile.ZIP_STORED and NAME.fullmatch(entry.filename)
                for entry in entries
            )
            if not plain or names != sorted(set(names)):
                raise Fault("malformed", "packed, twice the same name, out of order, or a bad name")
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as err:
        raise Fault("malformed", str(err)) from None


def need(files: dict[str, bytes], name: str) -> bytes:
    if name not in files:
        raise Fault("missing", "it is not there", name)
    return files[name]


def hold_files(files: dict[str, bytes], digests: dict[str, str]) -> None:
    for name, digest in digests.items():
        if hashlib.sha256(need(files, name)).hexdigest() != digest:
            raise Fault("edited", "not the bytes that the manifest names", name)
    if more := files.keys() - digests.keys() - {"manifest.json", "manifest.note"}:
        raise Fault("foreign", "the manifest does not name it", min(more))


def numbered(journal: str, data: bytes, read_line: ReadLine) -> Iterator[tuple[int, bytes]]:
    before: dict[str, Any] = {"seq": -2}
    for at, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            event = read_line(line)
        except Fault as fault:
            fault.file, fault.line = f"journals/{journal}.jsonl", at
            raise
        follows = event["seq"] == before["seq"] + 1
        if follows and event["parent_hash"] != before["event_hash"]:
            raise Fault("replaced", "does not follow", f"journals/{journal}.jsonl", at)
        if event["seq"] == 0 and event["journal"] != journal:
            raise Fault("foreign", "another journal's first line", f"journals/{journal}.jsonl", at)
        yield event["seq"], line
        before = event


def number_and_leaf(data: bytes) -> Iterator[tuple[int, bytes]]:
    for line in data.decode().splitlines():
        number, leaf = line.split(" ")
        yield int(number), decode(leaf)


def spans(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    for line in data.decode().splitlines():
        first, count, root = line.split(" ")
        yield (int(first), int(first) + int(count)), decode(root)


def parts(number: int, size: int) -> Iterator[tuple[tuple[int, int], bool]]:
    """From the root down: the part without that line, and whether it is the left one."""
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if number < middle:
            yield (middle, high), False
            high = middle
        else:
            yield (low, middle), True
            low = middle


def climbed(leaf: bytes, number: int, size: int, roots: dict[tuple[int, int], bytes]) -> bytes:
    for part, is_left in reversed([*parts(number, size)]):
        if part not in roots:
            raise Fault("missing", f"the hash over {part} is not there")
        leaf = node(roots[part], leaf) if is_left else node(leaf, roots[part])
    return leaf
