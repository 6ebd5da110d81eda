"""
Signed notes: a few lines of text, and below them who stands by it.

    <text, ending in a newline>
    <empty line>
    — <name> <base64 of key id ‖ signature>

Two kinds of signature are known: plain Ed25519 (0x01), and the timestamped cosignature of a witness
(0x04).  Signatures by keys that nobody asked about are passed over, as the specification wants.

Source: C2SP signed-note and tlog-cosignature (c2sp.org/signed-note, c2sp.org/tlog-cosignature).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engines.errors import DinoError, InvalidInput

ED25519, COSIGNATURE = 0x01, 0x04
_PUBLIC_SIZE = 32
_DASH = "\u2014 "
_MOST_SIGNATURES = 100
_LONGEST = 1_000_000
_not_in_a_note = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]").search


class NoteInvalid(InvalidInput):
    """Not a signed note, or not a key; the text says how."""


class NotSigned(DinoError):
    """Nobody who was asked for signed it."""


class WrongKey(NotSigned):
    """Signed in the name of somebody who was asked for, and not with the key that is known."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: *key_id* of 4 bytes, then what that key's algorithm says."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {encoded(self.key_id + self.data)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """Text, and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(signature.line() for signature in self.signatures)}"

    def is_signed_by(self, key: VerifierKey) -> bool:
        return any(key.made(signature, self.text) for signature in self.signatures)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """
    A public key with its owner's name.

    Attributes:
        algorithm: 0x01 for Ed25519 signatures, 0x04 for cosignatures of a witness.
        public: 32 bytes.
    """

    name: str
    public: bytes
    algorithm: int = ED25519

    def __post_init__(self) -> None:
        if not self.name or any(c.isspace() or c == "+" for c in self.name):
            raise NoteInvalid(f"not a key's name: {self.name!r} (no spaces, no '+')")
        if self.algorithm not in {ED25519, COSIGNATURE} or len(self.public) != _PUBLIC_SIZE:
            raise NoteInvalid(f"verifier key {self.name!r} is of an unknown kind")

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """
        Read the standard form, `name+hash+base64`.

        Raises:
            NoteInvalid: It is not that, or of an algorithm that is not known.
        """
        try:
            name, key_id, encoding = text.strip().split("+", 2)
            material = decoded(encoding)
            key = cls(name, material[1:], material[0])
        except (ValueError, IndexError) as error:
            if isinstance(error, NoteInvalid):
                raise
            raise NoteInvalid(f"not a verifier key: {text[:80]!r}") from None
        if key.key_id.hex() != key_id:
            raise NoteInvalid(f"verifier key {name!r}: its hash does not fit: copied wrongly?")
        return key

    def as_witness(self) -> VerifierKey:
        """The same key, for the cosignatures it makes."""
        return VerifierKey(self.name, self.public, COSIGNATURE)

    @property
    def key_id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public
        return hashlib.sha256(named).digest()[:4]

    def __str__(self) -> str:
        material = encoded(bytes([self.algorithm]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def made(self, signature: Signature, text: str) -> bool:
        """Whether this key made *signature* over *text*."""
        if (signature.name, signature.key_id) != (self.name, self.key_id):
            return False
        message, raw = text.encode(), signature.data
        if self.algorithm == COSIGNATURE:
            if len(raw) < 8:  # noqa: PLR2004  the timestamp
                return False
            message, raw = _cosigned(int.from_bytes(raw[:8]), text), raw[8:]
        return _ed25519_holds(self.public, raw, message)


class SignerKey:
    """A private key with its owner's name."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self.name = name
        self._private = private
        public = private.public_key().public_bytes_raw()
        self.verifier = VerifierKey(name, public)
        self.cosigner = self.verifier.as_witness()

    @classmethod
    def new(cls, name: str) -> SignerKey:
        return cls(name, Ed25519PrivateKey.generate())

    def private_bytes(self) -> bytes:
        """The secret itself, 32 bytes: for `keyfile` alone."""
        return self._private.private_bytes_raw()

    def sign(self, text: str) -> Signature:
        return Signature(self.name, self.verifier.key_id, self._private.sign(text.encode()))

    def endorse(self, successor: VerifierKey) -> Note:
        """A note by which this key says that *successor* follows it."""
        text = f"{successor}\n"
        return Note(text, (self.sign(text),))

    def cosign(self, text: str, at: int) -> Signature:
        """A witness's signature over *text*, which it saw at *at* (seconds since the epoch)."""
        signed = self._private.sign(_cosigned(at, text))
        return Signature(self.name, self.cosigner.key_id, at.to_bytes(8) + signed)


def parse_note(text: str) -> Note:
    """
    Read a signed note.

    Raises:
        NoteInvalid: It is not one.
    """
    if len(text) > _LONGEST or _not_in_a_note(text):
        raise NoteInvalid("not a signed note: too long, or with control characters")
    body, gap, signed = text.rpartition("\n\n")
    if not gap or not signed.endswith("\n"):
        raise NoteInvalid("not a signed note: no signatures after an empty line")
    return Note(f"{body}\n", parse_signatures(signed))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """
    Read the lines that stand under a note, each with its newline.

    Raises:
        NoteInvalid: One is not a signature, or there is none, or far too many.
    """
    signatures = tuple(map(_parse_signature, lines.removesuffix("\n").split("\n")))
    if len(signatures) > _MOST_SIGNATURES:
        raise NoteInvalid(f"a note has 1 to {_MOST_SIGNATURES} signatures")
    return signatures


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """
    The keys among *keys* that signed the note.

    Raises:
        NotSigned: None did.
        WrongKey: A signature in the name of one of them is false, or by another key of that name.
    """
    keys, found = list(keys), []
    for signature in note.signatures:
        for key in keys:
            if (signature.name, signature.key_id) == (key.name, key.key_id):
                if not key.made(signature, note.text):
                    raise WrongKey(f"the signature in the name of {key.name!r} is false")
                if key not in found:
                    found.append(key)
    if not found:
        signed_by = {signature.name for signature in note.signatures}
        if namesakes := signed_by & {key.name for key in keys}:
            names = ", ".join(sorted(namesakes))
            raise WrongKey(f"signed in the name of {names}, by another key than the one given")
        names = ", ".join(sorted(signed_by))
        raise NotSigned(f"not signed by any key that was given; signed by {names}")
    return found


def cosigned_at(signature: Signature) -> int:
    """When a witness says it saw the note, in seconds since the epoch."""
    return int.from_bytes(signature.data[:8])


def encoded(data: bytes) -> str:
    """*data* in standard base64."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """What standard base64 stands for; nothing where it is anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    # Two spellings of one signature would let a note be changed and still hold.
    return data if encoded(data) == text else b""


def _cosigned(at: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _parse_signature(line: str) -> Signature:
    name, space, encoding = line.removeprefix(_DASH).partition(" ")
    material = decoded(encoding)
    if not line.startswith(_DASH) or not space or not name or "+" in name or len(material) < 5:  # noqa: PLR2004
        raise NoteInvalid(f"not a signature line: {line[:80]!r}")
    return Signature(name, material[:4], material[4:])


def _ed25519_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True
