"""Which lines of which journals a report has: of one thing and one step around it, or a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dino_os.audit_report.naming import named
from dino_os.errors import InvalidInput, NotFound
from engines.audit import read_time
from engines.checks import time_text
from engines.journal import Event, OnProgress, RecordedJournal

MOST_LINES = 1_000_000
_KEYS_OF_SIGNERS = "key_introduced"
_HINTS = {
    "run": "`audit log runs` shows the runs on record",
    "order": "`dino orders list` shows the orders",
    "cycle": "`dino cycle` shows the cycles",
}


@dataclass(frozen=True, slots=True)
class About:
    """
    What a report is about.

    Attributes:
        kind: run, order, cycle, or period.
        id: Of the run, order or cycle.
        since, until: Of a period, seconds since the epoch, whole microseconds; until is not in it.
    """

    kind: str
    id: str = ""
    since: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):  # as it will be read in the report
            object.__setattr__(self, name, read_time(time_text(getattr(self, name))))

    def holds(self, event: Event) -> bool:
        """Whether a line is of that time, or it is not about a time."""
        begins = self.since is None or self.since <= event["timestamp"]
        return begins and (self.until is None or event["timestamp"] < self.until)

    def as_dict(self) -> dict[str, str]:
        if self.kind != "period":
            return {"kind": self.kind, "id": self.id}
        ends = {"since": time_text(self.since), "until": time_text(self.until)}
        return {"kind": self.kind, **{name: text for name, text in ends.items() if text}}

    def __str__(self) -> str:
        if self.kind != "period":
            return f"{self.kind} {self.id}"
        facts = self.as_dict()
        return f"{facts.get('since', 'the beginning')} to {facts.get('until', 'the end')}"


Lines = dict[str, dict[int, tuple[bytes, Event]]]
"""Journal → number → the line and what is on it, ascending."""
Wanted = Callable[[str, Event], bool]


def collect(paths: Sequence[Path], about: About, on_progress: OnProgress) -> Lines:
    """
    The lines that belong to it.

    Args:
        on_progress: Told of the bytes that were read; each journal is read twice.

    Raises:
        NotFound: No line is about it.
        InvalidInput: There are too many.
        JournalBroken: A line does not stand.
    """
    if about.kind == "period":
        found = _in_time(paths, about, on_progress)
    else:
        found = _around(paths, f"{about.kind}:{about.id}", on_progress)
    if not found:
        raise NotFound(f"no line is about {about}", hint=_HINTS.get(about.kind))
    return _with_beginnings(paths, found)


def _around(paths: Sequence[Path], thing: str, on_progress: OnProgress) -> Lines:
    """The lines about *thing*, and those about what they lead to."""
    things = {thing}

    def concerned(journal: str, event: Event) -> bool:
        return not things.isdisjoint(named(journal, event).about)

    seeds = _matching(paths, concerned, on_progress)
    for journal, lines in seeds.items():
        for _, event in lines.values():
            things |= named(journal, event).leads
    return _matching(paths, concerned, on_progress) if seeds else {}


def _in_time(paths: Sequence[Path], about: About, on_progress: OnProgress) -> Lines:
    """
    From the line before the first of that time to the one behind the last: by those two it shows
    that none is left out.
    """
    ends: dict[str, tuple[int, int]] = {}
    for path in paths:
        for _, event in _read(path, on_progress):
            if about.holds(event):
                seq = event["seq"]
                ends[path.stem] = ends.get(path.stem, (seq - 1, 0))[0], seq + 1

    def between(journal: str, event: Event) -> bool:
        first, last = ends[journal]
        return bool(first <= event["seq"] <= last)

    return _matching([path for path in paths if path.stem in ends], between, on_progress)


def _matching(paths: Iterable[Path], wanted: Wanted, on_progress: OnProgress) -> Lines:
    found: Lines = {}
    count = 0
    for path in paths:
        lines = found.setdefault(path.stem, {})
        for line, event in _read(path, on_progress):
            if wanted(path.stem, event):
                lines[event["seq"]] = line, event
                count += 1
                if count > MOST_LINES:
                    raise InvalidInput(
                        f"a report has {MOST_LINES:,} lines at the most",
                        hint="choose a shorter period; `audit export` copies whole journals",
                    )
    return {journal: lines for journal, lines in found.items() if lines}


def _read(path: Path, on_progress: OnProgress) -> Iterator[tuple[bytes, Event]]:
    journal = RecordedJournal(path)
    here = journal.begin()
    for block in journal.blocks(here):
        yield from zip(block.lines, block.events, strict=True)
        on_progress(block.behind.offset - here.offset)
        here = block.behind


def _with_beginnings(paths: Sequence[Path], found: Lines) -> Lines:
    """*found*, the first line of each journal that says whose it is, and who signs."""

    def begins(journal: str, event: Event) -> bool:
        signs = journal == "checkpoints" and event["event_type"] == _KEYS_OF_SIGNERS
        return signs or (journal in found and event["seq"] == 0)

    done: Lines = {}
    for path in paths:
        lines = dict(found.get(path.stem, {}))
        if path.stem == "checkpoints":
            lines |= _matching([path], begins, _silent).get(path.stem, {})
        elif path.stem in found and RecordedJournal(path).begin().seq == 0:
            line, event = next(_read(path, _silent))
            lines[0] = line, event
        if lines:
            done[path.stem] = dict(sorted(lines.items()))
    return done


def _silent(_: int) -> None:
    """Nobody watches."""


def events_of(lines: Lines) -> Mapping[str, Sequence[Event]]:
    """The events alone, by journal."""
    return {name: [event for _, event in found.values()] for name, found in lines.items()}
