"""
Reads the sources of a cycle: what each gives, what of it is new, what is to be remembered.

A source that cannot be read is left out of the cycle, with the reason, unless it is required.
Nothing is recorded here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.errors import DinoError, InvalidInput
from dino_os.planning import alertmanager
from dino_os.planning.cycle_file import Cycle, Source
from dino_os.planning.feed import Feed, Move, Piece
from dino_os.planning.files import AT_ONCE, File, digest_of, forgotten, look_at, matching
from dino_os.planning.runs import Memory
from dino_os.planning.scenario import Signals, check_columns, signals_from
from dino_os.planning.sources import as_row, columns_of, reader_for, refuse_halves, within
from dino_os.planning.web import fetch
from engines.personas import PersonaSignal, RejectedRow, Row

if TYPE_CHECKING:
    from dino_os.hookspecs import SignalReader

RunSkill = Callable[[str, Mapping[str, Any]], Any]
_COUNTED_BY_FILE = frozenset({"remember", "move"})


@dataclass(frozen=True, slots=True)
class Access:
    """
    What sources are read with.

    Attributes:
        readers: By a file's ending, what plugins bring.
        skill: Runs one and returns its result.
        secret: Name of a key → its value.
        payload: Alerts given besides those that lie in files, and what of them cannot be read.
        clock: Seconds since the epoch.
    """

    readers: Mapping[str, SignalReader]
    skill: RunSkill
    secret: Callable[[str], str]
    payload: tuple[list[alertmanager.Alert], list[RejectedRow]] | None = None
    clock: Callable[[], float] = time.time


def read_source(cycle: Cycle, source: Source, memory: Memory, access: Access) -> Feed:
    """
    Read one source.

    Raises:
        DinoError: It cannot be read, and is required.
    """
    feed = Feed(source)
    try:
        _READERS[source.kind](cycle, feed, memory, access)
    except DinoError as error:
        if source.required:
            raise
        return Feed(source, "skipped", error.message)
    if feed.problems and not feed.pieces:
        feed.outcome, feed.reason = "skipped", "; ".join(feed.problems)
    elif not feed.pieces:
        feed.outcome = "unchanged"
    return feed


# --- files -------------------------------------------------------------------------------------


def _read_file(cycle: Cycle, feed: Feed, memory: Memory, access: Access) -> None:
    _take_file(feed, cycle, cycle.folder / feed.source.where, memory, access)


def _read_glob(cycle: Cycle, feed: Feed, memory: Memory, access: Access) -> None:
    source = feed.source
    # What was moved there was counted, also where the pattern leads there.
    moved_to = cycle.folder / source.move_to if source.move_to else None
    paths = matching(cycle.folder, source.where, but_in=moved_to)
    if len(paths) > AT_ONCE and source.done not in _COUNTED_BY_FILE:
        raise InvalidInput(f"{source.where}: more than {AT_ONCE:,} files to be read each time")
    for path in paths:
        if len(feed.pieces) == AT_ONCE:
            said = f"{source.where}: more than {AT_ONCE:,} new files; the next run goes on"
            feed.problems.append(said)
            break
        _try_file(feed, partial(_take_file, feed, cycle, path, memory, access))
    _forget(feed, forgotten(memory, paths, cycle.folder))


def _try_file(feed: Feed, take: Callable[[], None]) -> None:
    """One file of several that cannot be read holds the others up only where all are required."""
    try:
        take()
    except DinoError as error:
        if feed.source.required:
            raise
        feed.problems.append(error.message)


def _take_file(feed: Feed, cycle: Cycle, path: Path, memory: Memory, access: Access) -> None:
    file = look_at(path, cycle.folder, memory, access.clock)
    counted = file.known and feed.source.done in _COUNTED_BY_FILE
    if not counted:
        piece = _piece_of(feed.source, path, access)
        if digest_of(path) != file.digest:
            raise InvalidInput(f"{path}: was changed while it was read")
        feed.pieces.append(piece)
    _note_file(feed, file, memory)
    _note_move(feed, cycle, file)  # also one that a crash kept from being moved


def _piece_of(source: Source, path: Path, access: Access) -> Piece:
    if source.map is None:
        ready = signals_from(path, None).ready
        return Piece(path.name, ready=list(enumerate(ready, start=1)))
    rows = list(reader_for(path, access.readers)(path))
    if columns := columns_of(path, rows):
        check_columns(Signals(file=path, map=source.map, map_file=source.map_file), columns)
    return Piece(path.name, rows=rows)


def _note_file(feed: Feed, file: File, memory: Memory) -> None:
    """Have it remembered, as far as it is not yet."""
    if feed.source.done not in _COUNTED_BY_FILE:
        return
    if not file.known:
        _note_content(feed, file.name, file.digest)
    if file.stamp and memory.stamps.get(file.name) != file.stamp:
        feed.marks.setdefault("stamps", {})[file.name] = list(file.stamp)


def _note_content(feed: Feed, name: str, digest: str) -> None:
    if feed.source.done in _COUNTED_BY_FILE:
        feed.marks.setdefault("content", {})[name] = digest


def _note_move(feed: Feed, cycle: Cycle, file: File) -> None:
    if feed.source.move_to:
        folder = cycle.folder / feed.source.move_to
        feed.moves.append(Move(file.name, file.path, file.digest, folder))


def _forget(feed: Feed, names: Sequence[str]) -> None:
    if names:
        feed.marks["forgotten"] = list(names)


# --- alerts ------------------------------------------------------------------------------------


def _read_alerts(cycle: Cycle, feed: Feed, memory: Memory, access: Access) -> None:
    source = feed.source
    pieces: list[tuple[str, list[alertmanager.Alert]]] = []
    rejected: dict[str, list[RejectedRow]] = {}

    def add(label: str, found: tuple[list[alertmanager.Alert], list[RejectedRow]]) -> None:
        pieces.append((label, found[0]))
        rejected[label] = found[1]

    def take(path: Path) -> None:
        file = look_at(path, cycle.folder, memory, access.clock)
        if not file.known:
            add(path.name, alertmanager.read_file(path))
        _note_file(feed, file, memory)
        _note_move(feed, cycle, file)

    if access.payload is not None:
        add("-", access.payload)
    paths = list(_alert_files(cycle.folder / source.where, given=access.payload is not None))
    for path in paths:
        _try_file(feed, partial(take, path))
    _forget(feed, forgotten(memory, paths, cycle.folder))
    found = alertmanager.news((a for _, alerts in pieces for a in alerts), memory.alerts)
    feed.counts = {"repeated": found.repeated, "resolved": found.resolved}
    feed.marks["alerts"] = {f: list(age) for f, age in found.marks.items()}
    new = set(map(id, found.firing))
    for label, alerts in pieces:
        rows = [(alert.line, alert.row) for alert in alerts if id(alert) in new]
        if rows or rejected[label]:
            feed.pieces.append(Piece(label, rows=rows, rejected=rejected[label]))


def _alert_files(path: Path, *, given: bool) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    elif path.exists() or not given:
        yield path


# --- skills and addresses ----------------------------------------------------------------------


def _read_skill(cycle: Cycle, feed: Feed, memory: Memory, access: Access) -> None:
    del cycle
    source = feed.source
    result = access.skill(source.where, source.params)
    _take_data(feed, memory, result, f"skill {source.where!r}", lambda index: index + 1)


def _read_web(cycle: Cycle, feed: Feed, memory: Memory, access: Access) -> None:
    del cycle
    source = feed.source
    page = fetch(source, memory.web if source.done != "keep" else {}, access.secret)
    if page is None:
        return
    if source.done == "remember" and memory.content.get("") == page.digest:
        feed.marks["web"] = page.validators
        return
    if page.is_json:
        data, line_of = page.data(source.within)
        _take_data(feed, memory, data, page.label, line_of)
    else:
        rows = page.rows(access.readers)
        feed.pieces.append(Piece(page.label, rows=rows))
    feed.marks["web"] = page.validators
    _note_content(feed, "", page.digest)


def _take_data(
    feed: Feed, memory: Memory, data: Any, label: str, line_of: Callable[[int], int]
) -> None:
    """Take a list of records that is data already."""
    source = feed.source
    records = within(data, source.within, label) if source.kind == "skill" else data
    if not isinstance(records, list):
        raise InvalidInput(f"{label}: expected a list of records, found {records!r:.60}")
    digest = hashlib.sha256(repr(records).encode("utf-8", "surrogatepass")).hexdigest()
    if source.kind == "skill":
        if source.done == "remember" and memory.content.get("") == digest:
            return
        _note_content(feed, "", digest)
    rows: list[tuple[int, Row]] = []
    ready: list[tuple[int, PersonaSignal]] = []
    rejected: list[RejectedRow] = []
    for index, record in enumerate(records):
        line = line_of(index)
        try:
            if source.map is None:
                ready.append((line, _ready(record)))
            else:
                rows.append((line, _row(record)))
        except InvalidInput as error:
            rejected.append(RejectedRow(line, error.message))
    if records:
        feed.pieces.append(Piece(label, rows=rows, ready=ready, rejected=rejected))


def _row(record: Any) -> Row:
    if not isinstance(record, dict):
        raise InvalidInput(f"expected a mapping, found {record!r:.60}")
    row = as_row(record)
    refuse_halves(row)
    return row


def _ready(record: Any) -> PersonaSignal:
    from dino_os.planning.forms import SignalForm  # noqa: PLC0415  only where there is no map
    from dino_os.typed_files import convert, show_path  # noqa: PLC0415

    form = convert(record, SignalForm, lambda at, what: InvalidInput(f"{show_path(at)}: {what}"))
    return form.build()


_READERS: Mapping[str, Callable[[Cycle, Feed, Memory, Access], None]] = {
    "file": _read_file,
    "glob": _read_glob,
    "alertmanager": _read_alerts,
    "skill": _read_skill,
    "http": _read_web,
}
