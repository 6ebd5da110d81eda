"""Tamper-evident journals: hash-chained JSON lines that many processes append to."""

from engines.journal.checked import OnProgress
from engines.journal.group import Draft, Queue
from engines.journal.head import boot_id
from engines.journal.journal import Journal
from engines.journal.line import RESERVED, Event
from engines.journal.reader import Block, Fault, check_line
from engines.journal.recorded import RecordedJournal
from engines.journal.recovery import SetAside
from engines.journal.report import Report, Since
from engines.journal.rotation import Rotation
from engines.journal.segment import JOURNAL_PRUNED, START, Position, Sealed, files_of
from engines.journal.verify import undisturbed, verify
from engines.journal.volatile import RehearsalJournal, VolatileJournal

__all__ = [
    "JOURNAL_PRUNED",
    "RESERVED",
    "START",
    "Block",
    "Draft",
    "Event",
    "Fault",
    "Journal",
    "OnProgress",
    "Position",
    "Queue",
    "RecordedJournal",
    "RehearsalJournal",
    "Report",
    "Rotation",
    "Sealed",
    "SetAside",
    "Since",
    "VolatileJournal",
    "boot_id",
    "check_line",
    "files_of",
    "undisturbed",
    "verify",
]
