"""
Redaction: finds secrets and personal data by typed, validating detectors, and puts keyed pseudonyms
in their place.  A library of its own: no files, no settings, no network.
"""

from __future__ import annotations

from engines.redaction.model import Detector, Hit
from engines.redaction.policy import JOURNAL, Action, Policy, Rules
from engines.redaction.pseudonyms import Pseudonyms
from engines.redaction.redactor import Redactor

__all__ = [
    "JOURNAL",
    "Action",
    "Detector",
    "Hit",
    "Policy",
    "Pseudonyms",
    "Redactor",
    "Rules",
]
