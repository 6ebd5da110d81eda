"""The forger's hands: a journal's bytes by docs/journal.md alone, with none of Dino's code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def lines_of(file: Path) -> list[bytes]:
    """Its lines, without their newlines."""
    return file.read_bytes().split(b"\n")[:-1]


def put(file: Path, content: bytes) -> None:
    """Overwrite in place: the same inode, as an editor that means harm would leave it."""
    if file.exists():
        file.chmod(0o644)
    file.write_bytes(content)


def put_lines(file: Path, lines: Iterable[bytes]) -> None:
    put(file, b"".join(line + b"\n" for line in lines))


def seal(body: bytes) -> bytes:
    """A JSON object as a line, with the hash that fits its bytes."""
    digest = hashlib.sha256(body).hexdigest().encode()
    return body[:-1] + b',"event_hash":"' + digest + b'"}'


def body_of(line: bytes) -> bytes:
    return line[:-81] + b"}"


def hash_of(line: bytes) -> bytes:
    return line[-66:-2]


def rechained(lines: list[bytes]) -> list[bytes]:
    """Each line sealed anew upon the one before, its other bytes as they are."""
    done = lines[:1]
    for line in lines[1:]:
        parent = b'"parent_hash":"' + hash_of(done[-1]) + b'"'
        body = re.sub(rb'"parent_hash":"[0-9a-f]{64}"', parent, body_of(line), count=1)
        done.append(seal(body))
    return done


def read_head(folder: Path, name: str = "notes") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.head").read_bytes()[:367])
    return found


def write_head(folder: Path, name: str = "notes", **members: Any) -> None:
    """A head as the document has it: for this file on this machine, unless told."""
    file = folder / f"{name}.head"
    old = json.loads(file.read_bytes()[:367]) if file.exists() else {"pending": 0}
    live = (folder / f"{name}.jsonl").stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    old |= {"file": f"{live.st_dev}:{live.st_ino}", "boot": boot}
    text = json.dumps(old | members).encode().ljust(367)
    put(file, text + hashlib.sha256(text).hexdigest()[:16].encode() + b"\n")


def head_at(folder: Path, lines: list[bytes], name: str = "notes", **members: Any) -> None:
    """A head that acknowledges *lines*, all of the journal's."""
    size = sum(len(line) + 1 for line in lines)
    last = {"seq": len(lines) - 1, "event_hash": hash_of(lines[-1]).decode(), "size": size}
    write_head(folder, name, **last | members)


def following(line: bytes) -> bytes:
    """A line that would stand behind *line*."""
    seq = int(line[7 : line.index(b",")]) + 1
    parent = hash_of(line).decode()
    body = f'{{"seq":{seq},"event_type":"noted","timestamp":1.5,"parent_hash":"{parent}"}}'
    return seal(body.encode())


def packed(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(content)


def unpacked(file: Path) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read()
