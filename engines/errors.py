"""
The tree of errors: what a caller can catch, and how the command line exits.

DinoError                      anything Dino says no to             exit 1
├── InvalidInput               a value that cannot be accepted      exit 2   (also a ValueError)
│   └── NotFound               a name that nothing answers to       exit 2   (also a KeyError)
└── JournalError
    ├── JournalBroken          the record does not verify           exit 1
    ├── JournalWriteFailed     the disk did not take the event      exit 1
    └── JournalBusy            another process holds the lock       exit 4

The layers above add their own leaves; each keeps its exit code with it.
"""

from __future__ import annotations

import re


class DinoError(Exception):
    """Base of all errors that are meant for people: one or two lines, no traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)

    # KeyError and OSError print their arguments in their own way; these errors are sentences.
    def __str__(self) -> str:
        return self.message

    @property
    def code(self) -> str:
        """The error's kind in snake_case, stable for programs that read `--json`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class InvalidInput(DinoError, ValueError):
    """A value that cannot be accepted; the message says which, where and what would do."""

    exit_code = 2


class NotFound(InvalidInput, KeyError):
    """A name that nothing answers to."""


class JournalError(DinoError):
    """Something is wrong with a journal file."""


class JournalBroken(JournalError):
    """A journal does not verify; nothing is decided on it, nothing added to it."""


class JournalBusy(JournalError):
    """Another process kept the journal's lock for too long."""

    exit_code = 4


class JournalWriteFailed(JournalError):
    """The events were not accepted by the disk; nothing was acknowledged."""
