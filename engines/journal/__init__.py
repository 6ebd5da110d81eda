"""Tamper-evident journals: hash-chained JSON lines that many processes append to."""

from engines.journal.journal import Draft, Journal
from engines.journal.line import Event
from engines.journal.reader import START, Fault, Position
from engines.journal.recovery import SetAside
from engines.journal.verify import Report, verify
from engines.journal.volatile import RehearsalJournal, VolatileJournal

__all__ = [
    "START",
    "Draft",
    "Event",
    "Fault",
    "Journal",
    "Position",
    "RehearsalJournal",
    "Report",
    "SetAside",
    "VolatileJournal",
    "verify",
]
