"""What others can hold against a journal: checkpoints, proofs, and the witnesses who sign them."""

from engines.audit.archive import NotAnArchive
from engines.audit.bundle import Part, read_time, write_bundle
from engines.audit.bundle_check import check_bundle
from engines.audit.bundle_found import BundleFound, PartFound
from engines.audit.checkpoint import Checkpoint
from engines.audit.keyfile import WrongPassphrase, is_sealed, load_key, read_verifier, save_key
from engines.audit.log import CheckpointLog, Forked, Signed, tree_of
from engines.audit.note import (
    Note,
    NoteInvalid,
    NotSigned,
    Signature,
    SignerKey,
    VerifierKey,
    WrongKey,
    parse_note,
    parse_signatures,
    verify_note,
)
from engines.audit.proof import Proof, format_hashes, inclusion_hashes, parse_hashes
from engines.audit.pruning import CannotPrune, Pruned, prune
from engines.audit.tree import HashTree
from engines.audit.verification import Anchor, Audit, Statement, audit, since_checkpoint
from engines.audit.witness import Fork, ForkFound, StaleSize, UnknownLog, Witness

__all__ = [
    "Anchor",
    "Audit",
    "BundleFound",
    "CannotPrune",
    "Checkpoint",
    "CheckpointLog",
    "Fork",
    "ForkFound",
    "Forked",
    "HashTree",
    "NotAnArchive",
    "NotSigned",
    "Note",
    "NoteInvalid",
    "Part",
    "PartFound",
    "Proof",
    "Pruned",
    "Signature",
    "Signed",
    "SignerKey",
    "StaleSize",
    "Statement",
    "UnknownLog",
    "VerifierKey",
    "Witness",
    "WrongKey",
    "WrongPassphrase",
    "audit",
    "check_bundle",
    "format_hashes",
    "inclusion_hashes",
    "is_sealed",
    "load_key",
    "parse_hashes",
    "parse_note",
    "parse_signatures",
    "prune",
    "read_time",
    "read_verifier",
    "save_key",
    "since_checkpoint",
    "tree_of",
    "verify_note",
    "write_bundle",
]
