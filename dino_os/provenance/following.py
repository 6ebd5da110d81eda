"""
Takes over what other journals say, each line once.

How far a journal was followed is recorded with what was taken over, in one commit: whoever is
killed between two batches leaves neither a gap nor a double.  Several may follow at one time; of
two the slower finds that the cursor has moved, and goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dino_os.provenance.mapping import FOLLOWED, taken_over
from engines.errors import JournalBusy, JournalError
from engines.journal import RecordedJournal
from engines.provenance import Link, Tapped

if TYPE_CHECKING:
    from dino_os.workspace.parts import Parts
    from engines.journal import Event, Position
    from engines.provenance import ProvenanceDomain


_OWN = "provenance_log"
_REPLACED = "journal_replaced"


@dataclass(slots=True)
class Followed:
    """
    What came of it.

    Attributes:
        events: How many were taken over.
        problems: Journal → why it could not be followed; the others were.
        more: Whether there is more than was wanted at once.
    """

    events: int = 0
    more: bool = False
    problems: dict[str, JournalError | OSError] = field(default_factory=dict)


def follow(
    workspace: Parts, step: Callable[[int], object] = int, *, most: float = math.inf
) -> Followed:
    """
    Take over all that the journals of *workspace* say by now.

    Args:
        step: Told of so many more events that were taken over.
        most: Behind how many to leave the rest for later.

    Raises:
        JournalError: What was taken over cannot be recorded.
    """
    found = Followed()
    paths = [path for path in workspace.journals() if path.stem in FOLLOWED]
    if workspace.rehearsal or not (paths or (workspace.memory / f"{_OWN}.jsonl").exists()):
        return found
    domain = workspace.provenance
    domain.refresh()
    for name in domain.followed.keys() - {path.stem for path in paths}:
        what = f"the journal is gone; {domain.followed[name]} lines of it were followed"
        found.problems[name] = JournalError(what)
    for path in paths:
        for batch in _batches(domain, path, found):
            taken = [*batch.gap, *batch.events]
            if not domain.follow(
                path.stem, batch.since, taken, batch.behind, replaced=batch.replaced
            ):
                continue
            found.events += len(taken)
            step(len(taken))
            if found.events >= most:
                found.more = True
                return found
    return found


class _Batch(NamedTuple):
    """
    A piece of what is new in a journal.

    Attributes:
        gap: That something is missing before it.
        replaced: Whether another journal was in the place until then.
    """

    since: Position
    gap: list[Tapped]
    events: list[Tapped]
    behind: Position
    replaced: bool


def _batches(domain: ProvenanceDomain, path: Path, found: Followed) -> Iterator[_Batch]:
    """What is new in a journal, in pieces; where it is pruned meanwhile, from where it begins."""
    journal = RecordedJournal(path)
    begin = tried = None
    while True:
        try:
            begin = journal.begin()
            for batch in _new_in(journal, begin, domain):
                yield batch
                if domain.cursor(journal.name) != batch.behind:
                    break  # somebody else was there first: on from where he is
            else:
                return
        except JournalBusy:
            raise
        except (JournalError, OSError) as error:
            if begin == tried:
                found.problems[path.stem] = error
                return
            tried = begin


def _new_in(
    journal: RecordedJournal, begin: Position, domain: ProvenanceDomain
) -> Iterator[_Batch]:
    name = journal.name
    start = since = domain.cursor(name)
    gap: list[Tapped] = []
    if since.seq < begin.seq or not journal.holds(since):
        start = begin
        if since.seq > 0 or begin.seq > 0:
            gap = [_gap(name, since, begin, domain.clock())]
    for events, behind in journal.read(start):
        if not gap and all(map(_is_ours, events)):
            continue
        replaced = any(one.kind == _REPLACED for one in gap)
        number_of = _counted(domain, name if replaced else None)
        taken = [one for event in events if (one := taken_over(name, event, number_of))]
        yield _Batch(since, gap, taken, behind, replaced)
        since, gap = behind, []


def _is_ours(event: Event) -> bool:
    """Whether it signs what is written here: to note that would have it signed again, for ever."""
    return event["event_type"] == "checkpoint_signed" and event.get("journal") == _OWN


def _counted(domain: ProvenanceDomain, replaced: str | None) -> Callable[[str], int]:
    """The how manyth journal of a name it is; one more where it is seen to be *replaced*."""
    return lambda name: domain.number_of(name) + (name == replaced)


def _gap(journal: str, since: Position, begin: Position, at: float) -> Tapped:
    """That lines were pruned before they were followed, or another journal is in the place."""
    kind = "lines_pruned_unseen" if since.seq < begin.seq else _REPLACED
    told = {"journal": journal, "followed_to": since.seq, "goes_on_at": begin.seq}
    return Tapped(kind, at, data=told, source=Link(journal, begin.seq))
