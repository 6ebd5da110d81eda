"""
Where a replication got to: recorded at both ends, in the same words, under the same name.

The name is made of the two peers and of what chooses the documents, so that the same replication
finds its own record again and no other's.  A record is only of use where the other end has the same
one: a database that was restored from a backup, copied or made anew does not know the other's last
place, and the newest that both know is gone back to.

    {"_id": "_local/9f2c…", "replication_id_version": 1, "session_id": "…", "source_last_seq": …,
     "history": [{"session_id": "…", "recorded_seq": …, "docs_written": …, …}, …],   newest first
     "denied": [["id", "rev"], …],             before that place, and tried again by every session
     "denied_more": true}                      there were more than those

A session writes an entry each time, not one for all: so a crash between the two ends costs no more
than what was done since the last record at both.

Source: docs.couchdb.org, "Replication protocol": generate replication id, find common ancestry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from hashlib import sha256
from typing import Any

import orjson

from engines.replication.coding import encode
from engines.replication.errors import PeerRefused
from engines.replication.model import DENIED_KEPT, START, Document, Options, Peer, Report, Seq
from engines.replication.pipeline import Ahead

_VERSION = 1
_ENTRIES = 50
_OF_A_SESSION = 10
_REFUSED = "source_takes_no_record"
_SOURCE = "source"  # what tells it from another under its name
_is_rev = re.compile(r"[1-9][0-9]{0,14}-[^\x00-\x1f]{1,256}").fullmatch
_DENIED, _DENIED_MORE = "denied", "denied_more"


def replication_id(source: Peer, target: Peer, options: Options) -> str:
    """
    The name of a replication: the same for the same peers and the same choice of documents.

    It holds no credentials, and nothing that changes how but not what is replicated.
    """
    ids = options.doc_ids
    choice = {
        "filter": options.filter,
        "query_params": dict(options.query_params) if options.filter else None,
        "doc_ids": None if ids is None else sorted(set(ids)),
        "selector": options.selector,
        "since": options.since,  # what lies before it was passed over: no record for others
    }
    told = [_VERSION, source.identity, target.identity, choice]
    return sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


class Checkpoints:
    """The records of one replication at its two ends."""

    def __init__(self, source: Peer, target: Peer, options: Options) -> None:
        self.id = replication_id(source, target, options)
        self._source = source
        self._target = target
        self._at_source = options.checkpoints in {"both", "source"}
        self._at_target = options.checkpoints in {"both", "target"}
        self._alone = options.checkpoints in {"source", "target"}
        self._refused = False
        self._history: list[dict[str, Any]] = []
        self._about: str | None = None
        self.denied: list[tuple[str, str]] = []
        self.denied_more = False

    def find(self, verify: Callable[[Peer], None]) -> Seq:
        """
        The newest place that both ends know; the beginning where there is none.

        `denied` has the revisions before it that did not get through; all of them, but for
        `denied_more`.

        Args:
            verify: Called with a peer that has no record: is it there at all?
        """
        at_source = self._source.get_local(self.id) if self._at_source else None
        if at_source is None:
            verify(self._source)
        at_target = self._target.get_local(self.id) if self._at_target else None
        if at_target is None:
            verify(self._target)
        self._refused = bool((at_target or {}).get(_REFUSED))
        self._at_source = self._at_source and not self._refused
        if self.alone:
            # Nothing to compare it with: what the source says of itself has to do.
            self._history = self._of_this_source(at_source or at_target)
        else:
            self._history = _common(_history(at_source), _history(at_target))
        self.denied, self.denied_more = [], False
        if not self._history:
            return START
        # An end that was restored from a backup may lack what got through at last.
        self.denied = list(dict.fromkeys([*_denied(at_source), *_denied(at_target)]))
        if any((one or {}).get(_DENIED_MORE) for one in (at_source, at_target)):
            if len(self.denied) < DENIED_KEPT:
                return START  # there is room for those that nobody knows by name: all is compared
            self.denied_more = True
        return self._history[0]["recorded_seq"]

    def record(
        self,
        report: Report,
        now: float,
        denied: Sequence[tuple[str, str]] = (),
        *,
        more: bool = False,
    ) -> Document:
        """
        The record of what *report* says.

        Args:
            denied: Revisions before that place which did not get through.
            more: Whether these are not all.
        """
        entry = {
            "session_id": report.session_id,
            "start_time": formatdate(report.start_time, usegmt=True),
            "end_time": formatdate(now, usegmt=True),
            "start_last_seq": report.start_last_seq,
            "end_last_seq": report.end_last_seq,
            "recorded_seq": report.end_last_seq,
            "missing_checked": report.missing_checked,
            "missing_found": report.missing_found,
            "docs_read": report.docs_read,
            "docs_written": report.docs_written,
            "doc_write_failures": report.doc_write_failures,
        }
        self._history = list(_shortened([entry, *self._history]))
        record = {
            "replication_id_version": _VERSION,
            "session_id": report.session_id,
            "source_last_seq": report.end_last_seq,
            "history": self._history,
            **({_DENIED: [list(one) for one in denied]} if denied else {}),
            **({_DENIED_MORE: True} if more else {}),
        }
        return {**record, **self._alone_with()} if self.alone else record

    def _alone_with(self) -> dict[str, Any]:
        """What a record has besides that no other confirms."""
        if self._about is None:
            self._about, _ = self._source.about()
        return {_SOURCE: self._about, **({_REFUSED: True} if self._refused else {})}

    def _of_this_source(self, record: Document | None) -> list[dict[str, Any]]:
        """The entries of *record*; none where the source was restored or made anew since."""
        history = _history(record)
        self._about, now = self._source.about()
        if record is None or record.get(_SOURCE, self._about) != self._about:
            return []
        reached, head = (_number(seq) for seq in (record.get("source_last_seq"), now))
        is_back = reached is not None and head is not None and head < reached
        return [] if is_back else history

    @property
    def alone(self) -> bool:
        """Whether there is one record only, which counts as soon as it is written."""
        return self._alone or self._refused

    def local(self, record: Document) -> dict[str, Document]:
        """What the target puts in the transaction of the documents; empty where it cannot."""
        return {self.id: record} if self._at_target and self._target.writes_with_local else {}

    def save(self, record: Document) -> None:
        """Put *record* where it belongs and is not yet; the documents are at the target."""
        # Neither counts without the other, so neither needs to be the first.
        at_target = Ahead(self._put_at_target(record))
        try:
            refused = self._at_source and not self._put_at_source(record)
        finally:
            for _ in at_target:
                """Until it is there."""
        if refused:
            self._at_source, self._refused = False, True
            if self._at_target:
                self._target.put_local(self.id, {**record, **self._alone_with()})

    def _put_at_source(self, record: Document) -> bool:
        """False where it may be read and not written."""
        try:
            self._source.put_local(self.id, record)
        except PeerRefused:
            return False
        return True

    def _put_at_target(self, record: Document) -> Iterator[None]:
        if self._at_target and not self._target.writes_with_local:
            self._target.commit()
            self._target.put_local(self.id, record)
        yield None


def _history(record: Document | None) -> list[dict[str, Any]]:
    """The entries of a record, newest first; of one that is none of ours none."""
    if record is None or record.get("replication_id_version") != _VERSION:
        return []
    entries = record.get("history")
    found = entries if isinstance(entries, list) else []
    return [one for one in found if isinstance(one, dict) and "recorded_seq" in one]


def _denied(record: Document | None) -> Iterator[tuple[str, str]]:
    found = (record or {}).get(_DENIED)
    for one in found if isinstance(found, list) else ():
        # Others may write there, too: what is no revision cannot be asked about.
        match one:
            case [str(name), str(rev)] if _is_rev(rev):
                yield name, rev


def _common(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of *mine* from the newest one on that is also in *theirs*."""
    known = {_mark(one) for one in theirs}
    for at, entry in enumerate(mine):
        if _mark(entry) in known:
            return mine[at:]
    return []


def _number(seq: Seq) -> int | None:
    """How far *seq* is, where it begins with a number, as those of all servers do."""
    digits = str(seq).partition("-")[0]
    return int(digits) if digits.isdecimal() else None


def _mark(entry: dict[str, Any]) -> tuple[Any, bytes]:
    # A sequence may be a list; nobody but its source can tell which of two is the later one.
    return entry.get("session_id"), encode(entry["recorded_seq"])


def _shortened(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The newest entries of the newest session, and of those before it the last."""
    kept = 0
    seen: dict[Any, int] = {}
    for entry in entries:
        session = entry.get("session_id")
        seen[session] = seen.get(session, 0) + 1
        if kept < _ENTRIES and seen[session] <= (_OF_A_SESSION if len(seen) == 1 else 1):
            kept += 1
            yield entry
