"""
Takes over what other journals say, each line once.

How far a journal was followed is recorded with what was taken over, in one commit: whoever is
killed between two batches leaves neither a gap nor a double.  Several may follow at one time; of
two the slower finds that the cursor has moved, and leaves that journal to the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.provenance.mapping import FOLLOWED, taken_over
from engines.errors import JournalBusy, JournalError
from engines.journal import RecordedJournal
from engines.provenance import Link, Tapped

if TYPE_CHECKING:
    from dino_os.workspace.parts import Parts
    from engines.journal import Position
    from engines.provenance import ProvenanceDomain


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
    problems: dict[str, JournalError] = field(default_factory=dict)


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
    if workspace.rehearsal or not paths:
        return found
    domain = workspace.provenance
    domain.refresh()
    for path in paths:
        for batch in _batches(domain, path, found):
            if not domain.follow(path.stem, *batch):
                break
            found.events += len(batch[1])
            step(len(batch[1]))
            if found.events >= most:
                found.more = True
                return found
    return found


def _batches(
    domain: ProvenanceDomain, path: Path, found: Followed
) -> Iterator[tuple[Position, list[Tapped], Position]]:
    """What is new in a journal, in pieces: from where, what, and up to where."""
    journal = RecordedJournal(path)
    since = domain.cursor(path.stem)
    try:
        begin, gap = journal.begin(), list[Tapped]()
        start = since
        if since.seq < begin.seq or not journal.holds(since):
            gap, start = [_gap(path.stem, since, begin, domain.clock())], begin
            gap *= since.seq > 0 or begin.seq > 0
        for events, behind in journal.read(start):
            taken = [one for event in events if (one := taken_over(path.stem, event))]
            yield since, [*gap, *taken], behind
            since, gap = behind, []
    except JournalBusy:
        raise
    except JournalError as error:
        found.problems[path.stem] = error


def _gap(journal: str, since: Position, begin: Position, at: float) -> Tapped:
    """That lines were pruned before they were followed, or another journal is in the place."""
    kind = "lines_pruned_unseen" if since.seq < begin.seq else "journal_replaced"
    told = {"journal": journal, "followed_to": since.seq, "goes_on_at": begin.seq}
    return Tapped(kind, at, data=told, source=Link(journal, begin.seq))
