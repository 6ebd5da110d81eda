"""
What can keep a replication from going on.

DinoError
└── ReplicationError            anything below                                   exit 1
    ├── PeerUnreachable         offline, refused, cut off, busy: it may pass     exit 4
    │   └── PeerTimedOut        it said nothing for too long                     exit 4
    ├── PeerRefused             401 or 403 for the whole database                exit 3
    ├── PeerMissing             there is no such database                        exit 2
    ├── PeerFault               an answer that is not of the protocol            exit 1
    │   └── TooLarge            a request or an answer over somebody's limit     exit 1
    └── DocumentsFailed         some documents did not get through, this time    exit 1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.errors import DinoError

if TYPE_CHECKING:
    from engines.replication.model import Report


class ReplicationError(DinoError):
    """
    A replication cannot go on.

    Attributes:
        report: What was done until then, where a replication had begun.
    """

    report: Report | None = None


class PeerUnreachable(ReplicationError):
    """
    No answer that counts: offline, refused, cut off, overloaded.  It may pass.

    Attributes:
        retry_after_s: When the peer said that it wants to be asked again.
        offline: Whether not even a connection came about.
        status: What it was answered with, if it was.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_after_s: float | None = None,
        offline: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
        self.offline = offline
        self.status = status

    @property
    def of_one(self) -> str:
        """What it is called where it is a document's own."""
        return "server_error" if self.status else "cut_off"


class PeerTimedOut(PeerUnreachable):
    """The peer said nothing for too long."""

    of_one = "timed_out"


class PeerRefused(ReplicationError):
    """The peer does not let us in, or not do this."""

    exit_code = 3


class PeerMissing(ReplicationError):
    """There is no such database at the peer."""

    exit_code = 2


class PeerFault(ReplicationError):
    """What the peer answered is not of the protocol, or it does not take what is."""


class TooLarge(PeerFault):
    """A request over the peer's limit, or an answer over ours; half of it may do."""


class DocumentsFailed(PeerUnreachable):
    """Documents failed for reasons that may pass: the others are through, the sequence stays."""

    exit_code = 1
