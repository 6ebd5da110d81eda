"""What the desk tells the thread that owns the journals, and what that has published."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dino_os.cluster.jobs import Able, Stop

if TYPE_CHECKING:
    from nats.aio.msg import Msg


class Taken(NamedTuple):
    """The job of that lease is in the stream, as that message."""

    lease: int
    seq: int


class Refused(NamedTuple):
    """It is not."""

    lease: int
    why: str


class Gone(NamedTuple):
    """The job of that lease is in the stream no more, and no report of it on its way."""

    lease: int


class Arrived(NamedTuple):
    """A job or a report; `handle` is what to acknowledge."""

    handle: Msg
    data: bytes


class ArrivedJob(Arrived):
    """A job."""


class ArrivedReport(Arrived):
    """A report for this node."""


class Reported(NamedTuple):
    """A report is in its stream, and the jobs that it completed are acknowledged."""

    number: int


News = Taken | Refused | Gone | ArrivedJob | ArrivedReport | Reported | Able | Stop


class Offer(NamedTuple):
    """A job to be published."""

    lease: int
    token: str
    session: str
    body: bytes
