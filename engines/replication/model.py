"""The words of replication: what is asked for, what goes from peer to peer, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Any, Literal, Protocol

from engines.errors import InvalidInput

Document = dict[str, Any]
"""
In the wire's form: with `_id`, `_rev`, `_revisions`, `_deleted`, `_attachments`.  From peer to peer
the `data` of an attachment may be bytes.
"""

Seq = Any  # opaque: a number, a text, a list; nobody but its peer reads it
START: Seq = 0

PARCEL_BYTES = 8 << 20
"""Attachments and bodies that are held, and sent in one request; one document may be larger."""

ERRORS_KEPT = 100
"""So many documents that failed are named in a report; all are counted."""

DENIED_KEPT = 10_000
"""So many that did not get through are known by name, and tried again; of more it is known that."""

MISSING = frozenset({"missing", "not_found"})
"""What a source says of a revision that it lists and does not have."""


@dataclass(frozen=True, slots=True)
class Choice:
    """
    Which documents of the source; all of them unless told.

    Attributes:
        filter: A filter function of the source's design documents, as "design/name".
        query_params: What that filter is given.
        doc_ids: Only these.
        selector: Only what a Mango selector matches.
    """

    filter: str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    doc_ids: Collection[str] | None = None
    selector: Mapping[str, Any] | None = None

    @property
    def everything(self) -> bool:
        return self.filter is None and self.doc_ids is None and self.selector is None


@dataclass(frozen=True, slots=True)
class Options:
    """
    How to replicate.

    Attributes:
        continuous: Stay, and pass on what comes later, until stopped.
        since: Begin behind this sequence of the source, whatever is recorded.
        create_target: Make the target's database where there is none.
        checkpoints: Where the place that was reached is recorded.
        batch_size: Changes taken at once at first; halved when that is too much for a peer,
            doubled up to *batch_max* while it goes well.
        heartbeat_s: So often a source with nothing to say shows that it lives; when it is silent
            for two of these it is asked anew.
        attempts: Of a one-shot replication that is cut off; a continuous one never gives up.
        backoff_s: The first pause before another attempt; at most, and the next at most double.
    """

    continuous: bool = False
    filter: str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    doc_ids: Collection[str] | None = None
    selector: Mapping[str, Any] | None = None
    since: Seq | None = None
    create_target: bool = False
    checkpoints: Literal["both", "source", "target", "none"] = "both"
    batch_size: int = 500
    batch_max: int = 2000
    heartbeat_s: float = 10.0
    attempts: int = 4
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("batch_size", "batch_max", "attempts", "heartbeat_s"):
            if not getattr(self, name) > 0:
                raise InvalidInput(f"{name} must be above 0, found {getattr(self, name)!r}")
        if self.checkpoints not in {"both", "source", "target", "none"}:
            raise InvalidInput(
                f"checkpoints must be both, source, target or none, found {self.checkpoints!r}"
            )
        _check_choice(self)

    @property
    def choice(self) -> Choice:
        return Choice(self.filter, self.query_params, self.doc_ids, self.selector)


def _check_choice(options: Options) -> None:
    given = [n for n in ("filter", "doc_ids", "selector") if getattr(options, n) is not None]
    if len(given) > 1:
        raise InvalidInput(f"one of filter, doc_ids and selector, not {' and '.join(given)}")
    ids = options.doc_ids
    if ids is not None and (isinstance(ids, str) or not all(isinstance(i, str) for i in ids)):
        raise InvalidInput(f"doc_ids must be a list of ids, found {ids!r}")
    if options.selector is not None and not isinstance(options.selector, Mapping):
        raise InvalidInput(f"a selector must be a mapping, found {options.selector!r}")


@dataclass(frozen=True, slots=True)
class Page:
    """
    A stretch of a source's changes.

    Attributes:
        rows: (id, its leaf revisions), in the order of the changes.
        last_seq: Behind the last of them.
        last: Whether there was no more.
        documents: What came along, by id and revision.
        again: Whether it is of those that did not get through before, and no stretch at all.
    """

    rows: Sequence[tuple[str, Sequence[str]]]
    last_seq: Seq
    last: bool
    documents: Mapping[tuple[str, str], Document] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A revision that the target lacks, and which of its ancestors it may have."""

    id: str
    rev: str
    ancestors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A document that did not get through.

    Attributes:
        refused: It would be refused again; else it may go through another time.
    """

    id: str
    rev: str | None
    error: str
    reason: str
    refused: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Documents on their way: as many as may be held in memory at once."""

    documents: Sequence[Document] = ()
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """
    What a replication did.

    Attributes:
        missing_checked: Revisions that the target was asked about.
        missing_found: Of these, the ones that it lacked.
        doc_write_failures: Documents that the target refused; they are not sent again.
        errors: The documents that did not get through, and why; the first hundred.
        start_last_seq: Where it began.
        end_last_seq: Up to where the source's changes are at the target.
    """

    replication_id: str
    session_id: str
    start_time: float
    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0
    missing_checked: int = 0
    missing_found: int = 0
    start_last_seq: Seq = START
    end_last_seq: Seq = START
    seconds: float = 0.0
    retries: int = 0
    errors: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every document that was there is through."""
        return not self.errors

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


class Peer(Protocol):
    """
    One end of a replication.

    Every call may be made again: nothing is done twice.  Calls come from several threads.
    """

    name: str
    """For people; without credentials."""

    @property
    def identity(self) -> str:
        """The same for as long as it is the same database; without credentials."""

    def open(self, *, create: bool = False) -> None:
        """
        Make sure that the database is there.

        Raises:
            PeerMissing: It is not, and *create* is not given.
        """

    def about(self) -> tuple[str, Seq]:
        """What tells it from another in its place, if it says so; and its last sequence."""

    def is_empty(self) -> bool:
        """Whether there was never anything in it, as far as that costs nothing to say."""

    def changes(self, since: Seq, limit: int, choice: Choice, *, documents: bool = False) -> Page:
        """
        What changed behind *since*: each document once, with all its leaves.

        Args:
            documents: The target lacks most of them: some may come along with the page.
        """

    def wait(self, since: Seq, choice: Choice, heartbeat_s: float, stopped: Event) -> bool:
        """
        Return once there is something behind *since*: True; or after a while: False.

        Args:
            stopped: Set, with `interrupt` called afterwards, to make this return.

        Raises:
            PeerTimedOut: The peer showed no sign of life for two heartbeats.
        """

    def revs_diff(self, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        """What is missing here of *asked* (id → revisions), as `missing`, by id."""

    def read(self, wanted: Sequence[Wanted], has: Callable[[str], bool]) -> Iterator[Parcel]:
        """
        Read revisions, with their history and with attachments inline.

        Args:
            has: Whether the target has the attachment with this digest; it stays a stub then.
        """

    def has_attachment(self, digest: str) -> bool:
        """Whether a stub with this digest will do."""

    def write(
        self, documents: Sequence[Document], local: Mapping[str, Document]
    ) -> Sequence[Failure]:
        """
        Add revisions as they are, histories and all; those that failed are returned.

        Args:
            local: Of a peer that `writes_with_local`: documents to put in the same transaction.
        """

    writes_with_local: bool

    def get_local(self, local_id: str) -> Document | None:
        """A document that is not replicated, by its id without `_local/`."""

    def put_local(self, local_id: str, document: Document) -> None:
        """Put one, whatever is there."""

    def commit(self) -> None:
        """Return once what was written is on the disk, where the peer can say so."""

    def interrupt(self) -> None:
        """Make a `wait` in another thread return."""
