"""
Redaction: finds secrets and personal data by typed, validating detectors, and puts keyed pseudonyms
in their place.  A library of its own: no settings, no network, and no file but the escrow's.
"""

from __future__ import annotations

from engines.redaction.escrow import Escrow, EscrowBroken
from engines.redaction.filtering import Block, Found, blocks, found_in, redacted
from engines.redaction.kinds import all_kinds, group_of
from engines.redaction.model import Detector, Hit
from engines.redaction.policy import JOURNAL, Action, Policy, Rules
from engines.redaction.pseudonyms import Pseudonyms
from engines.redaction.redactor import Redactor

__all__ = [
    "JOURNAL",
    "Action",
    "Block",
    "Detector",
    "Escrow",
    "EscrowBroken",
    "Found",
    "Hit",
    "Policy",
    "Pseudonyms",
    "Redactor",
    "Rules",
    "all_kinds",
    "blocks",
    "found_in",
    "group_of",
    "redacted",
]
