"""
RFC 6962's tree, C2SP's signed notes, and the proofs: sections 4 and 5 of docs/journal.md.

Owns what is checked with a note and a key alone, without a journal.  Every check either returns what
holds or raises a Fault.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import ed25519

DECIMAL = re.compile(r"0|[1-9][0-9]*")
SIGNATURE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/=]+)")
ED25519, COSIGNATURE_V1 = 1, 4


class Fault(ValueError):
    """What is wrong, by section 7's kinds, and where: a file, its line, the journal's line."""

    def __init__(
        self,
        kind: str,
        what: str,
        file: str | None = None,
        line: int | None = None,
        seq: int | None = None,
    ) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind, self.what, self.file, self.line, self.seq = kind, what, file, line, seq


@dataclass(frozen=True)
class Checkpoint:
    """What a note says of a tree, and which keys said so (a cosigner with its time)."""

    origin: str
    size: int
    root: bytes
    signers: dict[str, int | None]


# --- the tree: RFC 6962, section 2.1 ---------------------------------------------------------------


def leaf_hash(line: bytes) -> bytes:
    return hashlib.sha256(b"\0" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two below *size*."""
    return 1 << ((size - 1).bit_length() - 1)


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = split(len(leaves))
    return node(root_of(leaves[:k]), root_of(leaves[k:]))


def led_to(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that the audit path (2.1.1) leads to."""
    if (size == 1) != (not path):
        raise Fault("malformed", "the path has not the length that it must have")
    if size == 1:
        return leaf
    k = split(size)
    if index < k:
        return node(led_to(leaf, index, k, path[:-1]), path[-1])
    return node(path[-1], led_to(leaf, index - k, size - k, path[:-1]))


def old_and_new(
    old: int, size: int, proof: list[bytes], known: bytes | None
) -> tuple[bytes, bytes]:
    """The two roots that the consistency proof (2.1.2) leads to; *known* is the old one."""
    if old == size:
        if len(proof) != (known is None):
            raise Fault("malformed", "the proof has not the length that it must have")
        return (proof[0],) * 2 if known is None else (known,) * 2
    if not proof:
        raise Fault("malformed", "the proof is too short")
    k, *rest, last = split(size), *proof
    if old <= k:
        was, now = old_and_new(old, k, rest, known)
        return was, node(now, last)
    was, now = old_and_new(old - k, size - k, rest, None)
    return node(last, was), node(last, now)


# --- notes and checkpoints: section 4 --------------------------------------------------------------


def decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode() != text:
        raise Fault("malformed", f"not base64: {text!r}")
    return data


def decimal(text: str) -> int:
    if not DECIMAL.fullmatch(text):
        raise Fault("malformed", f"not a decimal number: {text!r}")
    return int(text)


def verifier_key(vkey: str) -> tuple[tuple[str, bytes], tuple[int, bytes]]:
    """Name and key id, algorithm and public key."""
    name, digest, encoded = vkey.strip().split("+", 2)
    data = decode(encoded)
    key_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if key_id.hex() != digest or len(data) != 33 or data[0] not in {ED25519, COSIGNATURE_V1}:
        raise Fault("malformed", f"not a verifier key: {vkey!r}")
    return (name, key_id), (data[0], data[1:])


def cosigned_at(algorithm: int, public: bytes, signature: bytes, text: bytes) -> int | None:
    """The time of a good cosignature, None for a good signature; else a fault."""
    time = None
    if algorithm == COSIGNATURE_V1:
        time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        text = b"cosignature/v1\ntime %d\n" % time + text
    if not ed25519.verify(public, text, signature):
        raise Fault("wrong key", "a signature in a known key's name is false")
    return time


def open_note(note: str, vkeys: Sequence[str]) -> tuple[str, dict[str, int | None]]:
    """The text that was signed, and which of the known keys signed it."""
    text, empty_line, lines = note.rpartition("\n\n")
    if not empty_line or not lines.endswith("\n") or re.search("[\0-\x09\x0b-\x1f]", note):
        raise Fault("malformed", "not a signed note")
    known, signers, names = dict(map(verifier_key, vkeys)), {}, set()
    for line in lines[:-1].split("\n"):
        if not (match := SIGNATURE.fullmatch(line)) or len(data := decode(match[2])) < 5:
            raise Fault("malformed", f"not a signature line: {line!r}")
        names.add(match[1])
        if key := known.get((match[1], data[:4])):
            signers[match[1]] = cosigned_at(*key, data[4:], f"{text}\n".encode())
    if not signers:
        ours = names & {name for name, _ in known}
        raise Fault("wrong key" if ours else "unsigned", "no known key signed this note")
    return f"{text}\n", signers


def open_checkpoint(note: str, vkeys: Sequence[str]) -> Checkpoint:
    text, signers = open_note(note, vkeys)
    origin, size, root, *more = text[:-1].split("\n") + [""] * 2
    if not origin or len(decode(root)) != 32 or "" in more[:-2]:
        raise Fault("malformed", "not a checkpoint")
    return Checkpoint(origin, decimal(size), decode(root), signers)


# --- proofs: section 5 -----------------------------------------------------------------------------


def check_proof(text: str, vkeys: Sequence[str]) -> bytes:
    """The line that the proof shows to be in a journal; else a fault."""
    head, _, note = text.partition("\n\n")
    version, extra, index, *path = head.split("\n") + [""] * 3
    if version != "c2sp.org/tlog-proof@v1" or extra[:6] != "extra " or index[:6] != "index ":
        raise Fault("malformed", "not a tlog-proof with its line")
    said, line, at = open_checkpoint(note, vkeys), decode(extra[6:]), decimal(index[6:])
    hashes = [decode(item) for item in path[:-3]]
    if at >= said.size or led_to(leaf_hash(line), at, said.size, hashes) != said.root:
        raise Fault("forked", "the line does not lead to the root that was signed")
    return line


def check_consistency(text: str, old_root: bytes, vkeys: Sequence[str]) -> tuple[int, Checkpoint]:
    """The older size and the newer checkpoint, where this one extends *old_root*; else a fault."""
    head, _, note = text.partition("\n\n")
    old_line, *proof = head.split("\n")
    if old_line[:4] != "old ":
        raise Fault("malformed", "not a consistency proof")
    said, old = open_checkpoint(note, vkeys), decimal(old_line[4:])
    hashes = [decode(item) for item in proof]
    if old > said.size or (old == 0 and hashes):
        raise Fault("malformed", "the proof does not fit its sizes")
    if old and old_and_new(old, said.size, hashes, old_root) != (old_root, said.root):
        raise Fault("forked", "the newer checkpoint does not extend the older")
    return old, said
